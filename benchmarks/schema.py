# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemathesis over the whole description of the API: no mistake of ours, and answers as described.

    pip install schemathesis
    python benchmarks/schema.py [--seconds 150] [--seed 1]

Starts a real service with a worker, the fake engine and a key. Ends with 1 if anything was found.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from serving import start

from photocast.jobs.database import open_database
from photocast.jobs.keyring import Keyring

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
SETTINGS = {
    "fake_engine": "1",
    "max_open_jobs": "1000000",
    "rate_burst": "1000000",
    "disk_reserve_bytes": "0",
}


def main() -> int:
    """Start, ask, stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text).resolve()
        database = open_database(f"sqlite:///{folder / 'photocast.db'}")
        key, _ = Keyring(database).add(owner="schema", scopes=("admin",))
        database.close()
        process, port = start(folder, workers=1, **SETTINGS)
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "run"),
            f"http://127.0.0.1:{port}/openapi.json",
            *("--checks", ",".join(CHECKS)),
            *("--header", f"Authorization: Bearer {key}"),
            *("--max-time", str(wanted.seconds), "--seed", str(wanted.seed)),
        ]
        try:
            found = subprocess.run(command, check=False).returncode
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
        bugs = (folder / "log.txt").read_text(encoding="utf-8").count("request.bug")
    sys.stdout.write(f"mistakes of ours in the log: {bugs}\n")
    return 1 if found or bugs else 0


if __name__ == "__main__":
    raise SystemExit(main())
