#!/bin/sh
# Ask for known weaknesses of the locked packages, and write a bill of materials (CycloneDX).
# Tools go into an environment of their own. Ends with 1 if a weakness is known.
# Usage: audit.sh [SBOM]
set -eu
cd "$(dirname "$0")"
sbom=${1:-sbom.json}
folder=audit/venv

if [ ! -x "$folder/bin/cyclonedx-py" ]; then
    sh ./make-venv.sh "${PYTHON:-python3}" "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check 'pip-audit>=2.9' 'cyclonedx-bom>=5'
fi
"$folder/bin/cyclonedx-py" requirements ../requirements.lock --output-reproducible -o "../$sbom"
echo "bill of materials: $sbom"
"$folder/bin/pip-audit" -r ../requirements.lock --no-deps --disable-pip
