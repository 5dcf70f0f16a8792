#!/bin/sh
# Run the tests that need Open3D. It goes into an environment of its own that also sees the packages
# of .venv, since it is large and nothing else needs it. Skipped where it cannot be downloaded.
# Usage: test-open3d.sh [PYTHON]
set -eu
cd "$(dirname "$0")/.."
python=${1:-.venv/bin/python}
folder=scripts/open3d/venv

if [ ! -x "$folder/bin/pip" ]; then
    "$python" -m venv "$folder"
fi
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/photocast-engine.pth"
if ! "$folder/bin/python" -c 'import open3d' 2>/dev/null; then
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check 'open3d>=0.18' || true
fi
if ! "$folder/bin/python" -c 'import open3d'; then
    echo "No Open3D: its tests are skipped." >&2
    exit 0
fi
# Its plugins of pytest are not ours, and use what pytest no longer likes.
PYTHONPATH="$PWD/src" OMP_WAIT_POLICY=passive \
    "$folder/bin/python" -m pytest -p no:dash -m open3d tests/stages tests/museum tests/formats
