# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A real object store with an S3 interface, run for as long as the tests that ask for it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from boto3.session import Session

SERVER = Path(__file__).parents[2] / "scripts" / "s3-server"
BUCKET = "photocast-tests"


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty bucket; the environment holds the keys to it."""
    python = SERVER / "venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("no S3 server: sh scripts/get-s3-server.sh")
    command = [str(python), str(SERVER / "serve.py"), str(tmp_path_factory.mktemp("s3"))]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        ) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        endpoint = server.stdout.readline().strip()
        assert endpoint, "the S3 server did not start; its reason is above"
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_ACCESS_KEY_ID", "test:tester")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        Session().client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}/all?endpoint={endpoint}"
        server.stdin.close()
