# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The ops together, on a real mesh and the photos that a path tracer took of it."""

import json
import math

import numpy as np
import pytest
import torch

from photocast.geometry.projection import clip_from_camera, transform_points
from photocast.ops.antialias import antialias, edge_topology
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import rasterize


@pytest.mark.data
@pytest.mark.parametrize("view", [0, 7, 20])
def test_coverage_of_spot_is_the_alpha_of_its_photo(capture_folder, view):
    trimesh = pytest.importorskip("trimesh")
    image = pytest.importorskip("PIL.Image")
    folder = capture_folder("spot")
    mesh = trimesh.load(folder / "ground_truth.ply")  # welded
    cameras = json.loads((folder / "transforms_train.json").read_text())
    frame = cameras["frames"][view]
    alpha = np.asarray(image.open(folder / (frame["file_path"] + ".png")))[..., 3] / 255
    height, width = alpha.shape
    focal = width / 2 / math.tan(cameras["camera_angle_x"] / 2)
    lens = clip_from_camera(
        size=(height, width),
        focal=(focal, focal),
        principal=(width / 2, height / 2),
        near=0.1,
        far=20,
    )
    # The file's cameras look along -Z with +Y up.
    pose = np.linalg.inv(np.array(frame["transform_matrix"]) @ np.diag([1, -1, -1, 1]))
    vertices = torch.tensor(np.asarray(mesh.vertices), dtype=torch.float32)
    faces = torch.tensor(np.asarray(mesh.faces), dtype=torch.int32)
    clip = transform_points((lens @ torch.tensor(pose)).float()[None], vertices)

    raster = rasterize(clip, faces, (height, width))
    white = interpolate(torch.ones((len(vertices), 1)), raster, faces)
    topology = edge_topology(faces)
    assert (topology.twins >= 0).all()
    got = antialias(white, raster, clip, faces, topology)[0, ..., 0].numpy()

    hard = np.abs(white[0, ..., 0].numpy() - alpha).mean()
    assert np.abs(got - alpha).mean() < 0.3 * hard < 1e-3
    assert abs(got.sum() - alpha.sum()) < 1e-3 * alpha.sum()
