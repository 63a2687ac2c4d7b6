#!/usr/bin/env bash
# Set PeopleNet up on a fresh machine and run it once.
#
#     bash setup_runpod.sh          everything: environment, kernel, model, and the demo as the main job
#     bash setup_runpod.sh test     the same, then every check of the project (pytest's summary comes last)
#     bash setup_runpod.sh check    only the checks, in an environment that is already there
#
# Nothing is asked. Everything lives under one home: $PEOPLENET_HOME, else /workspace/peoplenet where that
# volume can be written, else workspace/ of this checkout. Run it again whenever you like: what is done stays
# done, and on a pod that was stopped it puts back what the stop took (kernel, front ends, system packages).
#
# What can be set: PEOPLENET_HOME; PEOPLENET_EXTRA=cpu|cuda12|cuda13 instead of what the driver suggests;
# PEOPLENET_PYTHON=/path/to/python3; PEOPLENET_MODEL=/path/to/model.onnx instead of a download;
# PEOPLENET_WITH="openvino" or "tensorrt-cu12<11" for packages that are wanted besides.
#
# One decision to know: the driver is looked at before anything is fetched, because it is the one thing that
# cannot be changed from inside a container, and CUDA 13 wheels on an older driver run on the CPU in silence.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=tools/setup_machine.sh
source "$ROOT/tools/setup_machine.sh"
# shellcheck source=tools/setup_packages.sh
source "$ROOT/tools/setup_packages.sh"

UNREACHABLE=3 # what `peoplenet-nb download` exits with when NGC does not answer

# ----------------------------------------------------------------------------------------------- Jupyter

# Put a kernel spec under the Jupyter data folder that $1 and $2 (--prefix PATH, or --user) mean.
register_kernel() {
    # PATH, so that a cell with a shell command meets this environment's tools.
    run "$VENV/bin/python" -m ipykernel install "$@" --name peoplenet --display-name PeopleNet \
        --env PEOPLENET_HOME "$HOME_DIR" --env PATH "$VENV/bin:\${PATH}"
}

# A pod's JupyterLab runs in the image's own Python and would find neither our kernel nor the widgets' front
# ends. Both are looked up in the user's Jupyter folder too, whichever Python the server runs in; the front
# ends go there as links, so that they follow the environment. Nothing is installed into the image's Python.
show_to_other_servers() {
    local data=$1 front target
    register_kernel --user || return 1
    for front in @jupyter-widgets/jupyterlab-manager anywidget; do
        target=$data/labextensions/$front
        if [ -e "$target" ] && [ ! -L "$target" ]; then
            note "$target is somebody else's and stays"
        else
            run mkdir -p "$(dirname "$target")" && run ln -sfn "$VENV/share/jupyter/labextensions/$front" "$target" || return 1
        fi
    done
}

register_with_jupyter() {
    local data
    data=$("$VENV/bin/python" -c 'from jupyter_core.paths import jupyter_data_dir; print(jupyter_data_dir())')
    if grep -qsF "\"$VENV/bin/python\"" "$VENV/share/jupyter/kernels/peoplenet/kernel.json" &&
        grep -qsF "\"$VENV/bin/python\"" "$data/kernels/peoplenet/kernel.json" &&
        [ -e "$data/labextensions/anywidget" ] && [ -e "$data/labextensions/@jupyter-widgets/jupyterlab-manager" ]; then
        result "kernel PeopleNet, there already"
        return
    fi
    register_kernel --prefix "$VENV" ||
        fail "the kernel PeopleNet could not be registered" "see whether $VENV can be written, then run this again"
    if show_to_other_servers "$data"; then
        result "kernel PeopleNet and the widgets' front ends in $data"
    else
        result "kernel PeopleNet in $VENV only, because $data cannot be written"
    fi
}

# ---------------------------------------------------------------------------------------- model and demo

fetch_model() {
    local code=0 found
    if [ -n "${PEOPLENET_MODEL:-}" ]; then
        result "PEOPLENET_MODEL names one: $PEOPLENET_MODEL"
        return
    fi
    run "$VENV/bin/peoplenet-nb" download --no-progress || code=$?
    found=$("$VENV/bin/python" -c 'from peoplenet_nb.ngc import find_model; print(find_model() or "")')
    if [ "$code" = "$UNREACHABLE" ]; then
        result "NGC cannot be reached; going on with ${found:-the stand-in, which only knows the demo clip}"
    elif [ "$code" != 0 ]; then
        fail "the model could not be fetched" "do what the reason above says, or set PEOPLENET_MODEL=/path/to/model.onnx"
    else
        result "PeopleNet from NGC, verified: $found"
    fi
}

