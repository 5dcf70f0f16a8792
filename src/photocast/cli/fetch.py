# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast fetch``: bring the files of a job here."""

import json
from pathlib import Path
from typing import Annotated

import typer

from photocast.cli.server import LOCAL, JobId, KeyFile, Server, asking, stopped

__all__ = ["fetch"]


def fetch(
    job_id: JobId,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files.", show_default="out/JOB")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Only this file; any number of them.")
    ] = None,
    server: Server = LOCAL,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Bring the files of a job here, and verify them.

    Example: `photocast fetch job_01k9… --out result`

    What is here already stays; a fetch that was stopped goes on where it ended.
    """
    from photocast.cli.progress_bar import progress_for

    folder = out if out is not None else Path("out") / job_id
    with (
        stopped("What has arrived is kept. The same command goes on."),
        asking(server, key_file, patient=True) as client,
        progress_for(quiet=quiet) as progress,
    ):
        places = client.fetch(job_id, folder, names=name or (), progress=progress)
    if as_json:
        typer.echo(json.dumps({"ok": True, "files": [str(path) for path in places]}))
        return
    for path in places:
        typer.echo(path)
