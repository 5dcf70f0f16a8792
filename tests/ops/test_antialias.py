# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.testing import assert_close

from photocast.ops.antialias import EdgeTopology, antialias, antialias_twin, edge_topology
from photocast.ops.interpolate import interpolate
from photocast.ops.rasterize import Raster, rasterize, rasterize_twin

ONE = torch.tensor([[0, 1, 2]], dtype=torch.int32)


def coverage(clip, faces, size):
    """White mesh over black, antialiased."""
    raster = rasterize(clip, faces, size)
    white = torch.ones((clip.shape[1], 1), device=clip.device)
    return antialias(interpolate(white, raster, faces), raster, clip, faces)


def polygon_area(clip, size):
    """Area in pixels of a star-shaped fan's outline, and its gradient's path."""
    x = (clip[0, :, 0] / clip[0, :, 3] + 1) / 2 * size[1]
    y = (clip[0, :, 1] / clip[0, :, 3] + 1) / 2 * size[0]
    return (x * y.roll(-1) - y * x.roll(-1)).sum().abs() / 2


@pytest.mark.parametrize("scene", ["soup", "torus"])
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradients_match_the_twin(soup, torus, device, scene, seed):
    clip, faces = soup(seed, faces=6) if scene == "soup" else torus(9 + 3 * seed, 7)
    random = torch.Generator().manual_seed(seed)
    size = (15, 22)
    raster = rasterize_twin(clip.double(), faces, size)
    color = torch.rand((2, *size, 3), generator=random)
    fast_in = [color.to(device).requires_grad_(), clip.to(device).requires_grad_()]
    slow_in = [color.double().requires_grad_(), clip.double().requires_grad_()]
    here = Raster(
        *(x.float().to(device) if x.is_floating_point() else x.to(device) for x in raster)
    )
    fast = antialias(fast_in[0], here, fast_in[1], faces.to(device))
    slow = antialias_twin(slow_in[0], raster, slow_in[1], faces)
    assert (slow != slow_in[0]).sum() > 50
    assert_close(fast.cpu().double(), slow, rtol=1e-5, atol=1e-5)
    upstream = torch.randn(slow.shape, generator=random)
    got = torch.autograd.grad(fast, fast_in, upstream.to(device))
    want = torch.autograd.grad(slow, slow_in, upstream.double())
    for a, b in zip(got, want, strict=True):
        assert b.abs().max() > 0.1
        assert_close(a.cpu().double(), b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(70, 90), (1, 40), (43, 1), (9, 8)])
@pytest.mark.parametrize("scene", ["soup", "fine", "torus"])
def test_lists_of_pairs_give_the_same_as_all_pixels(soup, torus, monkeypatch, scene, size):
    clip, faces = {
        "soup": lambda: soup(4, faces=40),
        "fine": lambda: torus(200, 150),  # most pairs are walked
        "torus": lambda: torus(18, 12),
    }[scene]()
    random = torch.Generator().manual_seed(1)
    raster = rasterize(clip, faces, size)
    color = torch.rand((2, *size, 3), generator=random).requires_grad_()
    upstream = torch.randn((2, *size, 3), generator=random)
    clip.requires_grad_()

    def results():
        image = antialias(color, raster, clip, faces)
        return image, *torch.autograd.grad(image, [color, clip], upstream)

    rows = results()
    with monkeypatch.context() as patch:  # what CUDA does
        patch.setattr("photocast.ops.antialias._lists_pairs", lambda _: True)
        patch.setattr("photocast.ops.antialias.WALKERS", 7)  # each walks many
        patch.setattr("photocast.ops.antialias.BLENDERS", 5)
        listed = results()
    thin = 1 in size
    assert thin or (rows[0] != color).sum() > 10
    assert thin or rows[2].abs().max() > 0.1
    assert torch.equal(listed[0], rows[0])
    assert torch.equal(listed[1], rows[1])
    assert_close(listed[2], rows[2], rtol=1e-4, atol=1e-4)


