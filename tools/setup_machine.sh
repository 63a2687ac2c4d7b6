# shellcheck shell=bash
# The first part of setup_runpod.sh: messages and failures, and the machine (driver, home, Python, libraries).
#
# It is sourced with $ROOT set, and sets HOME_DIR, VENV, UV, EXTRA, OPENCV, PYTHON and PYTHON_VERSION.
#
# It installs nothing but missing system packages, and those only as root. Where that does not work, it prints
# what is missing and takes the next best alternative.

VOLUME=/workspace
CUDA13_DRIVER=580 # the same numbers as in Python's extra_for; a test compares them
CUDA12_DRIVER=525

LOG=/dev/null
LOG_MARK="" # lines of the log before the last command's output; empty while the step ran none
STEP=0
STEPS=11
STEP_NAME="start"
STEP_BEGAN=0
LAST_COMMAND=""
FAILED=no

# --------------------------------------------------------------------------------- messages and failures

tell() {
    printf '%s\n' "$*"
    printf '%s\n' "$*" >>"$LOG" 2>/dev/null || true
}

note() { tell "      $*"; }

step() {
    STEP=$((STEP + 1))
    STEP_NAME=$1
    STEP_BEGAN=$SECONDS
    LAST_COMMAND="" LOG_MARK=""
    tell "[$STEP/$STEPS] $1"
}

result() { note "$* ($((SECONDS - STEP_BEGAN)) s)"; }

# Package index addresses may be private and may carry passwords: none reaches the screen or the log.
hide_addresses() { sed -uE "s#(https?|file)://[^[:space:]\"'<>)]*#<address>#g"; }

# Run a command with its output in the log, and remember it so that a failure can name it.
run() {
    LAST_COMMAND=$(printf '%q ' "$@")
    LOG_MARK=$(wc -l 2>/dev/null <"$LOG" || echo 0)
    "$@" 2>&1 </dev/null | hide_addresses >>"$LOG"
}

free_kb() {
    df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4; found = 1 } END { if (!found) print 999999999 }'
}

# Stop at the current step: print its name, the last command, its output and what to do next.
fail() {
    FAILED=yes
    {
        printf '\nFAILED in step %s of %s: %s\n' "$STEP" "$STEPS" "$STEP_NAME"
        printf '  what   %s\n' "$1"
        [ -z "$LAST_COMMAND" ] || printf '  tried  %s\n' "$LAST_COMMAND"
        if [ -n "$LOG_MARK" ]; then
            tail -n "+$((LOG_MARK + 1))" "$LOG" | grep . | tail -n 12 | sed 's/^/  saw    /' || true
        fi
        if [ "$(free_kb "${HOME_DIR:-$ROOT}")" -lt 102400 ]; then
            printf '  disk   the disk of %s is full\n' "${HOME_DIR:-$ROOT}"
        fi
        printf '  next   %s\n' "$2"
        [ ! -f "$LOG" ] || printf '  log    %s\n' "$LOG"
    } >&2
    exit 1
}

# For the EXIT trap: an unexpected failure names its step too.
left_early() {
    local code=$?
    if [ "$code" -ne 0 ] && [ "$FAILED" = no ]; then
        fail "the step ended unexpectedly with code $code" "run the script again: finished steps are skipped"
    fi
}

is_root() { [ "$(id -u)" = 0 ]; }

# ------------------------------------------------------------------------------------------------ driver

# Print "driver compute": the first GPU's driver and the lowest compute capability, empty where unknown.
read_driver() {
    command -v nvidia-smi >/dev/null || return 1
    local query
    for query in driver_version,compute_cap driver_version; do # old tools do not know compute_cap
        timeout 30 nvidia-smi "--query-gpu=$query" --format=csv,noheader 2>/dev/null |
            awk -F', *' '/^[0-9]/ { if (!driver) driver = $1
                                    if ($2 ~ /^[0-9]/ && (!lowest || $2 + 0 < lowest + 0)) lowest = $2 }
                         END { if (!driver) exit 1; print driver, lowest }' && return 0
    done
    return 1
}

# Set EXTRA and WHY from a driver, a compute capability (each may be empty) and a processor.
choose_extra() {
    local driver=$1 compute=${2:-99} machine=$3 major=${1%%.*}
    case $major in '' | *[!0-9]*) driver="" ;; esac
    EXTRA=cpu
    if [ -z "$driver" ]; then
        WHY="no NVIDIA driver answers"
    elif [ "$machine" != x86_64 ]; then
        WHY="onnxruntime-gpu has no wheel for $machine"
    elif [ "$major" -ge "$CUDA13_DRIVER" ] && awk "BEGIN { exit !($compute >= 7.5) }"; then
        EXTRA=cuda13 WHY="driver $driver is $CUDA13_DRIVER or newer and runs CUDA 13"
    elif [ "$major" -ge "$CUDA13_DRIVER" ]; then
        EXTRA=cuda12 WHY="driver $driver runs CUDA 13, but not on a GPU of compute capability $compute"
    elif [ "$major" -ge "$CUDA12_DRIVER" ]; then
        EXTRA=cuda12 WHY="driver $driver runs CUDA 12; CUDA 13 needs $CUDA13_DRIVER"
    else
        WHY="driver $driver is older than $CUDA12_DRIVER, which CUDA 12 needs"
    fi
}

