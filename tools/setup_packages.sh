# shellcheck shell=bash
# The second part of setup_runpod.sh: uv, and the environment, from constraints/.
#
# Every file that is installed has a hash in constraints/hashes.txt, and pip and uv refuse any other: a package index
# that was tampered with can give other files, but none that is run. What PEOPLENET_WITH names is checked as far as it
# is pinned there. The project itself is installed from this checkout.
#
# A stamp in the environment records what it was made from, and is written last. If it is missing or names
# another runtime, the environment is rebuilt: an interrupted run never leaves a partial environment that looks
# complete, and onnxruntime and onnxruntime-gpu are never installed together.

WITH_TESTS=no

# ---------------------------------------------------------------------------------------------------- uv

# Print the versions on standard input, each with its hashes, as a requirements file; $OPENCV as the OpenCV.
with_hashes() {
    awk -v opencv="${OPENCV:-opencv-python}==" '
        NR == FNR { of = $1; $1 = ""; gsub(/ /, " --hash="); hashes[of] = $0; next }
        { sub(/ *#.*/, ""); sub(/^opencv-python==/, opencv) }
        !($1 in hashes) { print "constraints/hashes.txt has no " $1 ": make constraints ARGS=--keep adds it" >"/dev/stderr"; exit 1 }
        { print $0 hashes[$1] }' "$ROOT/constraints/hashes.txt" -
}

# Make a virtual environment with pip at $1, in whichever way this Python allows.
make_venv_with_pip() {
    rm -rf "$1"
    if "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        run "$PYTHON" -m venv "$1"
    elif apt_install "python$PYTHON_VERSION-venv" || apt_install python3-venv; then
        run "$PYTHON" -m venv "$1"
    elif "$PYTHON" -m pip --version >/dev/null 2>&1; then # Debian's pip can fill a venv without ensurepip
        run "$PYTHON" -m venv --without-pip "$1" && run "$PYTHON" -m pip --python "$1/bin/python" install pip
    else
        return 1
    fi
}

get_uv() {
    if "$UV" --version >/dev/null 2>&1; then
        result "$("$UV" --version) is already installed"
        return
    fi
    if make_venv_with_pip "$HOME_DIR/uv"; then
        grep '^uv==' "$ROOT/constraints/build.txt" | with_hashes >"$HOME_DIR/cache/uv.txt"
        run "$HOME_DIR/uv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r "$HOME_DIR/cache/uv.txt" ||
            fail "pip could not download uv" "check the network (or the package index that pip is configured for), then run this again"
    elif command -v uv >/dev/null; then
        UV=$(command -v uv)
    elif "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "no virtual environment could be created in $HOME_DIR/uv" \
            "see the message above; check free space and permissions, then run this again"
    else
        fail "this Python cannot create a virtual environment with pip" \
            "as root: apt-get install python$PYTHON_VERSION-venv (or python3-venv); then run this again"
    fi
    result "$("$UV" --version)"
}

# Print one of pip's settings, from its environment or its files; $PIP_SETTINGS is the output of `pip config list`.
pip_setting() {
    local section
    for section in :env: install global; do
        printf '%s\n' "$PIP_SETTINGS" | sed -nE "s/^$section\.$1='(.*)'\$/\1/p" | sed 's/\\n/ /g' | grep . && return
    done
    return 1
}

# uv does not read pip's configuration and would ignore a mirror set there. Passed on in variables only: an
# address can carry a password.
pass_on_pip_settings() {
    local value
    PIP_SETTINGS=$("$HOME_DIR/uv/bin/python" -m pip config list 2>/dev/null || "$PYTHON" -m pip config list 2>/dev/null || true)
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] && value=$(pip_setting index-url); then
        export UV_DEFAULT_INDEX=$value
    fi
    if [ -z "${UV_INDEX:-}${UV_EXTRA_INDEX_URL:-}" ] && value=$(pip_setting extra-index-url); then
        # pip searches all of its indexes for a version; uv by default only the first that has the package.
        export UV_EXTRA_INDEX_URL=$value UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match}
    fi
    if [ -z "${UV_FIND_LINKS:-}" ] && value=$(pip_setting find-links); then
        export UV_FIND_LINKS=${value// /,}
    fi
    if [ -z "${UV_INSECURE_HOST:-}" ] && value=$(pip_setting trusted-host); then
        export UV_INSECURE_HOST=$value
    fi
    if [ -z "${SSL_CERT_FILE:-}" ] && value=$(pip_setting cert); then
        export SSL_CERT_FILE=$value
    fi
}

# Hard links save the cache's size a second time, if the volume supports them (many network volumes do not).
choose_link_mode() {
    [ -z "${UV_LINK_MODE:-}" ] || return 0
    local probe=$HOME_DIR/cache/.link
    rm -f "$probe" "$HOME_DIR/.link"
    if touch "$probe" && ln "$probe" "$HOME_DIR/.link" 2>/dev/null; then
        export UV_LINK_MODE=hardlink
    else
        export UV_LINK_MODE=copy
    fi
    rm -f "$probe" "$HOME_DIR/.link"
}

# ------------------------------------------------------------------------------------------- environment

stamp_field() { sed -n "s/^$1=//p" "$VENV/.peoplenet-setup" 2>/dev/null || true; }

# A hash of what the environment was made from: any change means installing again.
fingerprint() {
    { cat "$ROOT/pyproject.toml" "$ROOT"/constraints/{"$EXTRA",build,hashes}.txt && echo "$ROOT"; } |
        sha256sum | cut -c 1-16
}

# Keep an environment that this driver can run too: a volume that moves between hosts would otherwise
# download gigabytes at every move.
keep_installed_extra() {
    local installed
    installed=$(stamp_field extra)
    [ -z "${PEOPLENET_EXTRA:-}" ] && [ -n "$installed" ] && [ "$installed" != "$EXTRA" ] || return 0
    case $EXTRA-$installed in
        cpu-cuda1[23] | cuda13-cuda12)
            note "keeping the existing environment for $installed, which works on this machine too;"
            note "set PEOPLENET_EXTRA=$EXTRA to replace it"
            EXTRA=$installed
            ;;
    esac
}

