#!/usr/bin/env bash
# Set up PeopleNet on a fresh machine and run it once.
#
#     bash setup_runpod.sh          everything: environment, kernel, notebooks, model, then the demo clip
#     bash setup_runpod.sh test     the same with two seconds of the clip, then every check (pytest's summary comes last)
#     bash setup_runpod.sh check    only the checks, in an environment that already exists
#
# It asks no questions. Everything goes under one home: $PEOPLENET_HOME, or else /workspace/peoplenet if that
# volume is writable, or else workspace/ in this checkout. Re-running is safe: finished steps are skipped. On a
# pod that was stopped, a re-run restores what the stop removed (kernel, widgets, system packages).
#
# Optional variables: PEOPLENET_HOME; PEOPLENET_EXTRA=cpu|cuda12|cuda13 to override the choice by driver;
# PEOPLENET_PYTHON=/path/to/python3; PEOPLENET_MODEL=/path/to/model.onnx instead of a download;
# PEOPLENET_WITH="openvino" or "tensorrt-cu12<11" for additional packages.
#
# The driver is checked before anything is downloaded: it cannot be changed from inside a container, and CUDA 13
# wheels on an older driver silently run on the CPU.
set -euo pipefail

# Python must not import from the folder where the script is started: a random.py or onnx.py there would run
# instead of the real module. Every Python started from here inherits this (Python 3.11 and newer).
export PYTHONSAFEPATH=1

ROOT=$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")
# shellcheck source=tools/setup_machine.sh
source "$ROOT/tools/setup_machine.sh"
# shellcheck source=tools/setup_packages.sh
source "$ROOT/tools/setup_packages.sh"

UNREACHABLE=3 # what `peoplenet-nb download` exits with when NGC does not answer

# ----------------------------------------------------------------------------------------------- Jupyter

# Install the kernel spec into the Jupyter data folder chosen by the arguments (--prefix PATH, or --user).
register_kernel() {
    # PATH, so that shell commands in cells find this environment's tools.
    run "$VENV/bin/python" -m ipykernel install "$@" --name peoplenet --display-name PeopleNet \
        --env PEOPLENET_HOME "$HOME_DIR" --env PATH "$VENV/bin:\${PATH}"
}

# A pod's JupyterLab runs in the image's own Python and would find neither our kernel nor the widget
# extensions. Every server also searches the user's Jupyter folder, whichever Python it runs in, so both go there;
# the extensions as links, so that they follow the environment. The image's Python is left alone.
register_for_user() {
    local data=$1 front target previous
    previous=$(kernel_python "$data/kernels/peoplenet/kernel.json")
    register_kernel --user || return 1
    if [ -n "$previous" ] && [ "$previous" != "$VENV/bin/python" ]; then
        note "the kernel PeopleNet used another environment: $previous"
        note "it now uses $VENV/bin/python; to switch back, run that checkout's set-up again"
    fi
    for front in @jupyter-widgets/jupyterlab-manager anywidget; do
        target=$data/labextensions/$front
        if [ -e "$target" ] && [ ! -L "$target" ]; then
            note "$target already exists and is not ours: left as it is"
        else
            run mkdir -p "$(dirname "$target")" && run ln -sfn "$VENV/share/jupyter/labextensions/$front" "$target" || return 1
        fi
    done
}

# Print the Python that a kernel spec starts; nothing if there is no such spec.
kernel_python() {
    "$VENV/bin/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["argv"][0])' "$1" 2>/dev/null || true
}