def test_twin_matches_finite_differences(torus):
    clip, faces = torus(4, 3)
    clip, size = clip[:1].double(), (6, 7)
    raster = rasterize_twin(clip, faces, size)
    color = torch.rand((1, *size, 1), dtype=torch.float64, requires_grad=True)

    def blended(c, points):
        return antialias_twin(c, raster, points, faces)

    points = clip.requires_grad_()
    assert torch.autograd.gradcheck(blended, (color, points), eps=1e-7, atol=1e-5, rtol=1e-3)


def test_colour_gradient_is_the_adjoint_of_the_blend(torus, device):
    clip, faces = (x.to(device) for x in torus(16, 12))
    raster = rasterize(clip, faces, (50, 40))
    random = torch.Generator().manual_seed(0)
    color = torch.randn((2, 50, 40, 2), generator=random).to(device).requires_grad_()
    upstream = torch.randn((2, 50, 40, 2), generator=random).to(device)
    blended = antialias(color, raster, clip, faces)  # linear in the colour
    (pulled,) = torch.autograd.grad(blended, color, upstream)
    assert_close((blended * upstream).sum(), (pulled * color).sum(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shift", [0.0, 0.137, 0.25, 0.4, 0.5])
def test_a_straight_vertical_or_horizontal_side_gives_exact_coverage(device, shift):
    size = (8, 10)
    for axis, count in ((0, 10), (1, 8)):
        edge = (4 + shift) / count * 2 - 1  # the side lies at 4 + shift pixels
        corners = torch.tensor([[edge, -9.0], [edge, 9.0], [edge - 9, 0.0]])
        corners = corners if axis == 0 else corners.flip(1)
        clip = torch.cat([corners, torch.tensor([[0.0, 1.0]]).expand(3, 2)], 1)[None].to(device)
        got = coverage(clip, ONE.to(device), size)[0, ..., 0].cpu()
        ramp = (4 + shift - torch.arange(count)).clamp(0, 1)
        assert_close(
            got, ramp.expand(8, 10) if axis == 0 else ramp[:, None].expand(8, 10), rtol=0, atol=1e-5
        )


def polygon(seed, corners=5, size=1.0):
    random = torch.Generator().manual_seed(seed)
    angle = torch.arange(corners) / corners * 2 * torch.pi + torch.rand(1, generator=random)
    radius = size * (0.75 + 0.1 * torch.rand(corners, generator=random))
    w = 1 + torch.rand(corners, generator=random)  # perspective must not matter
    x, y = radius * angle.cos() + 0.01, radius * angle.sin() - 0.02
    clip = torch.stack([x * w, y * w, 0 * w, w], -1)[None]
    fan = torch.tensor([[0, i, i + 1] for i in range(1, corners - 1)], dtype=torch.int32)
    return clip, fan


@pytest.mark.parametrize("seed", range(6))
def test_coverage_sums_to_the_area_of_a_polygon(device, seed):
    size = (90, 120)
    clip, faces = polygon(seed)
    got = coverage(clip.to(device), faces.to(device), size).sum().cpu()
    assert_close(got, polygon_area(clip, size), rtol=0, atol=1.5)  # of about 4500; ends of sides


@pytest.mark.parametrize("seed", range(6))
def test_gradient_of_the_coverage_is_the_gradient_of_the_area(device, seed):
    size = (90, 120)
    clip, faces = polygon(seed)
    fast, exact = clip.to(device).requires_grad_(), clip.double().requires_grad_()
    (got,) = torch.autograd.grad(coverage(fast, faces.to(device), size).sum(), fast)
    (want,) = torch.autograd.grad(polygon_area(exact, size), exact)
    assert_close(got.cpu().double(), want, rtol=0, atol=0.06 * float(want.abs().max()))


@pytest.mark.parametrize("way", [(1.0, 0.0), (0.0, 1.0), (0.6, -0.8)])
def test_loss_of_a_moving_triangle_follows_a_central_difference(way):
    # Silhouettes included: the picture is compared with a target, nothing is masked.
    size = (48, 64)
    clip, faces = polygon(3, corners=3)
    direction = torch.tensor([*way, 0, 0])[None, None] * clip[..., 3:] / 10
    y, x = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij")
    target = (0.3 * x + 0.5 * y * y)[None, ..., None]

    def loss(points):
        return ((coverage(points, faces, size) - target) ** 2).sum()

    # Mean of the derivative over the step: it varies with where the side meets the pixels.
    slopes = []
    for t in torch.linspace(-1, 1, 41):
        here = (clip + t * direction).requires_grad_()
        slopes.append((torch.autograd.grad(loss(here), here)[0] * direction).sum())
    want = (loss(clip + direction) - loss(clip - direction)) / 2
    assert_close(torch.stack(slopes).mean(), want, rtol=0.03, atol=0.05)


def test_gradient_moves_a_triangle_onto_its_target():
    size = (40, 40)
    clip, faces = polygon(1, corners=3, size=0.8)
    goal = coverage(clip + torch.tensor([0.15, -0.1, 0, 0]) * clip[..., 3:], faces, size)
    offset = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([offset], lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        moved = clip + torch.cat([offset, torch.zeros(2)]) * clip[..., 3:]
        ((coverage(moved, faces, size) - goal) ** 2).sum().backward()
        optimizer.step()
    assert_close(offset.detach(), torch.tensor([0.15, -0.1]), rtol=0, atol=0.005)  # 0.1 px


def test_inner_edges_are_left_alone(device):
    clip = torch.tensor([[[-1, -1, 0, 1.0], [1, -1, 0, 1], [1.1, 1, 0, 1], [-1, 1, 0, 1]]])
    clip, faces = clip.to(device), torch.tensor([[0, 1, 2], [2, 3, 0]], dtype=torch.int32)
    faces = faces.to(device)
    raster = rasterize(clip, faces, (21, 33))
    color = torch.rand((1, 21, 33, 3), device=device)
    assert (raster.face >= 0).all()
    assert torch.equal(antialias(color, raster, clip, faces), color)


def test_a_flipped_neighbour_is_still_the_same_surface():
    clip = torch.tensor([[[-1, -1, 0, 1.0], [1, -1, 0, 1], [1.1, 1, 0, 1], [-1, 1, 0, 1]]])
    faces = torch.tensor([[0, 1, 2], [3, 2, 0]], dtype=torch.int32)
    raster = rasterize(clip, faces, (21, 33))
    color = torch.rand((1, 21, 33, 3))
    assert torch.equal(antialias(color, raster, clip, faces), color)


def test_the_silhouette_is_found_through_faces_smaller_than_a_pixel(torus):
    # 300 sides on 60 pixels: most rim faces contain no pixel centre.
    coarse, fine = torus(60, 40), torus(300, 200)
    hard = [(rasterize(c, f, (60, 60)).face >= 0).float() for c, f in (coarse, fine)]
    soft = [coverage(c, f, (60, 60))[..., 0] for c, f in (coarse, fine)]
    blended = [((s > 0.01) & (s < 0.99)).sum() for s in soft]
    assert blended[1] > 0.9 * blended[0] > 100
    assert (soft[0] - soft[1]).abs().mean() < 0.25 * (hard[0] - soft[0]).abs().mean()


def test_a_fold_in_front_of_the_same_mesh_is_a_silhouette(torus):
    clip, faces = torus(60, 40)
    raster = rasterize(clip[1:], faces, (80, 80))  # the tilted one hides part of itself
    color = interpolate(clip[1, :, 2:3].contiguous(), raster, faces)
    changed = (antialias(color, raster, clip[1:], faces) != color)[0, ..., 0]
    hit = raster.face[0] >= 0
    surrounded = torch.nn.functional.avg_pool2d(hit[None, None].float(), 5, 1, 2)[0, 0] == 1
    assert (changed & surrounded).sum() > 5


def test_the_result_stays_between_the_colours_of_the_neighbours(soup):
    for seed in range(6):
        clip, faces = soup(seed, faces=40)
        raster = rasterize(clip, faces, (30, 30))
        color = torch.rand((2, 30, 30, 1), generator=torch.Generator().manual_seed(seed))
        blended = antialias(color, raster, clip, faces)
        assert blended.min() >= color.min() - 1e-6
        assert blended.max() <= color.max() + 1e-6


def test_a_seam_is_no_silhouette_when_the_welded_topology_is_given():
    clip = torch.tensor([[[-1, -1, 0, 1.0], [1, -1, 0, 1], [1.1, 1, 0, 1], [-1, 1, 0, 1]]])
    welded = torch.tensor([[0, 1, 2], [2, 3, 0]], dtype=torch.int32)
    split = torch.cat([clip, clip], 1)
    faces = welded + torch.tensor([[0], [4]], dtype=torch.int32)
    raster = rasterize(split, faces, (21, 33))
    color = torch.rand((1, 21, 33, 3))
    assert torch.equal(antialias(color, raster, split, faces, edge_topology(welded)), color)
    assert not torch.equal(antialias(color, raster, split, faces), color)


def test_topology_pairs_sides_both_ways(torus):
    _, faces = torus(6, 5)
    twins = edge_topology(faces).twins.flatten().long()
    assert (twins >= 0).all()  # a closed mesh
    assert torch.equal(twins[twins], torch.arange(len(twins)))
    ends = faces.long()[:, [[1, 2], [2, 0], [0, 1]]].view(-1, 2)
    assert torch.equal(ends[twins].sort(1).values, ends.sort(1).values)
    assert not torch.equal(twins // 3, torch.arange(len(twins)) // 3)


def test_a_side_of_one_or_three_faces_has_no_twin():
    fins = torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4], [2, 1, 5]], dtype=torch.int32)
    twins = edge_topology(fins).twins
    assert twins[0].tolist() == [3 * 3 + 2, -1, -1]
    assert (twins[1:3] == -1).all()
    assert twins[3].tolist() == [-1, -1, 0]
    assert edge_topology(torch.empty((0, 3), dtype=torch.int32)).twins.shape == (0, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (17, 1)])
