#!/bin/sh
# Install the Khronos glTF validator beside its script; on Debian and Ubuntu, Node.js and npm first.
# Without a network the tests that need it are skipped.
# Usage: get-gltf-validator.sh
set -eu
cd "$(dirname "$0")/gltf-validator"

if [ -d node_modules/gltf-validator ]; then
    exit 0
fi
if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q
        apt-get install -q -y --no-install-recommends nodejs npm
    else
        echo "npm is missing. Install it with: sudo apt-get install nodejs npm" >&2
        exit 1
    fi
fi
npm install --no-package-lock --no-audit --no-fund --loglevel=error