register_with_jupyter() {
    local data
    data=$("$VENV/bin/python" -c 'from jupyter_core.paths import jupyter_data_dir; print(jupyter_data_dir())')
    if grep -qsF "\"$VENV/bin/python\"" "$VENV/share/jupyter/kernels/peoplenet/kernel.json" &&
        grep -qsF "\"$VENV/bin/python\"" "$data/kernels/peoplenet/kernel.json" &&
        [ -e "$data/labextensions/anywidget" ] && [ -e "$data/labextensions/@jupyter-widgets/jupyterlab-manager" ]; then
        result "kernel PeopleNet is already registered"
        return
    fi
    register_kernel --prefix "$VENV" ||
        fail "the kernel PeopleNet could not be registered" "check that $VENV is writable, then run this again"
    if register_for_user "$data"; then
        result "kernel PeopleNet and widget extensions in $data"
    else
        result "kernel PeopleNet in $VENV only: $data is not writable"
    fi
}

# People work in copies, so that outputs and edits, which JupyterLab saves by itself, never get in the way of
# `git pull`. A git filter such as nbstripout's cannot do this: git takes a tracked file of another size for
# modified without running the filter, and refuses the pull.
copy_notebooks() {
    local line
    run "$VENV/bin/python" "$ROOT/peoplenet_nb/notebook/copying.py" "$HOME_DIR/notebooks" ||
        fail "the notebooks could not be copied" "check that $HOME_DIR/notebooks is writable, then run this again"
    tail -n "+$((LOG_MARK + 1))" "$LOG" | while IFS= read -r line; do printf '      %s\n' "$line"; done
    result "your copies are in $HOME_DIR/notebooks"
}

# ---------------------------------------------------------------------------------------- model and demo

fetch_model() {
    local code=0 found
    if [ -n "${PEOPLENET_MODEL:-}" ]; then
        result "using PEOPLENET_MODEL: $PEOPLENET_MODEL"
        note "it is not remembered: export it in every shell, or put the file into $HOME_DIR/models"
        return
    fi
    run "$VENV/bin/peoplenet-nb" download --no-progress || code=$?
    found=$("$VENV/bin/python" -c 'from peoplenet_nb.ngc import find_model; print(find_model() or "")')
    if [ "$code" = "$UNREACHABLE" ]; then
        result "NGC is unreachable; continuing with ${found:-the stand-in, which only works on the demo clip}"
    elif [ "$code" != 0 ]; then
        fail "the model could not be downloaded" "follow the message above, or set PEOPLENET_MODEL=/path/to/model.onnx"
    else
        result "PeopleNet from NGC, verified: $found"
    fi
}

# Only warnings and failures are shown; the full report is `peoplenet-nb doctor`.
run_doctor() {
    local code=0
    run "$VENV/bin/peoplenet-nb" doctor || code=$?
    tail -n "+$((LOG_MARK + 1))" "$LOG" | grep -A 1 '^\(WARN\|FAIL\)' | grep -v '^\(OK\|--\)' | sed 's/^/      /' || true
    [ "$code" = 0 ] || fail "a required component is broken" "apply the fix shown below FAIL above, then run this again"
    result "all required components work"
}

# The main job. A finished run is not repeated. Arguments are passed on.
run_demo() {
    local options=("$@")
    [ -t 2 ] || options+=(--no-progress) # outside a terminal a progress bar floods the log
    LAST_COMMAND="peoplenet-nb demo"
    "$VENV/bin/peoplenet-nb" demo "${options[@]}" </dev/null 9>&- | tee -a "$LOG" ||
        fail "the run on the demo clip failed" "follow the message above; '$VENV/bin/peoplenet-nb doctor' may tell more"
    result "done"
}

# ---------------------------------------------------------------------------------------- checks and end

# Every check of the project. Caches go under the home, so that a read-only checkout passes too.
run_checks() {
    local python=("$VENV/bin/python" -m) unmask=(env --default-signal=INT)
    cd "$ROOT"
    export RUFF_CACHE_DIR=$HOME_DIR/cache/ruff MYPY_CACHE_DIR=$HOME_DIR/cache/mypy
    LAST_COMMAND="ruff check"
    "${python[@]}" ruff check . || fail "ruff found problems" "run make format, then fix what is left"
    LAST_COMMAND="ruff format --check"
    "${python[@]}" ruff format --check . || fail "files are not formatted" "run make format"
    # Nothing is printed after pytest: its summary is what people and machines look for.
    trap - EXIT
    # Started in the background, pytest would ignore Ctrl-C, and the tests of Ctrl-C would fail.
    "${unmask[@]}" true 2>/dev/null || unmask=()
    # Two processes, each taking whole files, whose tests share fixtures. More would compete for memory and cores.
    # mypy is one of the tests: the other process works meanwhile.
    exec "${unmask[@]}" "${python[@]}" pytest -n 2 --dist loadfile --no-loadscope-reorder -o cache_dir="$HOME_DIR/cache/pytest"
}

