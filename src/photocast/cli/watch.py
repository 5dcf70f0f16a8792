# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast watch``: see how far a job of a service is."""

import json
from typing import Annotated

import typer

from photocast.cli.server import LOCAL, JobId, KeyFile, Server, asking, followed, outcome

__all__ = ["watch"]


def watch(
    job_id: JobId,
    server: Server = LOCAL,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="The job as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Follow a job until it ends; Ctrl-C leaves it running.

    Example: `photocast watch job_01k9…`
    """
    from photocast.cli.progress_bar import progress_for

    with asking(server, key_file, patient=True) as client, progress_for(quiet=quiet) as progress:
        job = followed(client, job_id, progress)
    if as_json:
        typer.echo(json.dumps({"ok": True, "job": job.model_dump(mode="json")}))
    else:
        typer.echo(outcome(job))
