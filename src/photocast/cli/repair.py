# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast repair``: mend a mesh, and say what was changed."""

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.cli.check import EXIT_FAILED

if TYPE_CHECKING:
    from photocast.stages.repair import Repaired, State

__all__ = ["repair"]


class Holes(str, Enum):
    """Which holes to fill."""

    none = "none"
    small = "small"
    all = "all"


def repair(
    source: Annotated[Path, typer.Argument(metavar="MESH", help="The mesh to mend.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where the mended mesh goes.")],
    profile: Annotated[
        str, typer.Option(help="Rules: view, print, simulate, result, or a TOML file.")
    ] = "print",
    fill_holes: Annotated[
        Holes, typer.Option(help="Which holes to fill; small: up to a tenth of the object.")
    ] = Holes.small,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Mend a mesh, say what was changed, and never make it worse by its own report.

    Example: `photocast repair scan.glb mended.glb --profile print`

    The exit code is 0 for pass and warn, and 4 if the mended mesh still fails.
    """
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.formats.frame_mark import frame_up
    from photocast.formats.meshes import load_mesh, mesh_files, require_writable
    from photocast.stages.export import place_files
    from photocast.stages.repair import repair as mend

    suffix = require_writable(out)
    mesh = load_mesh(source)
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        made = mend(mesh, profile, holes=fill_holes.value, progress=progress)
    files = mesh_files(made.mesh, suffix, stem=out.stem, up=frame_up(source))
    place_files(out.absolute().parent, files)
    typer.echo(_as_json(made, out) if as_json else _summary(made, out))
    if made.after.verdict == "fail":
        raise typer.Exit(EXIT_FAILED)


def _summary(made: "Repaired", out: Path) -> str:
    before, after = made.before, made.after
    lines = [
        f"{out}: {_judgement(after)} by profile {made.profile.name}; "
        f"before the repair {_judgement(before)}."
    ]
    lines += [f"  {change.step}: {change.text}" for change in made.changes]
    if not made.changes:
        lines.append("  nothing was to be mended")
    lines += [
        f"  {check.verdict}: {check.name} is {_word(check.value)}, should be {check.limit}"
        for check in after.checks
        if check.verdict in ("warn", "fail")
    ]
    return "\n".join(lines)


def _judgement(state: "State") -> str:
    score = "" if state.score is None else f", {state.score:g} of 100"
    return f"{state.verdict or 'not judged'}{score}"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _as_json(made: "Repaired", out: Path) -> str:
    from dataclasses import asdict

    return json.dumps(
        {
            "ok": True,
            "out": str(out),
            "profile": made.profile.name,
            "before": {"verdict": made.before.verdict, "score": made.before.score},
            "after": {"verdict": made.after.verdict, "score": made.after.score},
            "changes": [asdict(change) for change in made.changes],
        }
    )
