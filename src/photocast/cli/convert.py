# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast convert``: a mesh in another format."""

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["convert"]


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="OUT_OR_MESH", help="A result folder, or a mesh file.")
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Ends in .glb, .gltf, .obj, .ply, .stl, .3mf or .usdz."
        ),
    ],
    scale: Annotated[float, typer.Option(help="Multiply all positions.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """Write a mesh in another format, and say what that format cannot hold.

    Example: `photocast convert result/ print.3mf`
    """
    from dataclasses import asdict

    from photocast.stages.convert import convert_mesh

    done = convert_mesh(source, out, scale=scale)
    if as_json:
        typer.echo(json.dumps({"ok": True, "out": str(out), **asdict(done)}))
        return
    lost = f" Not in it: {', '.join(done.lost)}." if done.lost else ""
    also = f", {', '.join(done.files[1:])}" if done.files[1:] else ""
    typer.echo(f"{out}{also}: {done.face_count:,} triangles.{lost}")
