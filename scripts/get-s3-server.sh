#!/bin/sh
# Install OpenStack Swift, an object store with an S3 interface, in an environment beside its script.
# Without a network the tests that need it are skipped.
# Usage: get-s3-server.sh [PYTHON]
set -eu
cd "$(dirname "$0")"
folder=s3-server/venv

if [ -x "$folder/bin/swift-proxy-server" ]; then
    exit 0
fi
sh ./make-venv.sh "${1:-python3}" "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check -r s3-server/requirements.txt
