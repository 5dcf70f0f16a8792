# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Settle the doubtful pixels of background masks by what the other photos saw.

A dark fold of the object in shadow and a lit fold of the cloth look alike in one photo. In the
world they do not: the fold is lit in other photos, the cloth is nowhere bright. So pixels are
sorted into background, unknown and object; a hull is carved by those that are sure, finer and
finer at its surface; and unknown pixels become what the hull says.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera
from photocast.threads import cpu_threads

__all__ = ["BACKGROUND", "OBJECT", "UNKNOWN", "Labels", "settle"]

Array = NDArray[np.float64]

BACKGROUND, UNKNOWN, OBJECT = 0, 1, 2

_LEVELS = 3  # 64 cells, then two halvings: 256 along the longest side
_FIRST = 64
_ALLOWED = 1  # views that may contradict
_SUPPORT = 0.75  # of the views that see a point must be sure of it
_MOST_THREADS = 8  # more only wait for the interpreter: each outline is many short calls


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One photo's sure and unsure pixels."""

    camera: Camera
    labels: NDArray[np.uint8]
    """``BACKGROUND``, ``UNKNOWN`` or ``OBJECT``, (h, w), of the camera's size."""


def settle(
    wanted: Sequence[Labels], witnesses: Sequence[Labels], box: Array
) -> list[NDArray[np.bool_]]:
    """Decide every pixel.

    Args:
        wanted: Photos whose masks are asked for.
        witnesses: All photos that may vote, the wanted ones included.
        box: Object bounds in the world, (2, 3).

    Returns:
        A mask per wanted photo: sure pixels as they were, unknown ones inside the hull's outline.
    """
    solid = _carve(witnesses, box)

    def decide(photo: Labels) -> NDArray[np.bool_]:
        outline = _outline(photo.camera, solid)
        mask = (photo.labels == OBJECT) | ((photo.labels == UNKNOWN) & outline)
        return np.asarray(mask, dtype=np.bool_)

    threads = min(cpu_threads(), _MOST_THREADS)
    with ThreadPoolExecutor(threads, thread_name_prefix="photocast-vote") as pool:
        return list(pool.map(decide, wanted))


def _carve(witnesses: Sequence[Labels], box: Array) -> list[tuple[Array, float]]:
    """Cells of the hull as (centres, size), the inner ones coarse, those at the surface fine."""
    extent = box[1] - box[0]
    cell = float(extent.max()) / _FIRST
    counts = np.ceil(extent / cell).astype(int)
    index = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, 3)
    solid = []
    for level in range(_LEVELS):
        centres = box[0] + (index + 0.5) * cell
        index = index[_belongs(witnesses, centres, cell, strict=level == _LEVELS - 1)]
        if level == _LEVELS - 1:
            solid.append((box[0] + (index + 0.5) * cell, cell))
            break
        inner = _is_inner(index)
        solid.append((box[0] + (index[inner] + 0.5) * cell, cell))
        offsets = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        index = (2 * index[~inner, None] + offsets).reshape(-1, 3)
        cell /= 2
    return solid


def _is_inner(index: NDArray[np.int64]) -> NDArray[np.bool_]:
    # Inner: two cells deep in all six directions, as the coarse test forgives most of a cell. Finer
    # levels lack the coarse inner cells, whose neighbours then only look like surface, which costs
    # time and no correctness.
    if not len(index):
        return np.zeros(0, np.bool_)
    low = index.min(axis=0) - 2
    grid = np.zeros(index.max(axis=0) - low + 3, np.bool_)
    at = index - low
    grid[tuple(at.T)] = True
    inner = np.ones(len(index), np.bool_)
    for axis in range(3):
        for step in (-2, -1, 1, 2):
            beside = at.copy()
            beside[:, axis] += step
            inner &= grid[tuple(beside.T)]
    return inner


def _belongs(
    witnesses: Sequence[Labels], centres: Array, cell: float, *, strict: bool
) -> NDArray[np.bool_]:
    labels = [witness.labels for witness in witnesses]
    if not strict:  # a coarse cell belongs if any part of it may
        middle = centres.mean(axis=0) if len(centres) else np.zeros(3)
        with ThreadPoolExecutor(cpu_threads(), thread_name_prefix="photocast-vote") as pool:
            labels = list(pool.map(lambda w: _widened(w, middle, cell), witnesses))
    return _asked([witness.camera for witness in witnesses], labels, centres)


def _widened(witness: Labels, middle: Array, cell: float) -> NDArray[np.uint8]:
    """Labels that reach half a cell's diagonal further, as seen where the object is."""
    depth = abs(float(witness.camera.project(middle[None])[1][0]))
    reach = 0.87 * cell * witness.camera.fx / max(depth, 1e-12)
    side = 2 * int(np.clip(np.ceil(reach), 0, 40)) + 1
    wide = cv2.dilate(witness.labels, np.ones((side, side), np.uint8))
    return np.asarray(wide, dtype=np.uint8)


def _asked(
    cameras: Sequence[Camera], labels: Sequence[NDArray[np.uint8]], centres: Array
) -> NDArray[np.bool_]:
    """What the photos say about the cells."""
    # Not above: whoever only wants to know what a folder is must not wait for these.
    import torch

    from photocast.ops.vote import Witnesses, vote

    matrices = [camera.intrinsics @ camera.camera_from_world[:3] for camera in cameras]
    lengths = np.array([label.size for label in labels])
    witnesses = Witnesses(
        torch.from_numpy(np.stack(matrices)),
        torch.tensor([label.shape[::-1] for label in labels], dtype=torch.int32),
        torch.from_numpy((np.cumsum(lengths) - lengths).astype(np.int32)),
        torch.from_numpy(np.concatenate([label.ravel() for label in labels])),
    )
    return vote(torch.from_numpy(centres), witnesses, _ALLOWED, _SUPPORT).numpy()


def _outline(camera: Camera, solid: Sequence[tuple[Array, float]]) -> NDArray[np.bool_]:
    outline = np.zeros((camera.height, camera.width), np.uint8)
    for centres, cell in solid:
        pixels, depth = camera.project(centres)
        x, y = np.floor(pixels).astype(np.int64).T
        ok = (depth > 0) & (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)
        if not ok.any():
            continue
        layer = np.zeros_like(outline)
        layer[y[ok], x[ok]] = 1
        side = int(np.clip(np.ceil(cell * camera.fx / float(np.median(depth[ok]))), 1, 61)) | 1
        outline |= cv2.morphologyEx(layer, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return np.asarray(outline > 0)
