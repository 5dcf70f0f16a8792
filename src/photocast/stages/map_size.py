# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How large a texture the photos can fill."""

from collections.abc import Sequence

import numpy as np

from photocast.data import Mesh, Photo

__all__ = ["fitting_size"]

_FINER = 1.6  # texels per pixel along an axis


def fitting_size(mesh: Mesh, photos: Sequence[Photo], *, use: float = 0.6) -> int:
    """The power of two at which a texel is clearly smaller than a pixel of the closer photos.

    Photos see each place from several sides and a little shifted: together they hold more than one
    of them (measured on exact geometry: a texel of 0.6 pixels gains 1 dB over one of a pixel).

    Args:
        mesh: The surface; UVs are not needed.
        photos: With their cameras.
        use: Share of the map that the charts will cover.

    Returns:
        256 to 4096 [px].
    """
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = float(np.linalg.norm(cross, axis=1).sum() / 2)
    middle = mesh.bounds.mean(axis=0)[None]
    pixels = [
        abs(float(photo.camera.project(middle)[1][0])) / max(photo.camera.fx, photo.camera.fy)
        for photo in photos
    ]
    if not pixels or area <= 0:
        return 256
    side = _FINER * np.sqrt(area / use) / float(np.percentile(pixels, 25))
    return int(2 ** np.clip(np.round(np.log2(max(side, 1.0))), 8, 12))
