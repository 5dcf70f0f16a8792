# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a scene for scoring: as it looks under its light, or its base colour alone."""

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Camera, Scene
from photocast.stages.evaluate import Render
from photocast.stages.render import Drawable, Style, draw, drawable

__all__ = ["render_for_scores", "rendering_of"]

_SUPERSAMPLE = 2  # samples per pixel along each axis


def render_for_scores(
    scene: Scene, device: str | torch.device = "cpu", *, style: Style = "color"
) -> Render:
    """Upload a scene once; the function returned draws it from any camera.

    Args:
        scene: With the light to draw it in.
        device: Where to draw.
        style: ``color`` or ``base_color``.
    """
    # The seam: the one place of all scores where a scene's light meets the drawing.
    return rendering_of(drawable(scene.mesh, device, light=scene.light), style=style)


def rendering_of(item: Drawable, *, style: Style = "color") -> Render:
    """How every score sees a thing: averaged over the pixel, as a photo is."""

    def render(camera: Camera) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        picture = draw(item, camera, style=style, supersample=_SUPERSAMPLE)
        return picture.rgb, picture.alpha

    return render
