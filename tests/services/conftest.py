# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A real Redis for the tests that ask for one."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def redis(servers: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """A Redis as we recommend it, not started yet, and ended at the end."""
    if servers.redis_program() is None:
        pytest.skip("no Redis: sh scripts/get-services.sh")
    server = servers.RedisServer(tmp_path)
    yield server
    server.kill()
