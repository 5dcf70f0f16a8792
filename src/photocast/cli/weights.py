# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast weights``: fetch and check the weights of engines that need any."""

import json
import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from photocast.errors import UserError

__all__ = ["weights"]

weights = typer.Typer(
    help="Fetch and check the weights of engines that need any.", rich_markup_mode="markdown"
)

Folder = Annotated[
    Path | None,
    typer.Option(
        help="Folder of weights.", show_default="PHOTOCAST_WEIGHTS, or ~/.cache/photocast/weights"
    ),
]


class Engine(str, Enum):
    """Engines with weights."""

    generate = "generate"


@weights.command()
def fetch(
    engine: Annotated[Engine, typer.Argument(metavar="ENGINE", help="Whose weights.")],
    folder: Folder = None,
    hub: Annotated[str, typer.Option(help="Address of the hub.")] = "https://huggingface.co",
    agree: Annotated[
        bool, typer.Option("--agree", help="Agree to the licences without being asked.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Download weights, after showing their licences and asking.

    Example: `photocast weights fetch generate`

    Every file is checked against the hash that the hub announces. The published weights of
    `generate` inherit non-commercial terms.
    """
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.nets.weight_fetch import fetch_weights
    from photocast.nets.weight_sources import GENERATE, TERMS

    root = weights_folder(folder)
    del engine  # there is one
    for source in GENERATE:
        where = source.name if hasattr(source, "name") else source.url
        typer.echo(f"{where}\n  {source.about}\n  licence: {source.licence}")
    typer.echo(f"\n{TERMS}\n\nFolder: {root}")
    if not agree and not _asked():
        raise UserError(
            "Nothing was downloaded. To agree to the licences without being asked, say --agree.",
            code="weights.not_agreed",
        )
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        fetch_weights(GENERATE, root, hub=hub, progress=progress)
    typer.echo(f"Fetched. Check them at any time: photocast weights verify --folder {root}")


@weights.command()
def verify(
    folder: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Check the weights of `generate`: hashes, names and shapes.

    Example: `photocast weights verify`

    Files that were put there by hand have no recorded hash; their names and shapes are checked.
    """
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.nets.weight_record import check_hashes
    from photocast.nets.weights import NETWORKS, WeightFolder

    found = WeightFolder(weights_folder(folder))
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        for number, name in enumerate(NETWORKS):
            found.network(name).check()
            progress("names and shapes", number + 1, len(NETWORKS))
        hashed = check_hashes(found.root, progress)
    if as_json:
        facts = {"folder": str(found.root), "networks": NETWORKS, "hashed": hashed}
        typer.echo(json.dumps({"ok": True, **facts, "test_weights": found.is_test}))
        return
    typer.echo(f"{found.root}: {len(NETWORKS)} networks with the right names and shapes.")
    typer.echo(f"{len(hashed)} files have the recorded hash." if hashed else "No hash is recorded.")
    if found.is_test:
        typer.echo("These are seeded weights for tests: what they make means nothing.")


def weights_folder(given: Path | None) -> Path:
    """The folder that was asked for, by option, by environment, or the usual one."""
    if given is not None:
        return given
    named = os.environ.get("PHOTOCAST_WEIGHTS")
    return Path(named) if named else Path.home() / ".cache" / "photocast" / "weights"


def _asked() -> bool:
    try:
        return typer.confirm("Agree to these licences and download?", default=False)
    except typer.Abort:  # nobody there to ask
        return False
