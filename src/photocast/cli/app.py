# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of commands."""

from typing import Annotated

import typer

from photocast import __version__
from photocast.cli.cancel import cancel
from photocast.cli.check import check
from photocast.cli.convert import convert
from photocast.cli.evaluate import evaluate
from photocast.cli.fetch import fetch
from photocast.cli.inspect import inspect
from photocast.cli.jobs import jobs
from photocast.cli.keys import keys
from photocast.cli.reconstruct import reconstruct
from photocast.cli.render import render
from photocast.cli.repair import repair
from photocast.cli.sample import sample
from photocast.cli.serve import serve
from photocast.cli.simplify import simplify
from photocast.cli.submit import submit
from photocast.cli.watch import watch
from photocast.cli.weights import weights
from photocast.cli.worker import worker

__all__ = ["app"]

app = typer.Typer(
    name="photocast",
    help="Photos of an object in, a validated, textured mesh out.",
    epilog="Start with: photocast reconstruct PHOTOS --out RESULT",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"photocast {__version__}")
        raise typer.Exit


@app.callback()
def photocast(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version  # its callback has done the work


app.command()(reconstruct)
app.command()(inspect)
app.command()(evaluate)
app.command()(render)
app.command()(convert)
app.command()(sample)
app.command()(check)
app.command()(repair)
app.command()(simplify)
app.command()(serve)
app.command()(worker)
app.command()(submit)
app.command()(jobs)
app.command()(watch)
app.command()(fetch)
app.command()(cancel)
app.add_typer(keys, name="keys")
app.add_typer(weights, name="weights")
