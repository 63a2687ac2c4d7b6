"""The network as a service: pictures in over HTTP, boxes out; and a client for it.

Needs the extra ``serve`` (FastAPI, uvicorn, pydantic, prometheus-client). `Client` needs pydantic only.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "app": ["make_app"],
        "client": ["Client", "ServiceError"],
        "limits": ["Limits"],
        "running": ["run_service"],
        "service": ["Service"],
        "values": ["Detected", "Problem", "Served"],
    },
)
