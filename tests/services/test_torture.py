# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""No job is lost and none runs twice at once, whatever is killed meanwhile; in small.

``benchmarks/torture.py`` does the same with hundreds of jobs; docs/scale.md has its figures.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parents[2] / "benchmarks" / "torture.py"


@pytest.mark.parametrize(
    ("mode", "database", "programs"),
    [
        ("embedded", "sqlite", ()),
        ("celery", "postgres", ("redis-server", "initdb")),
    ],
)
def test_every_job_ends_once_whatever_is_killed(servers, tmp_path, mode, database, programs):
    for program in programs:
        if (
            servers.redis_program() if "redis" in program else servers.postgres_program(program)
        ) is None:
            pytest.skip(f"no {program}: sh scripts/get-services.sh")
    command = [sys.executable, str(TORTURE), "--mode", mode, "--database", database]
    command += ["--jobs", "10", "--seconds", "12", "--workers", "2", "--pause", "0.5"]
    command += ["--seed", "7", "--disk", "0", "--patience", "150", "--keep", str(tmp_path / "t")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    told = json.loads(done.stdout or "{}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told["jobs"] == 10
    assert sum(told["states"].values()) == 10
    assert sum(told["done"].values()) >= 3, "it was tried"
