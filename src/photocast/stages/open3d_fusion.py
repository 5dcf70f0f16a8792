# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A second opinion on fused depth: Open3D's truncated signed distance, a mean over the views.

The same maps and cameras as for our own fusion (``depth_fusion``); no reconstruction uses it.
Source: Curless & Levoy 1996, A volumetric method for building complex models from range images.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from photocast.data import Mesh, Photo
from photocast.data.grid_frame import GridFrame
from photocast.stages.open3d_door import silenced

__all__ = ["fused_by_open3d"]

_FARTHEST = 1e6


def fused_by_open3d(
    tool: Any, photos: Sequence[Photo], frame: GridFrame, *, truncation: float = 3.0
) -> Mesh:
    """Fuse depth maps and take the surface out.

    Args:
        tool: Open3D.
        photos: Those with depth; pixels outside of a photo's mask take part as well, as in ours.
        frame: The grid; Open3D's is a cube from the same corner, with the same cells.
        truncation: Distances beyond it are not told apart [voxel].
    """
    # Not its scalable volume: that of version 0.20 stays empty, whatever it is given.
    volume = tool.pipelines.integration.UniformTSDFVolume(
        length=max(frame.size) * frame.voxel,
        resolution=max(frame.size),
        sdf_trunc=truncation * frame.voxel,
        color_type=tool.pipelines.integration.TSDFVolumeColorType.NoColor,
        origin=frame.origin.reshape(3, 1),
    )
    with silenced(tool):
        for photo in photos:
            if photo.depth is None:
                continue
            rows, columns = photo.depth.shape
            camera = photo.camera.resized(columns, rows)
            # Its first pixel is centred at 0, ours at 0.5.
            lens = tool.camera.PinholeCameraIntrinsic(
                columns, rows, camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5
            )
            depth = np.ascontiguousarray(np.nan_to_num(photo.depth), np.float32)
            picture = tool.geometry.RGBDImage.create_from_color_and_depth(
                tool.geometry.Image(np.zeros((rows, columns, 3), np.uint8)),
                tool.geometry.Image(depth),
                depth_scale=1.0,
                depth_trunc=_FARTHEST,
                convert_rgb_to_intensity=False,
            )
            volume.integrate(picture, lens, camera.camera_from_world)
        found = volume.extract_triangle_mesh()
    return Mesh(
        np.asarray(found.vertices, np.float32).reshape(-1, 3),
        np.asarray(found.triangles, np.int32).reshape(-1, 3),
    )
