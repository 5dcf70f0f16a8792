# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.testing import assert_close

from photocast.ops.antialias import antialias
from photocast.ops.determinism import deterministic
from photocast.ops.interpolate import interpolate, interpolate_with_slopes
from photocast.ops.rasterize import rasterize, rasterize_twin
from photocast.ops.texture import texture

SIZES = [(1, 1), (1, 19), (23, 1), (16, 16), (37, 21)]


def on(device, *tensors):
    return [tensor.to(device) for tensor in tensors]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_every_channel_matches_the_twin(soup, device, seed, size):
    clip, faces = soup(seed)
    fast, slow = (
        rasterize(*on(device, clip, faces), size),
        rasterize_twin(clip.double(), faces, size),
    )
    assert torch.equal(fast.face.cpu(), slow.face)
    assert_close(fast.bary.cpu().double(), slow.bary, rtol=1e-5, atol=1e-6)
    assert_close(fast.depth.cpu().double(), slow.depth, rtol=1e-5, atol=1e-6)
    assert_close(fast.bary_da.cpu().double(), slow.bary_da, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_gradient_of_weights_and_depth_matches_the_twin(soup, device, seed):
    clip, faces = soup(seed)
    fast_clip = clip.to(device).requires_grad_()
    slow_clip = clip.double().requires_grad_()
    fast = rasterize(fast_clip, faces.to(device), (37, 21))
    slow = rasterize_twin(slow_clip, faces, (37, 21))
    for channel in ("bary", "depth"):
        a, b = getattr(fast, channel), getattr(slow, channel)
        upstream = torch.randn(b.shape, generator=torch.Generator().manual_seed(seed))
        (got,) = torch.autograd.grad(a, fast_clip, upstream.to(device), retain_graph=True)
        (want,) = torch.autograd.grad(b, slow_clip, upstream.double(), retain_graph=True)
        assert want.abs().max() > 0.1
        assert_close(got.cpu().double(), want, rtol=1e-4, atol=1e-5 * float(want.abs().max()))


def test_twin_matches_finite_differences_inside_faces(soup):
    clip, faces = soup(3)
    clip = clip.double()
    kept = rasterize_twin(clip, faces, (9, 7)).face

    def inner(points):
        raster = rasterize_twin(points, faces, (9, 7))
        assert torch.equal(raster.face, kept)  # the step moves no silhouette over a centre
        return raster.bary, raster.depth

    assert torch.autograd.gradcheck(inner, clip.requires_grad_(), eps=1e-7, atol=1e-5, rtol=1e-4)


def test_backward_is_the_adjoint_of_the_forward_derivative(torus):
    clip, faces = torus(12, 8)
    random = torch.Generator().manual_seed(0)
    clip = clip.requires_grad_()
    bary = rasterize(clip, faces, (40, 52)).bary
    upstream = torch.randn(bary.shape, generator=random)
    (pulled,) = torch.autograd.grad(bary, clip, upstream)
    direction = torch.randn(clip.shape, generator=random)
    _, pushed = torch.autograd.functional.jvp(
        lambda points: rasterize_twin(points, faces, (40, 52)).bary,
        clip.detach().double(),
        direction.double(),
    )
    assert_close(
        (pulled * direction).sum().double(), (pushed * upstream).sum(), rtol=1e-3, atol=1e-3
    )


def test_bary_da_is_the_step_to_the_next_pixel():
    clip = torch.tensor([[[-3, -2, 0, 1.0], [9, -4, 1, 3.0], [-1, 8, 1, 2.0]]])
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    fine = rasterize(clip, faces, (300, 500))
    step = fine.bary[:, 150, 251:253] - fine.bary[:, 150, 249:251]
    assert_close(fine.bary_da[:, 150, 250:252, 0::2], step / 2, rtol=1e-3, atol=1e-6)
    step = fine.bary[:, 152:154, 250] - fine.bary[:, 150:152, 250]
    assert_close(fine.bary_da[:, 151:153, 250, 1::2], step / 2, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (30, 33)])
def test_two_faces_of_a_square_cover_each_centre_once(device, size):
    # The diagonal of the full image runs through pixel centres when it is square.
    clip = torch.tensor([[[-1, -1, 0, 1.0], [1, -1, 0, 1], [1, 1, 0, 1], [-1, 1, 0, 1]]])
    clip = clip.to(device)
    counts = sum(
        (
            rasterize(clip, torch.tensor([face], dtype=torch.int32, device=device), size).face >= 0
        ).int()
        for face in ([0, 1, 2], [2, 3, 0])
    )
    assert torch.equal(counts.cpu(), torch.ones((1, *size), dtype=torch.int32))