imports_work() {
    local code="import av, cv2, numpy, onnx, onnxruntime, pandas, sys"
    code="$code; from peoplenet_nb.diagnostics.packages import missing"
    run "$VENV/bin/python" -c "$code; sys.exit(', '.join(missing('notebooks', 'serve', 'track', 'youtube')) or 0)"
}

# Print current, update or rebuild.
environment_state() {
    if [ ! -x "$VENV/bin/python" ] || [ ! -f "$VENV/.peoplenet-setup" ] || [ "$(stamp_field extra)" != "$EXTRA" ]; then
        echo rebuild # never made, interrupted, or for another runtime, whose files would be overwritten
    elif ! "$VENV/bin/python" -c '' 2>/dev/null; then
        echo rebuild # the Python under it is gone
    elif [ "$(stamp_field hash)" != "$(fingerprint)" ] || [ "$(stamp_field opencv)" != "$OPENCV" ]; then
        echo update
    elif [ "$WITH_TESTS" = yes ] && [ "$(stamp_field tests)" != yes ]; then
        echo update
    elif [ "$(stamp_field with)" != "$WITH" ]; then
        echo update
    elif ! imports_work; then
        echo rebuild
    else
        echo current
    fi
}

check_space() {
    local need_mb=2000
    [ "$EXTRA" = cpu ] || need_mb=8000
    [ "$(free_kb "$HOME_DIR")" -ge $((need_mb * 1024)) ] ||
        fail "$HOME_DIR has $(($(free_kb "$HOME_DIR") / 1024)) MB free and $EXTRA needs about $need_mb" \
            "free some space, or set PEOPLENET_HOME to a folder on a larger disk"
}

# Install the exact versions that belong to $EXTRA, with $OPENCV as the OpenCV, and the project.
install_packages() {
    local cache=$HOME_DIR/cache pins=$ROOT/constraints/$EXTRA.txt others='# (test|optional)$' more=()
    local pip=("$UV" --directory "$ROOT" pip) target=(--python "$VENV/bin/python")
    [ "$WITH_TESTS" = no ] || others='# optional$'
    rm -f "$VENV/.peoplenet-setup"
    grep -vE "$others" "$pins" | with_hashes >"$cache/requirements.txt" || return 1
    with_hashes <"$pins" >"$cache/constraints.txt" || return 1
    with_hashes <"$ROOT/constraints/build.txt" >"$cache/build.txt" || return 1
    # Both OpenCVs own the same files, so one is removed before the other is installed.
    [ "$OPENCV" = opencv-python ] || run "${pip[@]}" uninstall "${target[@]}" opencv-python || true
    # The list is complete, and its OpenCV may be another than packages ask for.
    run "${pip[@]}" install "${target[@]}" --no-deps --require-hashes -r "$cache/requirements.txt" || return 1
    run "${pip[@]}" install "${target[@]}" --no-deps -b "$cache/build.txt" -e . || return 1
    read -ra more <<<"$WITH"
    if [ "${#more[@]}" -gt 0 ]; then
        echo "opencv-python ; python_version < '3'" >"$cache/overrides.txt"
        [ "$OPENCV" != opencv-python ] || : >"$cache/overrides.txt"
        run "${pip[@]}" install "${target[@]}" -c "$cache/constraints.txt" --overrides "$cache/overrides.txt" \
            "${more[@]}" || return 1
    fi
    printf 'extra=%s\nopencv=%s\ntests=%s\nwith=%s\nhash=%s\n' \
        "$EXTRA" "$OPENCV" "$WITH_TESTS" "$WITH" "$(fingerprint)" \
        >"$VENV/.peoplenet-setup.new"
}

make_environment() {
    local state again="check the network and the disk, then run this again"
    keep_installed_extra
    [ "$(stamp_field tests)" != yes ] || WITH_TESTS=yes # once installed, they stay
    WITH=${PEOPLENET_WITH-$(stamp_field with)}
    state=$(environment_state)
    if [ "$state" = current ]; then
        result "the environment for $EXTRA is already installed"
        return
    fi
    check_space
    pass_on_pip_settings
    choose_link_mode
    export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
    if [ "$state" = rebuild ]; then
        note "creating $VENV; this takes a minute for cpu, several for CUDA's 3 GB"
        rm -rf "$VENV"
        run "$UV" venv --python "$PYTHON" "$VENV" || fail "uv could not create the environment" "$again"
    fi
    install_packages || fail "uv could not install the packages" "$again"
    if ! imports_work && [ "$OPENCV" = opencv-python ] && ! run "$VENV/bin/python" -c 'import cv2'; then
        note "opencv-python does not load here; using opencv-python-headless instead"
        OPENCV=opencv-python-headless
        install_packages || fail "uv could not install the packages" "$again"
    fi
    imports_work || fail "the new environment cannot import its packages" "see the message above; to start over: rm -rf '$VENV'"
    mv "$VENV/.peoplenet-setup.new" "$VENV/.peoplenet-setup"
    result "$EXTRA installed, $(find "$VENV"/lib/python*/site-packages -maxdepth 1 -name '*.dist-info' | wc -l) packages"
}
