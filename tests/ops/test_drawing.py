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
from photocast.ops.interpolate import interpolate, interpolate_with_slopes
from photocast.ops.rasterize import rasterize
from photocast.ops.texture import mip_pyramid, texture


@pytest.mark.data
@pytest.mark.parametrize("view", [0, 7, 20])
def test_coverage_of_spot_is_the_alpha_of_its_photo(capture_folder, view):
    trimesh = pytest.importorskip("trimesh")
    image = pytest.importorskip("PIL.Image")
    folder = capture_folder("spot")
    mesh = trimesh.load(folder / "ground_truth.ply")  # welded
    cameras = json.loads((folder / "transforms_train.json").read_text(encoding="utf-8"))
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


def picture(points, faces, size, surface):
    """White, or a smooth texture that sticks to the surface."""
    raster = rasterize(points, faces, size)
    if surface is None:
        image = interpolate(torch.ones((points.shape[1], 2)), raster, faces)
    else:
        pyramid = mip_pyramid(torch.linspace(0, 1, 18).view(3, 3, 2).flip(1))
        at, slopes = interpolate_with_slopes(surface, raster, faces)
        image = texture(pyramid, at, slopes, raster.face)
    return antialias(image, raster, points, faces)


@pytest.mark.parametrize(("textured", "tolerance"), [(False, 0.08), (True, 0.3)])
@pytest.mark.parametrize("seed", range(3))
def test_the_whole_chain_follows_a_central_difference_silhouettes_included(
    torus, seed, textured, tolerance
):
    # Silhouettes move over 6 pixels each way; nothing is masked. The mean of the derivative on the
    # way is compared: it swings with the place of the silhouette between pixel centres. Where the
    # colour varies it is also off by what the colour changes over half a pixel.
    clip, faces = torus(24, 16)
    random = torch.Generator().manual_seed(seed)
    size = (60, 76)
    rough = torch.rand((2, 2, 5, 6), generator=random)
    target = torch.nn.functional.interpolate(rough, size, mode="bilinear").movedim(1, -1)
    direction = torch.randn((2, 1, 4), generator=random)
    direction = direction + 0.1 * torch.randn(clip.shape, generator=random)
    direction = direction * torch.tensor([0.2, 0.2, 0, 0.04])
    position = clip[0, :, :2] / clip[0, :, 3:]
    surface = 0.5 + 0.4 * torch.sin(2 * position) if textured else None

    def loss(points):
        return ((picture(points, faces, size, surface) - target) ** 2).sum()

    slopes = []
    for t in torch.linspace(-1, 1, 101):
        points = (clip + t * direction).requires_grad_()
        (grad,) = torch.autograd.grad(loss(points), points)
        slopes.append((grad * direction).sum())
    along = torch.stack(slopes)
    want = (loss(clip + direction) - loss(clip - direction)) / 2
    assert want.abs() > 5
    assert (along.mean() - want).abs() < tolerance * along.abs().mean()
