# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Webhook messages that wait to be sent, written together with the change that they tell of."""

import json
import time
from datetime import datetime, timezone

from sqlalchemy import Connection, func, insert, select

from photocast.jobs.ids import new_id
from photocast.jobs.record import Job, State
from photocast.jobs.tables import deliveries

__all__ = ["EVENT_NAMES", "FINAL_EVENTS", "enqueue"]

EVENT_NAMES = {
    State.RUNNING: "job.started",
    State.SUCCEEDED: "job.succeeded",
    State.FAILED: "job.failed",
    State.CANCELED: "job.canceled",
}
"""What a message is called, by the new state."""
FINAL_EVENTS = ("job.succeeded", "job.failed", "job.canceled")
"""What is told unless the job asks otherwise."""


def enqueue(connection: Connection, job: Job) -> None:
    """Write the message about a job's new state, if its webhook wants one."""
    event = EVENT_NAMES.get(job.state)
    if event is None or job.webhook is None or event not in job.webhook.get("events", FINAL_EVENTS):
        return
    last = select(func.coalesce(func.max(deliveries.c.number), 0)).where(
        deliveries.c.job_id == job.id
    )
    now = time.time()
    values = {
        "id": new_id("msg"),
        "job_id": job.id,
        "number": connection.execute(last).scalar_one() + 1,
        "event": event,
        "body": _body(job, event, now),
        "state": "waiting",
        "tries": 0,
        "due_at": now,
        "outcome": {},
    }
    connection.execute(insert(deliveries).values(values))


def _body(job: Job, event: str, now: float) -> str:
    """The message: what a receiver needs to decide whether to ask for more."""
    told = {
        "id": job.id,
        "state": job.state.value,
        "attempt": job.attempt,
        "labels": job.labels,
        "verdict": job.verdict,
        "error": job.error,
    }
    at = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds")
    return json.dumps({"type": event, "timestamp": at, "data": {"job": told}})