port_8888_answers() { (exec 3<>/dev/tcp/127.0.0.1/8888) 2>/dev/null; }

show_next_steps() {
    local page="https://${RUNPOD_POD_ID:-}-8888.proxy.runpod.net" root=$HOME_DIR lab first
    # A video is shown by its path, so the server's root must contain notebooks and outputs; a pod's own server
    # has the whole volume as its root.
    case "$HOME_DIR/" in "$VOLUME"/*) root=$VOLUME ;; esac
    lab=$(printf '%q lab --ServerApp.root_dir=%q' "$VENV/bin/jupyter" "$root")
    ! is_root || lab="$lab --allow-root"
    first=$(find "$HOME_DIR/notebooks" -maxdepth 1 -name '*.ipynb' 2>/dev/null | sort | head -n 1) || first=""
    first=${first:-$HOME_DIR/notebooks} first=${first#"$root/"}
    tell ""
    tell "PeopleNet is ready. Next:"
    # A shell that does not know of it would look for models in the usual home, and write there.
    [ "$HOME_DIR" = "$(PEOPLENET_HOME="" find_home)" ] ||
        tell "  in each new shell:  export PEOPLENET_HOME=$(printf '%q' "$HOME_DIR")"
    if [ -n "${RUNPOD_POD_ID:-}" ] && port_8888_answers; then
        tell "  open  $page  (if it is already open, reload the page)"
        tell "        and in it $first, kernel PeopleNet"
    elif [ -n "${RUNPOD_POD_ID:-}" ]; then
        tell "  start JupyterLab:  $lab --ip=0.0.0.0 --port=8888 --no-browser --ServerApp.allow_origin=$page"
        tell "  open  $page  with the token it prints, and in it $first, kernel PeopleNet"
    else
        tell "  start JupyterLab:  $lab"
        tell "  open  the address it prints, and in it $first, kernel PeopleNet"
    fi
    tell "  or from the shell:  $(printf '%q' "$VENV/bin/peoplenet-nb") detect VIDEO_OR_IMAGE"
    tell "  log of this run:    $LOG"
}

main() {
    local mode=${1:-setup}
    case $mode in
        setup) ;;
        test) WITH_TESTS=yes ;;
        check) ;;
        -h | --help | help)
            awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$ROOT/setup_runpod.sh"
            return
            ;;
        *)
            printf 'usage: bash setup_runpod.sh [test|check|--help]\n' >&2
            exit 2
            ;;
    esac
    trap left_early EXIT
    if [ "$mode" = check ]; then
        STEPS=2
        step "Home"
        use_home
        step "Checks"
        run_checks
    fi
    [ "$mode" = setup ] || STEPS=12
    step "Driver"
    check_driver
    step "Home"
    use_home
    take_lock
    step "Python"
    check_python
    step "System packages"
    check_system_packages
    step "uv"
    get_uv
    step "Environment"
    make_environment
    step "Jupyter"
    register_with_jupyter
    step "Notebooks"
    copy_notebooks
    step "Model"
    fetch_model
    step "Doctor"
    run_doctor
    step "Demo"
    if [ "$mode" = test ]; then
        run_demo --frames 50 # a part of the clip: minutes count before the tests
    else
        run_demo
    fi
    release_lock
    show_next_steps
    if [ "$mode" = test ]; then
        tell ""
        step "Tests" && run_checks
    fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    main "$@"
fi
