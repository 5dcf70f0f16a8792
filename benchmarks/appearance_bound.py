# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How well photos predict each other through a given surface, whatever the shading model.

    python benchmarks/appearance_bound.py result --capture ../shared/data/gold_cape --holdout 8

Points on the surface are looked up in every photo that sees them well. For each point a colour
that depends on the viewing direction (constant, linear or quadratic) is fitted to the photos used,
each brought to one exposure first, and asked what each photo shows: those used without themselves
(leave one out), and the held-out ones at their own exposure. No model that learns each point from
its own photos does much better on this surface; one that shares light between points may. Prints
JSON: PSNR [dB]. Sources: the closed form of leaving one out in linear regression.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Photo, Scene
from photocast.formats.result_folder import load_result
from photocast.geometry.srgb import linear_from_srgb, srgb_from_linear
from photocast.stages.ingest import decode_photos, hold_out_every, read_capture
from photocast.stages.render import draw, drawable

Array = NDArray[np.float64]
LEAST_COSINE = 0.3
FEW = 8
"""Photos that a point needs beside the one it is asked about."""


def surface_points(scene: Scene, count: int) -> tuple[Array, Array]:
    """Points drawn evenly by area, and the normals of their faces."""
    random = np.random.default_rng(0)
    corners = scene.mesh.vertices[scene.mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    face = random.choice(len(corners), count, p=areas / areas.sum())
    weights = random.dirichlet([1, 1, 1], count)
    points = (corners[face] * weights[..., None]).sum(1)
    return points, normals[face] / np.maximum(areas[face, None], 1e-12)


def looked_up(
    scene: Scene, photos: Sequence[Photo], points: Array, normals: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Colours (point, photo, 3), directions likewise, and which photo sees which point well."""
    item = drawable(scene.mesh, "cpu")
    shape = (len(points), len(photos))
    colors, ways, seen = np.zeros((*shape, 3)), np.zeros((*shape, 3)), np.zeros(shape, bool)
    for number, photo in enumerate(photos):
        depth_map = draw(item, photo.camera, supersample=1).depth
        pixels, depth = photo.camera.project(points)
        way = points - photo.camera.center
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        column, row = np.floor(pixels).astype(int).T
        height, width = depth_map.shape
        inside = (column > 1) & (row > 1) & (column < width - 2) & (row < height - 2)
        column, row = column.clip(0, width - 1), row.clip(0, height - 1)
        assert photo.mask is not None
        sure = cv2.erode((photo.mask > 127).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        near = np.abs(depth_map[row, column] - depth) < 0.004 * np.median(depth)
        facing = -(way * normals).sum(1) > LEAST_COSINE
        seen[:, number] = inside & near & facing & sure[row, column]
        ways[:, number] = way
        for start in range(0, len(points), 16384):
            part = slice(start, start + 16384)
            at = pixels[part, None].astype(np.float32) - np.float32(0.5)
            found = cv2.remap(photo.rgb, at[..., 0], at[..., 1], cv2.INTER_LINEAR)
            colors[part, number] = found[:, 0] / 255
    return colors, ways, seen


def exposures(light: Array, seen: NDArray[np.bool_]) -> Array:
    """Natural logarithm of each photo's gain per channel, (photo, 3), zero on average."""
    gains = np.zeros((light.shape[1], 3))
    for _ in range(10):
        flat = light / np.exp(gains) * seen[..., None]
        mean = flat.sum(1) / np.maximum(seen.sum(1), 1)[:, None]
        for photo in range(len(gains)):
            use = seen[:, photo] & (seen.sum(1) > FEW)
            if use.any():
                ratio = (light[use, photo] + 1e-3) / (mean[use] + 1e-3)
                gains[photo] = np.median(np.log(ratio), axis=0)
        gains -= gains.mean(0)
    return gains


def basis(ways: Array, degree: int) -> Array:
    """Spherical harmonics up to ``degree``, not normalised."""
    x, y, z = np.moveaxis(ways, -1, 0)
    terms = [np.ones_like(x)]
    if degree >= 1:
        terms += [x, y, z]
    if degree >= 2:
        terms += [x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1]
    return np.stack(terms, -1)


def predicted(light: Array, ways: Array, used: NDArray[np.bool_], degree: int) -> Array:
    """What the other photos say about each photo, (point, photo, 3)."""
    b, w = basis(ways, degree), used.astype(np.float64)
    ridge = np.diag([1e-3] + [1.0] * (b.shape[-1] - 1))
    inverse = np.linalg.inv(np.einsum("nvi,nv,nvj->nij", b, w, b) + ridge)
    fit = inverse @ np.einsum("nvi,nv,nvc->nic", b, w, light)
    plain = np.einsum("nvi,nic->nvc", b, fit)
    leverage = np.einsum("nvi,nij,nvj->nv", b, inverse, b) * w
    return light - (light - plain) / np.maximum(1 - leverage, 0.05)[..., None]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All numbers."""
    capture = hold_out_every(read_capture(args.capture), args.holdout)
    scene = load_result(args.result)
    used = decode_photos(capture.views, mask_source=capture.mask_source)
    held = decode_photos(capture.test_views, mask_source=capture.mask_source, context=used)
    points, normals = surface_points(scene, args.points)
    colors, ways, seen = looked_up(scene, (*used, *held), points, normals)
    light = linear_from_srgb(torch.from_numpy(colors)).numpy()
    gains = np.exp(exposures(light, seen))
    told: dict[str, Any] = {"photos_per_point": round(float(seen.sum(1).mean()), 1)}
    told["exposure_spread_stops"] = round(float(np.log2(gains).std(0).mean()), 3)
    learn = seen.copy()
    learn[:, len(used) :] = False
    enough = seen & (learn.sum(1) > FEW)[:, None]
    for degree, name in enumerate(("constant", "linear", "quadratic")):
        errors = np.zeros(seen.shape)
        for start in range(0, len(points), 2000):
            part = slice(start, start + 2000)
            guess = predicted(light[part] / gains, ways[part], learn[part], degree) * gains
            shown = srgb_from_linear(torch.from_numpy(guess.clip(0, 1))).numpy()
            errors[part] = ((shown - colors[part]) ** 2).mean(-1)
        for split, columns in (("used", slice(len(used))), ("held", slice(len(used), None))):
            mine = enough[:, columns]
            if mine.any():
                level = -10 * np.log10(errors[:, columns][mine].mean())
                told[f"{name}_{split}"] = round(float(level), 2)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--capture", type=Path, required=True)
    parser.add_argument("--holdout", type=int, default=0)
    parser.add_argument("--points", type=int, default=20_000)
    print(json.dumps(measure(parser.parse_args()), indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
