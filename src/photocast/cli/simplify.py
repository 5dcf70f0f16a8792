# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast simplify``: fewer triangles with the same look, also as levels of detail."""

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simplify"]


def simplify(
    source: Annotated[Path, typer.Argument(metavar="MESH", help="The mesh to simplify.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where the simpler mesh goes.")],
    faces: Annotated[int, typer.Option(min=4, help="Triangles, at most.")],
    levels: Annotated[
        int, typer.Option(min=1, max=8, help="How many files, each of half the triangles.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Reduce the number of triangles, and bake the texture over.

    Example: `photocast simplify scan.glb small.glb --faces 20000 --levels 3`

    Further levels are written beside the first, as small_lod1.glb, small_lod2.glb and so on.
    """
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.formats.frame_mark import frame_up
    from photocast.formats.meshes import load_mesh, mesh_files, require_writable
    from photocast.stages.export import place_files
    from photocast.stages.mesh_distance import mesh_distances
    from photocast.stages.simplify import simplify as reduce

    suffix = require_writable(out)
    mesh = load_mesh(source)
    up = frame_up(source)
    told: list[dict[str, object]] = []
    with progress_for(quiet=quiet) as bars, cancellable(bars) as progress:
        for level in range(levels):
            made = reduce(mesh, max(faces >> level, 4), level=level, progress=progress)
            stem = f"{out.stem}_lod{level}" if level else out.stem
            place_files(out.absolute().parent, mesh_files(made, suffix, stem=stem, up=up))
            away = mesh_distances(made, mesh, point_count=50_000).chamfer
            texture = made.material.base_color
            told.append(
                {
                    "file": f"{stem}{suffix}",
                    "faces": len(made.faces),
                    "texture_size": None if texture is None else texture.shape[0],
                    "distance": away,
                }
            )
    if as_json:
        typer.echo(json.dumps({"ok": True, "faces_before": len(mesh.faces), "levels": told}))
        return
    for row in told:
        typer.echo(
            f"{out.with_name(str(row['file']))}: {row['faces']:,} of {len(mesh.faces):,} triangles,"
            f" {100 * float(str(row['distance'])):.3f} % of the diagonal away on average"
        )
