#!/bin/sh
# Make .venv and install the project into it, in the versions of constraints.txt.
#
#   scripts/install.sh EXTRAS     such as all, or all,test
#
# Does nothing when that is installed already; goes on where an interrupted run stopped.
# PYTHON=...       the Python to use; otherwise the first that is new enough
# TORCH_INDEX=...  take PyTorch from this package index; remembered until .venv is removed
set -eu
cd "$(dirname "$0")/.."

extras=$1
torch_index=${TORCH_INDEX:-$(cat .venv/torch-index 2>/dev/null || true)}
# The folder belongs to it, because the commands in .venv/bin name it.
state=$({ pwd -P; echo "$torch_index"; cat pyproject.toml constraints.txt; } | cksum)

main() {
    if is_sound && is_installed; then
        return
    fi
    is_sound || make_venv
    rm -f ".venv/installed-$extras"
    forget_half_installed
    echo "Installing into .venv; the first time takes some minutes"
    install || fail "The installation stopped, see above. Run the same again to go on."
    echo "$state" >".venv/installed-$extras"
}

is_sound() {
    .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

is_installed() {
    # "all,test" begins with "all" and contains it.
    for stamp in ".venv/installed-$extras"*; do
        [ "$(cat "$stamp" 2>/dev/null)" != "$state" ] || return 0
    done
    return 1
}

make_venv() {
    python=$(find_python)
    echo "Making .venv with $("$python" --version) ($(command -v "$python"))"
    "$python" -m venv --clear .venv
}

find_python() {
    too_old=
    without_venv=
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if ! version=$(version_of "$python"); then
            too_old=$too_old${version:+" $python is $version."}
        elif "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$python"
            return
        else
            without_venv=${without_venv:-$version}
        fi
    done
    [ -z "$without_venv" ] || fail \
        "Python $without_venv is here, but not its modules venv and ensurepip." \
        "On Debian and Ubuntu: sudo apt install python$without_venv-venv"
    fail "Python 3.11 or newer is needed and was not found.$too_old" \
        "On Debian 12, Ubuntu 24.04 or newer: sudo apt install python3 python3-venv" \
        "If it has another name here: make PYTHON=/path/to/python3 install"
}

# Prints major.minor; fails for one that is missing or too old.
version_of() {
    "$1" -c 'import sys
print("%d.%d" % sys.version_info[:2])
sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# pip writes INSTALLER last: a package without it was cut off, and yet pip would take it for whole.
forget_half_installed() {
    for info in .venv/lib/python3*/site-packages/*.dist-info; do
        [ ! -d "$info" ] || [ -e "$info/INSTALLER" ] || rm -r "$info"
    done
}

install() {
    if [ -n "$torch_index" ]; then
        # Only PyTorch itself: the index need not hold what PyTorch depends on.
        pip_install --upgrade --no-deps --index-url "$torch_index" torch || return
        echo "$torch_index" >.venv/torch-index
    fi
    pip_install --editable ".[$extras]"
}

pip_install() {
    # What pip would compile file by file at its end, all processors do together.
    .venv/bin/python -m pip install --no-compile --constraint constraints.txt "$@" || return
    # A package may hold files of another Python's syntax: nobody imports those.
    .venv/bin/python -m compileall -q -q -j 0 .venv/lib || true
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

main
