# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fusion against its twin, and against planes whose distance is known."""

import pytest
import torch

from photocast.ops.depth_fusion import DepthViews, fuse_depth, fuse_depth_twin

SIZE = (6, 7, 20)
FAR = 30.0  # from the cameras to grid vertices with z = 0 [voxel]


def facing(depths, *, weights=None, slope=1.0, device="cpu"):
    """Cameras that look along +z from z = -FAR, each at a wall ``depths[v]`` in front of it."""
    count, side = len(depths), 40
    weights = [1.0] * count if weights is None else weights
    maps = [
        torch.tensor([d, slope, w]).expand(side * side, 3)
        for d, w in zip(depths, weights, strict=True)
    ]
    pose = torch.eye(4).repeat(count, 1, 1)
    pose[:, 2, 3] = FAR
    return DepthViews(
        samples=torch.cat(maps).contiguous().to(device),
        first=torch.arange(count, device=device) * side * side,
        width=torch.full((count,), side, dtype=torch.int32, device=device),
        height=torch.full((count,), side, dtype=torch.int32, device=device),
        camera_from_grid=pose.to(device),
        intrinsics=torch.tensor([40.0, 40.0, 18.0, 18.0], device=device).repeat(count, 1),
    )


def along_z(field):
    """The values on the line through the middle of the grid."""
    return field[3, 3].cpu()


Z = torch.arange(SIZE[2], dtype=torch.float32)


def test_fusion_matches_the_twin(device):
    random = torch.Generator().manual_seed(0)
    views = facing([FAR + d for d in (4.0, 5.0, 6.5, 12.0, 5.2)], device=device)
    noise = torch.randn(views.samples.shape, generator=random).to(device)
    samples = views.samples + noise * torch.tensor([0.8, 0.05, 0.0], device=device)
    samples[..., 2] = torch.rand(len(samples), generator=random).to(device)
    samples[samples[..., 2] < 0.15, 2] = 0
    turned = views.camera_from_grid.clone()
    for v in range(len(turned)):
        axis = torch.linalg.matrix_exp(torch.tensor([[0, -1.0, 0], [1, 0, 0], [0, 0, 0]]) * 0.2 * v)
        turned[v, :3, :3] = axis.to(device)
    views = DepthViews(
        samples.contiguous(), views.first, views.width, views.height, turned, views.intrinsics
    )
    fast = fuse_depth(views, SIZE, min_support=0.3)
    on_cpu = DepthViews(*(getattr(views, name).cpu() for name in DepthViews.__dataclass_fields__))
    slow = fuse_depth_twin(on_cpu, SIZE, min_support=0.3)
    known = slow[1] > 0
    assert 0.2 < known.float().mean() < 0.95
    # A vote on the border of two bins may fall to either side in single precision.
    for got, wanted in zip(fast, slow, strict=True):
        off = (got.cpu() - wanted).abs()
        assert (off[known] > 1e-3).float().mean() < 0.01
    assert ((fast[1].cpu() > 0) == known).float().mean() > 0.99


def test_a_wall_has_its_distance_in_front_and_nothing_is_known_behind(device):
    distance, weight = fuse_depth(facing([FAR + 8.0] * 2, device=device), SIZE)
    exact = (8 - Z).clamp(max=3)
    behind = Z > 10
    torch.testing.assert_close(along_z(distance)[~behind], exact[~behind], atol=1e-4, rtol=0)
    assert (along_z(weight)[behind] == 0).all()
    assert (along_z(weight)[Z < 8] == 2).all()


def test_the_slope_turns_gaps_in_depth_into_distances():
    distance, _ = fuse_depth(facing([FAR + 8.0] * 2, slope=0.5), SIZE)
    assert along_z(distance)[6] == pytest.approx(1.0, abs=1e-4)


def test_one_wrong_view_of_five_moves_nothing_unless_all_are_averaged():
    views = facing([FAR + d for d in (8.0, 8.1, 7.9, 8.0, 5.5)])
    robust, _ = fuse_depth(views, SIZE)
    mean, _ = fuse_depth(views, SIZE, scale=1e6)
    assert along_z(robust)[8].abs() < 0.05
    assert along_z(mean)[8].abs() > 0.1


def test_a_point_in_mid_air_is_removed_by_those_who_see_through_it():
    distance, weight = fuse_depth(facing([FAR + 14.0, FAR + 14.0, FAR + 14.0, FAR + 4.0]), SIZE)
    assert (along_z(distance)[:10] > 2.5).all()
    assert (along_z(weight)[:10] >= 2).all()


def test_a_doubtful_view_alone_shows_neither_surface_nor_free_space():
    views = facing([FAR + 8.0], weights=[0.3])
    assert (fuse_depth(views, SIZE, min_support=0.5)[1] == 0).all()
    assert along_z(fuse_depth(views, SIZE, min_support=0.2)[1])[5] > 0
    two = facing([FAR + 8.0, FAR + 8.0], weights=[0.3, 0.3])
    assert along_z(fuse_depth(two, SIZE, min_support=0.5)[1])[5] > 0


def test_next_to_an_unknown_pixel_nothing_is_said():
    views = facing([FAR + 8.0])
    samples = views.samples.clone().view(40, 40, 3)
    samples[18:, :, 2] = 0
    cut = DepthViews(
        samples.view(-1, 3).contiguous(),
        *(getattr(views, name) for name in list(DepthViews.__dataclass_fields__)[1:]),
    )
    _, weight = fuse_depth(cut, SIZE)
    y = torch.arange(SIZE[1])
    rows = y / (FAR + 5) * 40 + 18 - 0.5  # of the pixel above, counted from its centre
    known = weight[3, :, 5] > 0
    assert torch.equal(known, rows.floor() + 1 < 18)