def test_thin_images_work(size, device):
    clip, faces = polygon(0)
    clip = clip.to(device).requires_grad_()
    out = coverage(clip, faces.to(device), size)
    assert torch.isfinite(out).all()
    (grad,) = torch.autograd.grad(out.sum(), clip)
    assert torch.isfinite(grad).all()


def test_a_blank_image_passes_through(device):
    clip = torch.zeros((2, 0, 4), device=device, requires_grad=True)
    faces = torch.empty((0, 3), dtype=torch.int32, device=device)
    raster = rasterize(clip, faces, (5, 6))
    color = torch.rand((2, 5, 6, 3), device=device, requires_grad=True)
    out = antialias(color, raster, clip, faces)
    assert torch.equal(out, color)
    grad, none = torch.autograd.grad(out.sum(), [color, clip])
    assert torch.equal(grad, torch.ones_like(color))
    assert none.shape == (2, 0, 4)


def test_two_runs_agree_to_the_last_bit(torus):
    clip, faces = torus(40, 30)
    upstream = torch.linspace(-1, 1, 2 * 90 * 70).view(2, 90, 70, 1)
    runs = []
    for _ in range(2):
        points = clip.clone().requires_grad_()
        out = coverage(points, faces, (90, 70))
        runs.append((out, *torch.autograd.grad((out * upstream).sum(), points)))
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_a_bad_argument_is_named(torus):
    clip, faces = torus(5, 4)
    raster = rasterize(clip, faces, (3, 4))
    color = torch.zeros((2, 3, 4, 1))
    with pytest.raises(ValueError, match=r"color is .* \(2, 3, 4\); .* \(2, 3, 4, any\)"):
        antialias(color[..., 0], raster, clip, faces)
    with pytest.raises(ValueError, match=r"clip is .* \(1, 20, 4\); .* \(2, any, 4\)"):
        antialias(color, raster, clip[:1], faces)
    with pytest.raises(ValueError, match=r"topology.twins is .* \(1, 3\); .* \(40, 3\)"):
        antialias(color, raster, clip, faces, EdgeTopology(faces[:1]))
