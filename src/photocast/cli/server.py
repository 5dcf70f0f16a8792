# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the commands that ask a service have in common: address, key, and how a job is followed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photocast.errors import Cancelled, UserError

if TYPE_CHECKING:
    from photocast.client import Client
    from photocast.progress import Progress
    from photocast.wire import JobView

__all__ = ["JobId", "KeyFile", "Server", "asking", "followed", "outcome", "stopped"]

Server = Annotated[
    str,
    typer.Option(envvar="PHOTOCAST_SERVER", show_envvar=False, help="Address of the service."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="File that holds the key.", show_default="the key in PHOTOCAST_KEY"),
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job, such as job_01k9….")]
LOCAL = "http://127.0.0.1:8000"
_TRIES = 2  # a command that only looks should say soon that nobody is there
_PATIENT_TRIES = 10  # one that works for long outlives a restart of the service


@contextmanager
def asking(server: str, key_file: Path | None, *, patient: bool = False) -> "Iterator[Client]":
    """A client of the service.

    Args:
        server: Its address.
        key_file: Holds the key; else it is in ``PHOTOCAST_KEY``, if there is one.
        patient: Wait for a service that is away for a minute.
    """
    from photocast.client import Client, Retry

    retry = Retry(count=_PATIENT_TRIES if patient else _TRIES)
    with Client(server, _key(key_file), retry=retry) as client:
        yield client


def followed(client: "Client", job_id: str, progress: "Progress") -> "JobView":
    """Show how far a job is until it has succeeded.

    Raises:
        JobFailed: It has not.
        Cancelled: The user has seen enough; the job goes on.
    """
    with stopped(f"{job_id} goes on. Watch it again with: photocast watch {job_id}"):
        for event in client.watch(job_id):
            seen = event.data.get("progress") if event.type == "snapshot" else event.data
            if event.type in ("snapshot", "progress") and seen:
                _show(seen, progress)
        return client.wait(job_id)


@contextmanager
def stopped(message: str) -> Iterator[None]:
    """Tell what a Ctrl-C means for this command."""
    try:
        yield
    except KeyboardInterrupt:
        raise Cancelled(message) from None


def outcome(job: "JobView") -> str:
    """A job in one line."""
    parts = [job.id, job.state]
    if job.state == "running" and job.progress.percent is not None:
        parts.append(f"{job.progress.percent:.0f} %")
    if job.verdict:
        parts.append(f"verdict {job.verdict}")
    if job.error:
        parts.append(f"{job.error.detail} [{job.error.code}]")
    return "  ".join(parts)


def _show(seen: dict[str, Any], progress: "Progress") -> None:
    percent, stage, count = (seen.get(name) for name in ("percent", "stage_index", "stage_count"))
    if percent is not None:
        numbers = {"part": stage, "of": count} if stage and count else {}
        progress("job", round(percent), 100, **numbers)


def _key(key_file: Path | None) -> str | None:
    if key_file is None:
        return os.environ.get("PHOTOCAST_KEY") or None
    text = key_file.read_text(encoding="utf-8").strip() if key_file.is_file() else ""
    if not text:
        raise UserError(
            f"{key_file} holds no key. Make one with: photocast keys add", code="key.file"
        )
    return text
