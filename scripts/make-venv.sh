#!/bin/sh
# Make a virtual environment; on Debian and Ubuntu, where Python comes without venv, install it first.
# Usage: make-venv.sh PYTHON FOLDER
set -eu
python=$1
folder=$2

if [ -x "$folder/bin/pip" ]; then
    exit 0
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Photocast needs Python 3.10 or newer; $python is $("$python" --version 2>&1)." >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q
        apt-get install -q -y "python$version-venv"
    else
        echo "Python's venv is missing. Install it with: sudo apt-get install python$version-venv" >&2
        exit 1
    fi
fi
"$python" -m venv "$folder"
