# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast render``: a picture or a turntable of a finished mesh."""

import io
import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photocast.data import Camera, Scene
    from photocast.stages.render import Rendered

__all__ = ["render"]


class Look(str, Enum):
    """What a picture shows."""

    color = "color"
    clay = "clay"
    normal = "normal"
    depth = "depth"
    base_color = "base_color"


def render(
    source: Annotated[
        Path, typer.Argument(metavar="OUT_OR_MESH", help="A result folder, or a mesh file.")
    ],
    out: Annotated[Path, typer.Option(help="Picture: .png, or .webp with --turntable.")],
    camera: Annotated[
        str | None, typer.Option(help="A view by its name in cameras.json.", show_default=False)
    ] = None,
    turntable: Annotated[bool, typer.Option("--turntable", help="Animate one turn.")] = False,
    azimuth: Annotated[float, typer.Option(help="Without --camera: around the object [deg].")] = 30,
    elevation: Annotated[float, typer.Option(help="Without --camera: above it [deg].")] = 20,
    size: Annotated[
        int | None,
        typer.Option(
            min=16, max=8192, help="Longer side [px].", show_default="the camera's, else 768"
        ),
    ] = None,
    look: Annotated[Look, typer.Option("--style", help="What to show.")] = Look.color,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """Draw a finished mesh from one of its cameras or from around.

    Example: `photocast render result/ --camera IMG_0007 --out view.png`

    Example: `photocast render result/mesh.glb --turntable --style clay --out turn.webp`

    A picture has a transparent background; a turntable a light one.
    """
    _check(out, camera, turntable)
    orbit = _Orbit(azimuth, elevation, size or 768)
    if turntable:
        data = _animation(source, look, size or 384, device)
    else:
        data = _picture(source, camera, orbit, size, look, device)
    from photocast.stages.export import place_files

    place_files(out.absolute().parent, {out.name: data})
    if as_json:
        typer.echo(json.dumps({"ok": True, "out": str(out), "bytes": len(data)}))
    else:
        typer.echo(f"{out}")


@dataclass(frozen=True)
class _Orbit:
    """Where to look from if no camera is named."""

    azimuth_deg: float
    elevation_deg: float
    size: int


def _check(out: Path, camera: str | None, turntable: bool) -> None:
    if turntable and camera is not None:
        raise UserError("Choose --camera or --turntable, not both.", code="render.choice")
    wanted = ".webp" if turntable else ".png"
    if out.suffix.lower() != wanted:
        raise UserError(
            f"--out is {out.name}; a {'turntable' if turntable else 'picture'} is a {wanted} file.",
            code="render.suffix",
        )


def _animation(source: Path, look: Look, size: int, device: str) -> bytes:
    from photocast.cli.interrupt import cancellable
    from photocast.cli.progress_bar import progress_for
    from photocast.formats.result_folder import load_result
    from photocast.stages.turntable import turntable_frames, webp

    scene = load_result(source)
    with progress_for(quiet=False) as bars, cancellable(bars) as progress:
        frames = turntable_frames(
            scene, size=size, style=look.value, device=_device(device), progress=progress
        )
    return webp(frames)


def _picture(
    source: Path, camera: str | None, orbit: _Orbit, size: int | None, look: Look, device: str
) -> bytes:
    from photocast.formats.result_folder import load_result
    from photocast.stages.render import render_view

    scene = load_result(source)
    placed = _orbit(scene, orbit) if camera is None else _named(scene, camera, size)
    return _png(render_view(scene, placed, device=_device(device), style=look.value, supersample=2))


def _named(scene: "Scene", name: str, size: int | None) -> "Camera":
    if name not in scene.cameras:
        some = ", ".join(list(scene.cameras)[:8]) or "none, for there is no cameras.json"
        raise UserError(
            f"No camera is called {name!r}; there are {len(scene.cameras)}: {some}"
            f"{', …' if len(scene.cameras) > 8 else ''}.",
            code="render.camera",
        )
    camera = scene.cameras[name]
    if size is None:
        return camera
    factor = size / max(camera.width, camera.height)
    return camera.resized(
        max(round(camera.width * factor), 1), max(round(camera.height * factor), 1)
    )


def _orbit(scene: "Scene", orbit: _Orbit) -> "Camera":
    from photocast.stages.orbit import orbit_camera

    return orbit_camera(
        scene.mesh.vertices,
        scene.up,
        azimuth_deg=orbit.azimuth_deg,
        elevation_deg=orbit.elevation_deg,
        size=(orbit.size, orbit.size),
    )


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UserError(f"--device is {name}; there are auto, cpu and cuda.", code="device.unknown")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "No CUDA device can be used here. Use --device cpu, or install a CUDA build of torch.",
            code="device.no_cuda",
        )
    return name


def _png(picture: "Rendered") -> bytes:
    import numpy as np
    from PIL import Image

    rgba: NDArray[np.uint8] = np.dstack([picture.rgb, picture.alpha])
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, format="PNG")
    return buffer.getvalue()
