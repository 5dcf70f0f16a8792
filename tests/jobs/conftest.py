# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Each database in turn: SQLite, and a real PostgreSQL where it is installed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from photocast.jobs.database import Database, open_database
from photocast.jobs.record import Kind, NewJob
from photocast.jobs.store import JobStore


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'jobs.db'}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> JobStore:
    return JobStore(database)


@pytest.fixture
def new_job() -> Callable[..., NewJob]:
    """What a caller wants, with some of it changed."""

    def make(owner: str = "ada", **values: Any) -> NewJob:
        usual: dict[str, Any] = {
            "kind": Kind.RECONSTRUCT,
            "options": {"engine": "fake", "fake": {"seconds": 0.5}},
            "labels": {"sku": "Ä-7"},
            "max_seconds": 60.0,
        }
        return NewJob(owner=owner, **(usual | values))

    return make