# Only what is not OK is shown; the whole report is `peoplenet-nb doctor`.
ask_doctor() {
    local code=0
    run "$VENV/bin/peoplenet-nb" doctor || code=$?
    tail -n "+$((LOG_MARK + 1))" "$LOG" | grep -A 1 '^\(WARN\|FAIL\)' | grep -v '^\(OK\|--\)' | sed 's/^/      /' || true
    [ "$code" = 0 ] || fail "something that is needed is broken" "do what stands beside FAIL above, then run this again"
    result "nothing that is needed is broken"
}

# The main job. A run that is done is not repeated.
run_demo() {
    local options=()
    [ -t 2 ] || options=(--no-progress) # a progress bar is for a terminal; elsewhere it floods the log
    LAST_COMMAND="peoplenet-nb demo"
    "$VENV/bin/peoplenet-nb" demo "${options[@]}" </dev/null 9>&- | tee -a "$LOG" ||
        fail "the main job on the demo clip failed" "do what the reason above says; '$VENV/bin/peoplenet-nb doctor' tells more"
    result "done"
}

# ---------------------------------------------------------------------------------------- checks and end

# Every check of the project, in one place. Caches go under the home, so a read-only checkout passes as well.
run_checks() {
    local python=("$VENV/bin/python" -m) unmask=(env --default-signal=INT)
    cd "$ROOT"
    export RUFF_CACHE_DIR=$HOME_DIR/cache/ruff MYPY_CACHE_DIR=$HOME_DIR/cache/mypy
    LAST_COMMAND="ruff check"
    "${python[@]}" ruff check . || fail "ruff found something" "make format, then mend what is left"
    LAST_COMMAND="ruff format --check"
    "${python[@]}" ruff format --check . || fail "files are not formatted" "make format"
    LAST_COMMAND="mypy"
    "${python[@]}" mypy || fail "mypy found something" "mend the types it names"
    # The last word is pytest's: its summary is what people and machines look for.
    trap - EXIT
    # Begun in the background, everything would ignore Ctrl-C, and the tests of Ctrl-C would fail.
    "${unmask[@]}" true 2>/dev/null || unmask=()
    exec "${unmask[@]}" "${python[@]}" pytest -o cache_dir="$HOME_DIR/cache/pytest"
}

port_8888_answers() { (exec 3<>/dev/tcp/127.0.0.1/8888) 2>/dev/null; }

tell_next_step() {
    local page="https://${RUNPOD_POD_ID:-}-8888.proxy.runpod.net" root=$ROOT lab first
    # A film is shown by its path, so the server's root has to hold notebooks and outputs.
    case "$ROOT/:$HOME_DIR/" in "$VOLUME"/*:"$VOLUME"/*) root=$VOLUME ;; esac
    lab=$(printf '%q lab --ServerApp.root_dir=%q' "$VENV/bin/jupyter" "$root")
    ! is_root || lab="$lab --allow-root"
    first=$(find "$ROOT/notebooks" -name '*.ipynb' 2>/dev/null | sort | head -n 1) || first=""
    first=${first:-$ROOT/notebooks} first=${first#"$root/"}
    tell ""
    tell "PeopleNet is ready. Next:"
    if [ -n "${RUNPOD_POD_ID:-}" ] && port_8888_answers; then
        tell "  open  $page  (already open? reload the page)"
        tell "        and there $first, kernel PeopleNet"
    elif [ -n "${RUNPOD_POD_ID:-}" ]; then
        tell "  start JupyterLab:  $lab --ip=0.0.0.0 --port=8888 --no-browser --ServerApp.allow_origin=$page"
        tell "  open  $page  with the token that it prints, and there $first, kernel PeopleNet"
    else
        tell "  start JupyterLab:  $lab"
        tell "  open  the address that it prints, and there $first, kernel PeopleNet"
    fi
    tell "  or from the shell:  $(printf '%q' "$VENV/bin/peoplenet-nb") detect FILM_OR_IMAGE"
    tell "  log of this run:    $LOG"
}

main() {
    local mode=${1:-setup}
    case $mode in
        setup) ;;
        test) WITH_TESTS=yes ;;
        check) ;;
        *)
            printf 'usage: bash setup_runpod.sh [test|check]\n' >&2
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
    [ "$mode" = setup ] || STEPS=11
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
    step "Model"
    fetch_model
    step "Doctor"
    ask_doctor
    step "Demo"
    run_demo
    release_lock
    tell_next_step
    if [ "$mode" = test ]; then
        tell ""
        step "Tests" && run_checks
    fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    main "$@"
fi
