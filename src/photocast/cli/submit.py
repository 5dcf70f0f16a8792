# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast submit``: send a capture to a service."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photocast.cli.reconstruct import Preset
from photocast.cli.server import LOCAL, KeyFile, Server, asking, followed, outcome, stopped
from photocast.errors import UserError

if TYPE_CHECKING:
    from photocast.client import Client
    from photocast.wire import JobView

__all__ = ["submit"]

_NAMED = 5


def submit(
    capture: Annotated[
        Path, typer.Argument(metavar="CAPTURE", help="Folder of photos, as for reconstruct.")
    ],
    server: Server = LOCAL,
    key_file: KeyFile = None,
    engine: Annotated[str, typer.Option(help="How to reconstruct.")] = "optimize",
    preset: Annotated[Preset, typer.Option(help="How much time to spend.")] = Preset.standard,
    formats: Annotated[str, typer.Option(help="Mesh files, with commas between.")] = "glb",
    label: Annotated[
        list[str] | None, typer.Option(help="NAME=TEXT, for your own use; any number of them.")
    ] = None,
    webhook: Annotated[str | None, typer.Option(help="Address to tell of the job's end.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show progress until the end.")] = False,
    fetch: Annotated[
        Path | None, typer.Option(help="Wait for the result and bring it to this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Send a capture to a service and let it wait for a worker.

    Example: `photocast submit photos --preset draft --fetch result`

    Files that the service holds already are not sent again, so the same command goes on after it
    was stopped.
    """
    options = {"engine": engine, "preset": preset.value, "formats": _formats(formats)}
    labels = dict(_label(text) for text in label or [])
    _tell_skipped(capture)
    with asking(server, key_file, patient=True) as client:
        job = _sent(client, capture, options, labels, webhook, quiet=quiet)
        if job.webhook_secret and not as_json:
            typer.echo(f"Secret of the webhook, shown once: {job.webhook_secret}", err=True)
        files: list[Path] = []
        if watch or fetch:
            typer.echo(f"Sent as {job.id}.", err=True)
            secret = {"webhook_secret": job.webhook_secret}
            job, files = _awaited(client, job, fetch, quiet=quiet)
            job = job.model_copy(update=secret)
    if as_json:
        facts = {"job": job.model_dump(mode="json"), "files": [str(path) for path in files]}
        typer.echo(json.dumps({"ok": True, **facts}))
        return
    typer.echo(outcome(job))
    for path in files:
        typer.echo(path)


def _sent(
    client: "Client",
    capture: Path,
    options: dict[str, Any],
    labels: dict[str, str],
    webhook: str | None,
    *,
    quiet: bool,
) -> "JobView":
    from photocast.cli.progress_bar import progress_for

    again = "Nothing waits yet. The same command sends only what is missing."
    with stopped(again), progress_for(quiet=quiet) as progress:
        return client.submit(
            capture, options=options, labels=labels, webhook=webhook, progress=progress
        )


def _awaited(
    client: "Client", job: "JobView", out: Path | None, *, quiet: bool
) -> "tuple[JobView, list[Path]]":
    from photocast.cli.progress_bar import progress_for

    with progress_for(quiet=quiet) as progress:
        ended = followed(client, job.id, progress)
        if out is None:
            return ended, []
        again = f"Go on with: photocast fetch {job.id} --out {out}"
        with stopped(again):
            return ended, client.fetch(job.id, out, progress=progress)


def _tell_skipped(capture: Path) -> None:
    from photocast.client.captures import capture_files

    skipped = capture_files(capture)[1]
    if skipped:
        named = ", ".join(path.as_posix() for path in skipped[:_NAMED])
        more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        typer.echo(f"Left out, as captures have no such files: {named}{more}.", err=True)


def _formats(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"--label {text}: write NAME=TEXT, such as sku=A-7.", code="submit.label")
    return name, value
