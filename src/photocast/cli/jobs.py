# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast jobs``: list the jobs of a service."""

import itertools
import json
from enum import Enum
from typing import Annotated

import typer

from photocast.cli.server import LOCAL, KeyFile, Server, asking, outcome

__all__ = ["jobs"]


class State(str, Enum):
    """Where a job stands."""

    draft = "draft"
    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    canceled = "canceled"


def jobs(
    state: Annotated[
        list[State] | None, typer.Option(help="Only jobs in this state; any number of them.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    server: Server = LOCAL,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """List your jobs, newest first.

    Example: `photocast jobs --state running --state queued`
    """
    with asking(server, key_file) as client:
        wanted = [one.value for one in state or []]
        found = list(itertools.islice(client.jobs(state=wanted), count))
    if as_json:
        shown = [job.model_dump(mode="json") for job in found]
        typer.echo(json.dumps({"ok": True, "jobs": shown}))
        return
    for job in found:
        typer.echo(f"{job.created_at.astimezone():%Y-%m-%d %H:%M}  {outcome(job)}")
    if not found:
        typer.echo("There are no such jobs.", err=True)
