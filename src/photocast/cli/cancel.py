# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast cancel``: ask a job of a service to stop."""

import json
from typing import Annotated

import typer

from photocast.cli.server import LOCAL, JobId, KeyFile, Server, asking, outcome

__all__ = ["cancel"]


def cancel(
    job_id: JobId,
    server: Server = LOCAL,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="The job as JSON on stdout.")] = False,
) -> None:
    """Ask a job to stop; one that runs stops at the next safe point.

    Example: `photocast cancel job_01k9…`
    """
    with asking(server, key_file) as client:
        job = client.cancel(job_id)
    if as_json:
        typer.echo(json.dumps({"ok": True, "job": job.model_dump(mode="json")}))
    elif job.state == "canceled":
        typer.echo(outcome(job))
    else:
        typer.echo(f"{outcome(job)}  will stop at the next safe point")
