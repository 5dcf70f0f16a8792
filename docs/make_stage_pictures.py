# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Run the stages of ``optimize`` on the sample capture and write ``docs/images/stage-*.webp``.

    python docs/make_stage_pictures.py                                     # as on the page
    python docs/make_stage_pictures.py --preset standard --device cuda

Small settings unless a preset is named: photos of 160 px, a grid of 96. That took 2.2 minutes of
processor time, 8 minutes on a busy machine of 2 cores. The stages are called one by one, in the
order of ``photocast.engines.optimize.engine``, because the pictures show what lies between them.
"""

import argparse
import json
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from picture_sheets import BACKDROP, SAMPLE, Tile, load, mask_of, save_sheet, small_setting

from photocast.config import PRESETS, OptimizeConfig, optimize_preset
from photocast.data import Capture, Light, Mesh, Photo
from photocast.data.grid_frame import GridFrame
from photocast.formats.srgb import srgb_from_linear
from photocast.progress import silent
from photocast.stages.appearance import AppearanceFit
from photocast.stages.appearance_maps import finished_material
from photocast.stages.carve import carve_hollows
from photocast.stages.consistency import object_box
from photocast.stages.hull import hull_distance, tighten
from photocast.stages.isosurface import extract_mesh
from photocast.stages.lit import layout_of
from photocast.stages.map_size import fitting_size
from photocast.stages.rays import Rays
from photocast.stages.refine import refine
from photocast.stages.refine_targets import refine_targets
from photocast.stages.render import Style, draw, drawable, over
from photocast.stages.unwrap import unwrap
from photocast.stages.volume import BAND, Volume, fit_volume

_SIZE, _WHOLE = 160, 256
_TILE = 250
_SHOWN = (0, 3, 6)
"""Held-out photos, from low to high."""

Photos = tuple[Photo, ...]


class Pictures:
    """Draws meshes from the held-out cameras, and writes sheets."""

    def __init__(self, tests: Photos) -> None:
        self.photos = [tests[i] for i in _SHOWN]
        self.start = time.perf_counter()

    def views(
        self, mesh: Mesh, style: Style = "clay", light: Light | None = None, side: int = 2 * _TILE
    ) -> list[Tile]:
        """One tile per camera."""
        item = drawable(mesh, light=light)
        cameras = [photo.camera.resized(side, side) for photo in self.photos]
        return [draw(item, camera, style=style).over(BACKDROP) for camera in cameras]

    def save(self, name: str, rows: dict[str, list[Tile]], side: int = _TILE) -> None:
        """A sheet with one column per title."""
        path = save_sheet(f"stage-{name}", list(rows), list(zip(*rows.values(), strict=True)), side)
        seconds = time.perf_counter() - self.start
        sys.stderr.write(f"{path.name}: {path.stat().st_size // 1000} kB, {seconds:.0f} s\n")


def shapes(
    capture: Capture, photos: Photos, config: OptimizeConfig, shown: Pictures
) -> tuple[Mesh, dict[str, int]]:
    """Hull, carved hull and fitted volume; the mesh of the last."""
    device = torch.device(config.device)
    found = object_box(photos) if capture.box is None else capture.box
    box = tighten(photos, found, device=device)
    frame = GridFrame.around(box, config.volume.resolution // 2)
    hull = hull_distance(photos, frame, device=device).clamp(-BAND, BAND)
    rays = Rays(photos, config.volume.seed, device)
    rays.focus(frame)
    blank = torch.full((*hull.shape, 3), 0.5, device=device)
    start = extract_mesh(Volume(torch.cat([blank, hull[..., None]], -1), frame), config.mesh)
    masks = [np.repeat(mask_of(photo)[..., None], 3, axis=2) for photo in shown.photos]
    shown.save("1-hull", {"mask": masks, "hull": shown.views(start)})
    carved, _ = carve_hollows(hull, rays, config.volume.carve, BAND, silent)
    dug = extract_mesh(Volume(carved, frame), config.mesh)
    shown.save("2-carved", {"hull": shown.views(start), "carved": shown.views(dug)})
    volume = fit_volume(photos, box, config.volume, device=device, progress=silent)
    mesh = extract_mesh(volume, config.mesh)
    shown.save("3-volume", {"carved": shown.views(dug), "fitted": shown.views(mesh)})
    counts = {"hull": len(start.faces), "carved": len(dug.faces), "fitted": len(mesh.faces)}
    return mesh, counts


def appearance(
    shape: Mesh, photos: Photos, config: OptimizeConfig, shown: Pictures
) -> tuple[Mesh, Light]:
    """Maps on the fitted shape, then shape and maps together, then the maps at full size."""
    device = torch.device(config.device)
    size = min(config.appearance.size, fitting_size(shape, photos))
    maps = replace(config.appearance, size=size, exposure="off")
    mesh = unwrap(shape, replace(config.unwrap, size=size), device=device)
    surface = layout_of(mesh, device)
    fit = AppearanceFit(surface, photos, maps, silent)
    fit.run(0, len(maps.coarse))
    rough, light = finished(mesh, fit)
    coarse = {"base colour": shown.views(rough, "base_color")}
    coarse["under the light found so far"] = shown.views(rough, "color", light)
    shown.save("4-coarse-maps", coarse)
    targets = refine_targets(mesh, photos, device)
    assert targets is not None
    moved = refine(surface[0], surface[2], fit, targets, config.refine, silent)
    mesh = replace(mesh, vertices=moved.cpu().numpy())
    shown.save("5-refined", {"fitted": shown.views(shape), "refined": shown.views(mesh)})
    fit.move(layout_of(mesh, device))
    fit.run(len(maps.coarse))
    return finished(mesh, fit)


def finished(mesh: Mesh, fit: AppearanceFit) -> tuple[Mesh, Light]:
    """The mesh with the maps as they are now, and the light."""
    found = fit.found()
    device = found.base.device
    layout = layout_of(mesh, device)[2]
    light = Light(found.environment.cpu().numpy())
    return replace(mesh, material=finished_material(layout, found)), light


def results(mesh: Mesh, light: Light, shown: Pictures) -> None:
    """The final sheets."""
    truth = [over(photo.rgb, mask_of(photo), BACKDROP) for photo in shown.photos]
    drawn = shown.views(mesh, "color", light, side=truth[0].shape[0])
    off = [
        np.minimum(4 * np.abs(a.astype(np.int16) - b), 255).astype(np.uint8)
        for a, b in zip(truth, drawn, strict=True)
    ]
    shown.save("6-final", {"held-out photo": truth, "render": drawn, "difference, 4 times": off})
    material = mesh.material
    sheets = {"base colour": shown.views(mesh, "base_color")}
    for name, values in (("roughness", material.roughness), ("metallic", material.metallic)):
        assert values is not None
        sheets[name] = shown.views(_painted(mesh, values), "base_color")
    assert material.normal is not None
    bent = material.normal * 0.5 + 0.5
    sheets["normal map"] = shown.views(_painted(mesh, bent), "base_color")
    sheets["normals"] = shown.views(mesh, "normal")
    shown.save("7-material", sheets, side=180)
    true = cv2.imread(str(SAMPLE / "ground_truth_light.hdr"), cv2.IMREAD_UNCHANGED)
    assert true is not None
    lights = {"environment found": light.environment, "true environment": true[..., ::-1]}
    shown.save("8-environment", {title: [_light_tile(v)] for title, v in lights.items()}, 320)


def _painted(mesh: Mesh, values: NDArray[np.float32]) -> Mesh:
    """The mesh with a map of numbers in the place of its colour, to be seen as grey values."""
    three = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    linear = np.where(three <= 0.04045, three / 12.92, ((three + 0.055) / 1.055) ** 2.4)
    return replace(mesh, material=replace(mesh.material, base_color=linear.astype(np.float32)))


def _light_tile(radiance: NDArray[np.float32]) -> Tile:
    """Half of the brightness, so that lamps show; texels stay squares."""
    codes = srgb_from_linear(0.5 * radiance.clip(0, 2))
    tile: Tile = np.repeat(np.repeat(codes, 512 // codes.shape[0], 0), 512 // codes.shape[0], 1)
    return tile


def main() -> None:
    """Write all sheets; prints the number of triangles and the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--preset", choices=PRESETS, help="instead of small settings")
    options = parser.parse_args()
    size, config = _SIZE, small_setting(options.device, carve_steps=400)
    if options.preset:
        size, config = _WHOLE, optimize_preset(options.preset, device=options.device)
    capture, photos, tests = load(SAMPLE, size)
    shown = Pictures(tests)
    mesh, counts = shapes(capture, photos, config, shown)
    mesh, light = appearance(mesh, photos, config, shown)
    results(mesh, light, shown)
    seconds = round(time.perf_counter() - shown.start)
    sys.stdout.write(json.dumps({"triangles": counts, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