def test_a_fan_around_a_pixel_centre_covers_it_once():
    angles = torch.arange(7) / 7 * 2 * torch.pi
    rim = torch.stack([angles.cos(), angles.sin(), 0 * angles, 1 + 0 * angles], -1) * 0.9
    rim[:, 3] = 1
    rim[0, :2] = torch.tensor([0.75, 0.125])  # a spoke through pixel centres too
    clip = torch.cat([torch.tensor([[0.125, 0.125, 0, 1]]), rim])[None]
    faces = [[0, 1 + i, 1 + (i + 1) % 7] for i in range(7)]
    counts = sum(
        (rasterize(clip, torch.tensor([face], dtype=torch.int32), (8, 8)).face >= 0).int()
        for face in faces
    )
    assert counts[0, 4, 4] == 1
    assert counts.max() == 1


def test_a_grid_with_vertices_on_pixel_centres_has_no_crack_and_no_overlap():
    n, size = 9, (32, 48)
    random = torch.Generator().manual_seed(2)
    y, x = torch.meshgrid(torch.linspace(-1.2, 1.2, n), torch.linspace(-1.2, 1.2, n), indexing="ij")
    x = x + 0.1 * (torch.rand((n, n), generator=random) - 0.5)
    y = (((y + 1) * 16).floor() + 0.5) / 16 - 1  # rows of vertices on rows of centres
    w = 1 + torch.rand((n, n), generator=random)
    clip = torch.stack([x * w, y * w, 0 * w, w], -1).view(1, -1, 4)
    i = torch.arange(n * n).view(n, n)
    faces = torch.cat(
        [
            torch.stack([i[:-1, :-1], i[:-1, 1:], i[1:, 1:]], -1).view(-1, 3),
            torch.stack([i[:-1, :-1], i[1:, 1:], i[1:, :-1]], -1).view(-1, 3),
        ]
    ).int()
    counts = sum((rasterize(clip, face[None], size).face >= 0).int() for face in faces)
    assert torch.equal(counts, torch.ones((1, *size), dtype=torch.int32))


def test_a_torus_has_no_cracks(torus):
    clip, faces = torus(40, 30)
    raster = rasterize(clip, faces, (257, 301))
    # Rays through a closed surface cross it an even number of times: half facing, half not.
    a, b, c = clip[:, faces.long()][..., [0, 1, 3]].double().unbind(2)
    front = (a * torch.linalg.cross(b, c)).sum(-1) < 0
    for view in range(2):
        sides = [
            rasterize(clip[view : view + 1], faces[f], (257, 301)).face
            for f in (front[view], ~front[view])
        ]
        assert torch.equal(sides[0] >= 0, sides[1] >= 0)
        assert torch.equal(sides[0][0] >= 0, raster.face[view] >= 0)


def clipped_at_near(points):
    """Corners of a clip-space triangle cut at z = -w (Sutherland-Hodgman), as a fan."""
    polygon = []
    for a, b in zip(points, points.roll(-1, 0), strict=True):
        da, db = a[2] + a[3], b[2] + b[3]
        if da >= 0:
            polygon.append(a)
        if da * db < 0:
            polygon.append(a + da / (da - db) * (b - a))
    fan = [[0, i, i + 1] for i in range(1, len(polygon) - 1)]
    return polygon, fan


