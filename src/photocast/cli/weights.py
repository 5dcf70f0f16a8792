# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast weights``: fetch and check the weights of engines that need any."""

import json
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photocast.cli.device import Device, chosen_device
from photocast.errors import UserError

if TYPE_CHECKING:
    from photocast.errors import WeightsError
    from photocast.progress import Progress

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
    run: Annotated[
        bool, typer.Option("--run", help="Also generate from known photos, and compare.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Expect from now on what is generated now.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="GLB file for what was generated, to look at it.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    low_memory: Annotated[
        bool, typer.Option("--low-memory", help="Keep one network at a time on the device.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Check the weights of `generate`: hashes, names and shapes.

    Example: `photocast weights verify`

    Files that were put there by hand have no recorded hash; their names and shapes are checked.
    With `--run` the networks generate from four photos of the built-in sample object, and the
    result must be near to what `--record` wrote down earlier, on this kind of device.
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
        ran = None
        if run or record or out is not None:
            ran = _run(found.root, device, progress, record=record, out=out, low_memory=low_memory)
    if as_json:
        facts = {"folder": str(found.root), "networks": NETWORKS, "hashed": hashed, "ran": ran}
        typer.echo(json.dumps({"ok": True, **facts, "test_weights": found.is_test}))
        return
    typer.echo(f"{found.root}: {len(NETWORKS)} networks with the right names and shapes.")
    typer.echo(f"{len(hashed)} files have the recorded hash." if hashed else "No hash is recorded.")
    if ran is not None:
        done = "recorded" if record else "as expected"
        typer.echo(f"Known photos ({ran['where']}): {done}, {len(ran['measured'])} numbers.")
    if found.is_test:
        typer.echo("These are seeded weights for tests: what they make means nothing.")


def _run(
    root: Path,
    device: Device,
    progress: "Progress",
    *,
    record: bool,
    out: Path | None,
    low_memory: bool,
) -> dict[str, Any]:
    """Generate from the known photos; compare, or record.

    Raises:
        WeightsError: Nothing is expected yet, or something else came out.
    """
    from photocast import known_photos
    from photocast.errors import WeightsError

    path = root / known_photos.EXPECTED
    if not (record or out or known_photos.read_expected(path)):
        raise _nothing_expected("any device")
    where, measured = known_photos.try_weights(
        root, chosen_device(device), progress, mesh=out, low_memory=low_memory
    )
    if record:
        known_photos.write_expected(path, where, measured)
    expected = known_photos.read_expected(path).get(where)
    if expected is None:
        raise _nothing_expected(where)
    if wrong := known_photos.compare(expected, measured):
        raise WeightsError(
            f"The known photos give something else than was recorded on {where}: "
            f"{'; '.join(wrong)}. If that is meant, look at the result (--out FILE.glb) and "
            "record it anew (--record).",
            code="weights.differs",
        )
    return {"where": where, "measured": measured}


def _nothing_expected(where: str) -> "WeightsError":
    from photocast.errors import WeightsError

    return WeightsError(
        f"Nothing is expected of these weights on {where} yet. Look at a result (--out FILE.glb); "
        "if it is good, write its numbers down: photocast weights verify --record",
        code="weights.no_expectation",
    )


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
