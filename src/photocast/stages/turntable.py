# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``turntable.webp``: the object turning once."""

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from photocast.data import Scene
from photocast.progress import Progress, silent
from photocast.stages.orbit import orbit_camera
from photocast.stages.render import Drawable, Style, draw, drawable

__all__ = ["BACKDROP", "turntable_frames", "webp"]

BACKDROP = (238, 240, 242)
"""sRGB behind objects in pictures for people: a light neutral grey."""

_FRAME_MS = 90


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
    pictures = []
    for index in range(frames):
        camera = orbit_camera(
            scene.mesh.vertices, scene.up, azimuth_deg=360 * index / frames, size=(size, size)
        )
        pictures.append(draw(item, camera, style=style, supersample=2).over(BACKDROP))
        progress("turntable", index + 1, frames)
    return pictures


def webp(frames: list[NDArray[np.uint8]]) -> bytes:
    """Encode pictures as an endless animation."""
    images = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        format="WEBP",
        save_all=True,
        append_images=images[1:],
        duration=_FRAME_MS,
        loop=0,
        quality=80,
        method=2,  # half the time of 4, for a twentieth more bytes
    )
    return buffer.getvalue()
