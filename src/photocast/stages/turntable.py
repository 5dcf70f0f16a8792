# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``turntable.webp``: the object turning once."""

import io
import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from photocast.data import Scene
from photocast.deadline import deadline_of
from photocast.progress import Progress, silent
from photocast.stages.orbit import orbit_camera
from photocast.stages.render import Drawable, Style, draw, drawable

__all__ = ["BACKDROP", "turntable_frames", "webp"]

BACKDROP = (238, 240, 242)
"""sRGB behind objects in pictures for people: a light neutral grey."""

_TURN_MS = 36 * 90
_FINE, _FEWEST = 2, 8
"""Supersampling where there is time; frames where there is none."""


def turntable_frames(
    scene: Scene,
    *,
    frames: int = 36,
    size: int = 384,
    style: Style = "color",
    device: str | torch.device = "cpu",
    progress: Progress = silent,
    item: Drawable | None = None,
) -> list[NDArray[np.uint8]]:
    """Draw the object from all around, (size, size, 3) sRGB each; ``item`` is its upload."""
    item = item or drawable(scene.mesh, device, light=scene.light)

    def picture(share: float, supersample: int) -> NDArray[np.uint8]:
        camera = orbit_camera(
            scene.mesh.vertices, scene.up, azimuth_deg=360 * share, size=(size, size)
        )
        return draw(item, camera, style=style, supersample=supersample).over(BACKDROP)

    left = deadline_of(progress).remaining
    pictures = [picture(0.0, _FINE)]
    seconds = left - deadline_of(progress).remaining if left < math.inf else 0.0
    count, supersample = _affordable(frames, seconds, left)
    for index in range(1, count):
        progress("turntable", index, count)
        pictures.append(picture(index / count, supersample))
    progress("turntable", count, count)
    return pictures


def _affordable(frames: int, seconds: float, left: float) -> tuple[int, int]:
    """How many frames fit into the time left, and how finely drawn, if one takes ``seconds``."""
    few = min(frames, _FEWEST)
    if seconds * few > left:
        return few, 1
    return next(count for count in range(frames, 0, -1) if seconds * count <= left), _FINE


def webp(frames: list[NDArray[np.uint8]]) -> bytes:
    """Encode pictures as an endless animation."""
    images = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        format="WEBP",
        save_all=True,
        append_images=images[1:],
        duration=_TURN_MS // len(frames),
        loop=0,
        quality=80,
        method=2,  # half the time of 4, for a twentieth more bytes
    )
    return buffer.getvalue()
