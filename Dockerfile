# The service in a container; docs/service.md says how to start it.
#
#   docker build -t peoplenet-serve .                              # on the CPU
#   docker build -t peoplenet-serve --build-arg RUNTIME=cuda12 .   # NVIDIA's GPUs, driver 525 and newer
#
# NVIDIA's weights are not in the image, since their licence does not let us pass them on: mount the folder of a
# download. Without one the small stand-in of the demo clip answers, and says so.
FROM python:3.12-slim-bookworm

ARG RUNTIME=cpu

# OpenCV's wheel wants libgl and glib.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY tools/hatch_build.py tools/
COPY notebooks notebooks
COPY constraints constraints
COPY peoplenet_nb peoplenet_nb
RUN pip install --no-cache-dir -c "constraints/$RUNTIME.txt" ".[$RUNTIME,serve]" \
    && useradd --create-home --uid 1000 peoplenet \
    && install -d -o peoplenet /data

USER 1000
ENV PEOPLENET_HOME=/data
VOLUME /data
EXPOSE 8000

HEALTHCHECK --start-period=60s --interval=15s --timeout=5s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready')"]

# The token comes as PEOPLENET_TOKEN; without one it refuses to listen to others.
ENTRYPOINT ["peoplenet-nb", "serve", "--host", "0.0.0.0"]
CMD ["--port", "8000"]