@pytest.mark.parametrize("seed", range(8))
def test_a_face_through_the_near_plane_is_drawn_as_if_clipped(device, seed):
    random = torch.Generator().manual_seed(seed)
    near, far = 0.5, 50.0
    camera = torch.randn((3, 3), generator=random).double() * 2
    camera[:, 2] = torch.tensor([-1.0, 0.2, 4.0])  # behind the camera, before near, in front
    z = camera[:, 2] * (far + near) / (far - near) - 2 * far * near / (far - near)
    points = torch.stack([camera[:, 0], camera[:, 1], z, camera[:, 2]], -1)
    polygon, fan = clipped_at_near(points)
    size = (61, 47)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    got = rasterize(points[None].float().to(device), faces, size)
    want = rasterize_twin(torch.stack(polygon)[None], torch.tensor(fan).int(), size)
    assert (got.face >= 0).any()
    assert torch.equal(got.face.cpu() >= 0, want.face >= 0)
    assert_close(got.depth.cpu().double(), want.depth, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shift", [(0, 0, 0, -2), (0, 0, 1.5, 0), (0, 0, -1.5, 0), (3, 0, 0, 0)])
def test_faces_behind_beyond_before_or_beside_the_view_are_not_drawn(shift):
    clip = torch.tensor([[[-0.5, -0.5, 0, 1.0], [0.5, -0.5, 0, 1], [0, 0.5, 0, 1]]])
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    assert (rasterize(clip, faces, (20, 20)).face >= 0).any()
    assert (rasterize(clip + torch.tensor(shift), faces, (20, 20)).face == -1).all()


@pytest.mark.parametrize(
    "corners", [[0, 0, 1], [0, 1, 1], [2, 2, 2], [0, 1, 3], [0, 1, 4], [0, 1, 5]]
)
def test_faces_without_area_or_with_nan_are_not_drawn(corners):
    nan = float("nan")
    points = [[-0.5, -0.5], [0.5, 0.5], [0.0625, 0.0625], [0, 0], [nan, 0], [float("inf"), 0]]
    clip = torch.tensor([[[x, y, 0, 1] for x, y in points]], requires_grad=True)
    raster = rasterize(clip, torch.tensor([corners], dtype=torch.int32), (16, 16))
    assert (raster.face == -1).all()
    assert not raster.bary.any()
    (grad,) = torch.autograd.grad(raster.bary.sum(), clip)
    assert not grad.any()


@pytest.mark.parametrize(("vertices", "count"), [(0, 0), (5, 0)])
def test_an_empty_mesh_leaves_an_empty_image(device, vertices, count):
    clip = torch.rand((2, vertices, 4), device=device, requires_grad=True)
    raster = rasterize(clip, torch.empty((count, 3), dtype=torch.int32, device=device), (5, 7))
    assert (raster.face == -1).all()
    (grad,) = torch.autograd.grad(raster.bary.sum() + raster.depth.sum(), clip)
    assert grad.shape == clip.shape
    assert not grad.any()


def test_no_view_gives_no_image():
    raster = rasterize(torch.empty((0, 3, 4)), torch.tensor([[0, 1, 2]], dtype=torch.int32), (4, 6))
    assert raster.face.shape == (0, 4, 6)


def test_images_beyond_2048_are_covered_to_the_last_pixel(device):
    clip = torch.tensor([[[-1, -1, 0, 1.0], [3, -1, 0, 1], [-1, 3, 0, 1]]], device=device)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    for size in [(5, 4099), (3001, 3)]:
        raster = rasterize(clip, faces, size)
        assert (raster.face == 0).all()
        height, width = size
        last = torch.tensor([(1 - 0.5 / width) / 2, (1 - 0.5 / height) / 2])  # weights 1 and 2
        assert_close(raster.bary[0, -1, -1, 1].cpu(), last[0], rtol=1e-6, atol=0)
        assert_close(raster.bary[0, -1, -1, 0].cpu(), 1 - last.sum(), rtol=1e-3, atol=1e-7)


def test_the_nearer_face_wins_and_the_lower_index_breaks_ties(device):
    square = torch.tensor([[-1, -1], [3, -1], [-1, 3.0]])
    clip = torch.cat(
        [torch.cat([square, torch.tensor([[z, 1.0]]).expand(3, 2)], 1) for z in (0.5, 0.1, 0.1)]
    )[None].to(device)
    faces = torch.arange(9, dtype=torch.int32, device=device).view(3, 3)
    assert (rasterize(clip, faces, (9, 9)).face == 1).all()


def test_two_runs_agree_to_the_last_bit(torus, device):
    clip, faces = on(device, *torus(30, 20))
    runs = []
    for _ in range(2):
        points = clip.clone().requires_grad_()
        raster = rasterize(points, faces, (130, 101))
        upstream = torch.linspace(-1, 1, raster.bary.numel(), device=device)
        runs.append([*raster, *torch.autograd.grad(raster.bary.flatten() @ upstream, points)])
    names = runs if device.type == "cpu" else [run[:-1] for run in runs]
    assert all(torch.equal(a, b) for a, b in zip(*names, strict=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clip": torch.zeros((1, 3, 4), dtype=torch.float64)}, "clip is torch.float64"),
        ({"clip": torch.zeros((3, 4))}, r"clip is torch.float32 of shape \(3, 4\)"),
        ({"clip": torch.zeros((1, 3, 4), device="meta")}, "meta"),
        ({"faces": torch.zeros((1, 3), dtype=torch.int64)}, "faces is torch.int64"),
        ({"faces": torch.zeros((1, 4), dtype=torch.int32)}, r"shape \(1, 4\)"),
        ({"faces": torch.tensor([[0, 1, 3]], dtype=torch.int32)}, "from 0 to 3; there are 3"),
        ({"faces": torch.tensor([[0, 1, -1]], dtype=torch.int32)}, "from -1 to 1"),
        ({"size": (0, 5)}, r"size is \(0, 5\)"),
    ],
)
def test_a_bad_argument_is_named(change, words):
    good = {
        "clip": torch.zeros((1, 3, 4)),
        "faces": torch.zeros((1, 3), dtype=torch.int32),
        "size": (4, 4),
    }
    with pytest.raises(ValueError, match=words):
        rasterize(**(good | change))


def test_the_deterministic_mode_sums_in_integers_to_the_same_gradient(torus, device, monkeypatch):
    clip, faces = on(device, *torus(30, 20))
    attributes = torch.linspace(-1, 1, 1800, device=device).view(600, 3).requires_grad_()
    texels = torch.rand((16, 16, 2), device=device, requires_grad=True)
    points = clip.clone().requires_grad_()

    def gradients(parts=2):
        if device.type == "cpu":
            monkeypatch.setattr("photocast.ops._launch.part_count", lambda _: parts)
        raster = rasterize(points, faces, (130, 101))
        image = antialias(interpolate(attributes, raster, faces), raster, points, faces)
        colors = texture(texels, image[..., :2].contiguous(), mask=raster.face)
        upstream = torch.linspace(-1, 1, colors.numel(), device=device).view_as(colors)
        return torch.autograd.grad((colors * upstream).sum(), [points, attributes, texels])

    loose = gradients()
    with deterministic():
        fixed = [gradients(), gradients(), gradients(parts=5)]
    for run in fixed:
        assert all(torch.equal(a, b) for a, b in zip(run, fixed[0], strict=True))
        for a, b in zip(run, loose, strict=True):
            assert b.abs().max() > 0
            assert_close(a, b, rtol=1e-3, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize(("strips", "most"), [(1, 64), (5, 64), (1, 3), (2, 0)])
def test_drawing_at_once_and_in_bands_is_the_same(soup, torus, monkeypatch, strips, most):
    for clip, faces in (torus(12, 8), soup(1)):
        in_bands = rasterize(clip, faces, (70, 50))
        with monkeypatch.context() as patch:  # what CUDA does
            patch.setattr("photocast.ops.rasterize._draws_at_once", lambda _: True)
            patch.setattr("photocast.ops.rasterize._strips", lambda *_: strips)
            patch.setattr("photocast.ops.rasterize.MOST_PIXELS", most)
            patch.setattr("photocast.ops.rasterize.DRAWERS", 7)
            at_once = rasterize(clip, faces, (70, 50))
        assert (in_bands.face >= 0).any()
        assert all(torch.equal(a, b) for a, b in zip(in_bands, at_once, strict=True))


def test_a_second_derivative_is_refused_instead_of_wrong(torus):
    clip, faces = torus(5, 4)
    clip.requires_grad_()
    bary = rasterize(clip, faces, (6, 6)).bary
    (grad,) = torch.autograd.grad((bary**2).sum(), clip, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_indices_are_checked_again_after_they_changed():
    clip, faces = torch.rand((1, 3, 4)), torch.tensor([[0, 1, 2]], dtype=torch.int32)
    rasterize(clip, faces, (4, 4))
    faces[0, 0] = 3
    with pytest.raises(ValueError, match="from 1 to 3; there are 3"):
        rasterize(clip, faces, (4, 4))
    with pytest.raises(ValueError, match="there are 2 vertices"):
        rasterize(clip[:, :2], faces, (4, 4))


def test_without_slopes_all_else_is_the_same(torus):
    clip, faces = torus(12, 8)
    full, lean = (rasterize(clip, faces, (30, 40), slopes=s) for s in (True, False))
    assert lean.bary_da.shape == (2, 30, 40, 0)
    assert all(torch.equal(a, b) for a, b in zip(full[:3], lean[:3], strict=True))
    with pytest.raises(ValueError, match="bary_da"):
        interpolate_with_slopes(torch.rand((96, 1)), lean, faces)


@pytest.mark.parametrize("scale", [1e-12, 1e12, 3e17])
def test_the_scale_of_homogeneous_coordinates_does_not_matter(torus, scale):
    clip, faces = torus(12, 8)
    plain, scaled = (rasterize(c, faces, (40, 50)) for c in (clip, clip * scale))
    assert (plain.face != scaled.face).sum() <= 2
    same = plain.face == scaled.face
    assert_close(plain.bary[same], scaled.bary[same], rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_chain_can_be_recorded_as_a_cuda_graph(torus):
    clip, faces = (x.cuda() for x in torus(40, 30))
    clip.requires_grad_()
    colors = torch.rand((1200, 3), device="cuda", requires_grad=True)

    def step():
        raster = rasterize(clip, faces, (120, 100))
        image = antialias(interpolate(colors, raster, faces), raster, clip, faces)
        return image, *torch.autograd.grad((image**2).sum(), [clip, colors])

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(side):  # autograd remembers the stream in which a leaf was first used
        expected = step()
        with torch.cuda.graph(graph, stream=side):
            written = step()
    torch.cuda.current_stream().wait_stream(side)
    with torch.no_grad():
        colors.mul_(2)
    graph.replay()
    assert_close(written[0], 2 * expected[0])
    assert_close(written[1], 4 * expected[1], rtol=1e-3, atol=1e-3)