check_driver() {
    local found
    found=$(read_driver) || found=""
    choose_extra "${found%% *}" "${found#* }" "$(uname -m)"
    if [ -n "${PEOPLENET_EXTRA:-}" ]; then
        case $PEOPLENET_EXTRA in
            cpu | cuda12 | cuda13) ;;
            *) fail "PEOPLENET_EXTRA is '$PEOPLENET_EXTRA'" "set it to cpu, cuda12 or cuda13, or leave it unset" ;;
        esac
        WHY="set by PEOPLENET_EXTRA (the driver suggests $EXTRA: $WHY)"
        EXTRA=$PEOPLENET_EXTRA
    fi
    result "$EXTRA: $WHY"
}

# -------------------------------------------------------------------------------------------------- home

# The order of peoplenet_nb/paths.py.
find_home() {
    local named=${PEOPLENET_HOME:-}
    if [ -n "$named" ]; then
        # shellcheck disable=SC2088  # the tilde is the user's text, not ours to expand
        case $named in "~" | "~/"*) named=${HOME:-}${named#"~"} ;; esac
        realpath -m -- "$named"
    elif [ -d "$VOLUME" ] && [ -w "$VOLUME" ]; then
        printf '%s\n' "$VOLUME/peoplenet"
    else
        printf '%s\n' "$ROOT/workspace"
    fi
}

use_home() {
    HOME_DIR=$(find_home)
    LAST_COMMAND="mkdir -p $HOME_DIR"
    if ! mkdir -p "$HOME_DIR"/{cache,logs,models,outputs} 2>/dev/null || [ ! -w "$HOME_DIR/logs" ]; then
        fail "$HOME_DIR is not writable" "set PEOPLENET_HOME to a writable folder, then run this again"
    fi
    LOG=$HOME_DIR/logs/setup-$(date +%Y%m%d-%H%M%S)-$$.log
    : >"$LOG"
    # shellcheck disable=SC2034  # used by setup_runpod.sh
    VENV=$HOME_DIR/venv UV=$HOME_DIR/uv/bin/uv
    export PEOPLENET_HOME=$HOME_DIR XDG_CACHE_HOME=$HOME_DIR/cache
    export PIP_CACHE_DIR=$HOME_DIR/cache/pip UV_CACHE_DIR=$HOME_DIR/cache/uv
    # Unset what would lead pip, uv or Python out of the new environment.
    export PIP_USER=0 PYTHONUTF8=1 UV_PYTHON_DOWNLOADS=never
    unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV UV_PYTHON
    if [ -z "${HOME:-}" ] || [ ! -w "$HOME" ]; then
        note "HOME (${HOME:-unset}) is not writable: using $HOME_DIR/user instead"
        export HOME=$HOME_DIR/user
        mkdir -p "$HOME"
    fi
    result "$HOME_DIR, $(($(free_kb "$HOME_DIR") / 1048576)) GB free"
}

# One set-up at a time per home. On a file system without locks, none is taken.
take_lock() {
    command -v flock >/dev/null || return 0
    exec 9>"$HOME_DIR/.setup.lock"
    local code=0
    flock -n 9 2>/dev/null || code=$?
    if [ "$code" = 1 ]; then
        note "another set-up is running in $HOME_DIR; waiting for it to finish"
        flock -w 3600 9 || fail "another set-up is still running in $HOME_DIR" "wait for it or stop it, then run this again"
    fi
}

release_lock() { exec 9>&-; }

# ------------------------------------------------------------------------------ Python, system packages

find_python() {
    local candidates=(python3 python3.13 python3.12 python3.11 python3.14) candidate
    [ -z "${PEOPLENET_PYTHON:-}" ] || candidates=("$PEOPLENET_PYTHON")
    LAST_COMMAND="${candidates[*]}"
    for candidate in "${candidates[@]}"; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        PYTHON=$("$candidate" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
        PYTHON_VERSION=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        return 0
    done
    return 1
}

check_python() {
    find_python || fail "no Python 3.11 or newer was found" \
        "install one (as root: apt-get install python3.11 python3.11-venv, if your release has them), or set PEOPLENET_PYTHON=/path/to/python3"
    result "Python $PYTHON_VERSION at $PYTHON"
}

has_library() { "$PYTHON" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null; }

has_opencv_libraries() { has_library libGL.so.1 && has_library libgthread-2.0.so.0; }

# Install system packages. Returns non-zero if that is impossible: not root, no apt, no network.
apt_install() {
    is_root && command -v apt-get >/dev/null || return 1
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
    local options=(-y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 -o Acquire::Retries=1
        -o Acquire::http::Timeout=20)
    if [ -z "${APT_UPDATED:-}" ]; then
        run apt-get update "${options[@]}" || true # one unreachable source must not block the others
        APT_UPDATED=yes
    fi
    run apt-get install "${options[@]}" "$@"
}

check_system_packages() {
    OPENCV=$(stamp_field opencv) # once headless, always headless: no swap at every run
    if [ "${OPENCV:-opencv-python}" = opencv-python ]; then
        OPENCV=opencv-python
        if ! has_opencv_libraries && ! { apt_install libgl1 libglib2.0-0 && has_opencv_libraries; }; then
            OPENCV=opencv-python-headless
            note "libGL or glib is missing and could not be installed (as root: apt-get install libgl1 libglib2.0-0):"
            note "using opencv-python-headless instead of opencv-python; nothing here needs OpenCV's windows"
        fi
    fi
    if ! command -v ffmpeg >/dev/null && ! { apt_install ffmpeg && command -v ffmpeg >/dev/null; }; then
        note "ffmpeg is missing and could not be installed (as root: apt-get install ffmpeg):"
        note "only yt-dlp needs it, to merge video and sound; videos are read and written by PyAV"
    fi
    LAST_COMMAND=""
    result "$OPENCV, ffmpeg: $(command -v ffmpeg || echo 'not installed')"
}
