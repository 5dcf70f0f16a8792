# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How long the stages of earlier jobs took, from which the time left is told."""

import statistics
import time
from collections.abc import Mapping

from sqlalchemy import insert, select

from photocast.jobs.database import Database
from photocast.jobs.tables import history

__all__ = ["StageHistory"]

_LAST = 20
_MOST_PARTS = 40


class StageHistory:
    """Seconds by stage, by profile: kind, engine and preset."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, profile: str, seconds: Mapping[str, float]) -> None:
        """Remember one run."""
        facts = {stage: round(value, 3) for stage, value in list(seconds.items())[:_MOST_PARTS]}
        with self._database.write() as connection:
            connection.execute(insert(history).values(at=time.time(), profile=profile, facts=facts))

    def weights(self, profile: str) -> dict[str, float]:
        """Median seconds of each stage in the last runs, in the order of the last one."""
        query = (
            select(history.c.facts)
            .where(history.c.profile == profile)
            .order_by(history.c.id.desc())
            .limit(_LAST)
        )
        with self._database.read() as connection:
            runs = list(connection.execute(query).scalars())
        if not runs:
            return {}
        return {
            stage: max(statistics.median(run[stage] for run in runs if stage in run), 0.01)
            for stage in runs[0]
        }
