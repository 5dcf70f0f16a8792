# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from photocast.geometry.environment import COSINE_WEIGHTS, VISIBILITY_WEIGHTS
from photocast.ops.rasterize import Raster
from photocast.ops.shade import (
    Incident,
    Layout,
    LobeStack,
    Points,
    filter_lobes,
    footprint,
    seen_points,
    shade,
)
from photocast.ops.shade_twin import shade_twin
from photocast.ops.texture import MipPyramid, level_sizes

COUNT = 300


def unit(*shape, random):
    return torch.nn.functional.normalize(torch.randn(*shape, 3, generator=random), dim=-1)


def scene(seed, dtype=torch.float32):
    """Leaves (normals, light, lobes, base, gloss, bary) and what stays fixed."""
    random = torch.Generator().manual_seed(seed)
    faces = torch.randint(0, 20, (12, 3), generator=random, dtype=torch.int32)
    uv_faces = torch.randint(0, 30, (12, 3), generator=random, dtype=torch.int32)
    tangents = torch.cat([unit(30, random=random), torch.ones(30, 1)], 1)
    # one uv chart per handedness: corners of a face agree in it
    signs = torch.randint(0, 2, (12,), generator=random) * 2.0 - 1
    tangents = tangents[uv_faces.long()].reshape(-1, 4)
    tangents[:, 3] = signs.repeat_interleave(3)
    uvs = torch.rand(30, 2, generator=random)[uv_faces.long()].reshape(-1, 2)
    uv_faces = torch.arange(36, dtype=torch.int32).view(12, 3)
    layout = Layout(faces, uv_faces, uvs, tangents)
    sizes = (level_sizes(16, 16, 3), level_sizes(9, 12, 3))
    counts = [sum(h * w for h, w in size) for size in sizes]
    base = torch.rand(counts[0], 4, generator=random)
    gloss = torch.rand(counts[1], 4, generator=random) * 0.9 + 0.05
    gloss[:, 2:] = (gloss[:, 2:] - 0.5) * 0.8
    axis = unit(1, random=random)
    normals = unit(20, random=random) * 0.4 + axis  # they never cancel in a face
    view = torch.nn.functional.normalize(
        axis + 0.6 * torch.randn(COUNT, 3, generator=random), dim=1
    )
    weights = -torch.rand(COUNT, 3, generator=random).log()
    bary = (weights / weights.sum(1, keepdim=True))[:, :2]
    light = torch.rand(20, 9, 3, generator=random) * 0.15
    light[:, 0] += 0.6
    opened = torch.rand(20, 9, generator=random) * 0.1
    opened[:, 0] += 0.5
    lobes = filter_lobes(torch.rand(32, 64, 3, generator=random)).texels
    face = torch.randint(0, 12, (COUNT,), generator=random, dtype=torch.int32)
    level = torch.rand(COUNT, generator=random) * 4 - 4.5
    leaves = [normals, light, lobes, base, gloss, bary]
    fixed = (layout, opened, sizes, face, level, view)
    return [leaf.to(dtype).requires_grad_() for leaf in leaves], fixed, random


def run(function, leaves, fixed, device="cpu", **options):
    normals, light, lobes, base, gloss, bary = (leaf.to(device) for leaf in leaves)
    layout, opened, sizes, face, level, view = fixed
    layout = Layout(
        *(getattr(layout, n).to(device) for n in ("faces", "uv_faces", "uvs", "tangents"))
    )
    incident = Incident(light, opened.to(device), torch.tensor([[0.1, 0.2, 0.3]], device=device))
    material = (MipPyramid(base, sizes[0]), MipPyramid(gloss, sizes[1]))
    points = Points(face.to(device), bary, level.to(device), view.to(device))
    return function(layout, normals, incident, LobeStack(lobes), material, points, **options)


@pytest.mark.parametrize("seed", [0, 1])
def test_radiance_and_every_gradient_match_the_twin(device, seed):
    leaves, fixed, random = scene(seed)
    exact, _, _ = scene(seed, torch.float64)
    fast, slow = run(shade, leaves, fixed, device), run(shade_twin, exact, fixed)
    assert_close(fast.cpu().double(), slow, rtol=2e-4, atol=2e-5)
    upstream = torch.randn(COUNT, 3, generator=random)
    got = torch.autograd.grad(fast, leaves, upstream.to(device))
    want = torch.autograd.grad(slow, exact, upstream.double())
    names = ["normals", "light", "lobes", "base", "gloss", "bary"]
    for name, a, b in zip(names, got, want, strict=True):
        # texel and table borders fall to either side in float32: few numbers, all of bounded size
        off = (a.double() - b).abs() > 2e-3 * b.abs() + 2e-3 * b.abs().max()
        assert off.double().mean() < 5e-3, name
        cosine = torch.nn.functional.cosine_similarity(a.double().flatten(), b.flatten(), dim=0)
        assert cosine > 0.9999, name


def test_the_twins_gradient_matches_finite_differences():
    leaves, fixed, random = scene(2, torch.float64)
    bent = torch.randn(COUNT, 3, generator=random).double()
    for index in (1, 2, 3):  # light, lobes, base: all of them enter smoothly
        steps = [torch.randn(leaf.shape, generator=random).double() for leaf in leaves]

        def along(t, index=index, steps=steps):
            moved = [leaf.detach() for leaf in leaves]
            moved[index] = moved[index] + t * steps[index]
            return (run(shade_twin, moved, fixed) * bent).sum()

        (grad,) = torch.autograd.grad((run(shade_twin, leaves, fixed) * bent).sum(), leaves[index])
        slope = (along(1e-6) - along(-1e-6)) / 2e-6
        assert_close((grad * steps[index]).sum(), slope, rtol=1e-5, atol=1e-6)


def test_nothing_seen_is_black_and_teaches_nothing(device):
    leaves, fixed, _ = scene(3)
    fixed = (*fixed[:3], torch.full((COUNT,), -1, dtype=torch.int32), *fixed[4:])
    color = run(shade, leaves, fixed, device)
    assert not color.any()
    for grad in torch.autograd.grad(color, leaves, torch.ones_like(color)):
        assert not grad.any()


def test_the_light_learns_the_same_from_every_fourth_sample_repeated(device):
    leaves, fixed, _ = scene(4)
    layout, opened, sizes, face, level, view = fixed
    few = torch.arange(0, COUNT, 4).repeat_interleave(4)
    leaves[5] = leaves[5].detach()[few].requires_grad_()
    fixed = (layout, opened, sizes, face[few], level[few], view[few])
    grads = [
        torch.autograd.grad(run(shade, leaves, fixed, device, light_every=n).sum(), leaves[1])[0]
        for n in (1, 4)
    ]
    assert_close(*grads, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("roughness", "metallic"), [(0.1, 0.0), (0.5, 0.0), (0.2, 1.0), (1.0, 1.0)]
)
def test_a_white_surface_in_white_light_neither_glows_nor_swallows_light(roughness, metallic):
    """The furnace: what is not reflected is scattered, and multiple scattering is given back."""
    leaves, fixed, _ = scene(5)
    normals, light, lobes, base, gloss, bary = (leaf.detach() for leaf in leaves)
    light, base = torch.zeros_like(light), torch.ones_like(base)
    light[:, 0] = 1
    gloss[:] = torch.tensor([roughness, metallic, 0.0, 0.0])
    opened = torch.zeros_like(fixed[1])
    opened[:, 0] = 1
    fixed = (fixed[0], opened, *fixed[2:])
    color = run(shade, [normals, light, torch.ones_like(lobes), base, gloss, bary], fixed)
    assert color.max() < 1.005
    assert color.min() > 0.99


def test_footprint_is_the_longest_axis_in_uv_units():
    layout = Layout(
        torch.tensor([[0, 1, 2]], dtype=torch.int32),
        torch.tensor([[0, 1, 2]], dtype=torch.int32),
        torch.tensor([[0.5, 0.0], [0.0, 0.25], [0.0, 0.0]]),
        torch.zeros(3, 4),
    )
    # b0 grows by 1/4 per pixel in x, b1 by 1/4 in y: u by 1/8, v by 1/16
    level = footprint(
        torch.tensor([[0.25, 0.0, 0.0, 0.25]]), torch.zeros(1, dtype=torch.int32), layout
    )
    assert_close(level, torch.tensor([math.log2(1 / 8)]))


def test_weights_of_a_full_sphere_of_light_are_those_of_a_constant():
    assert COSINE_WEIGHTS[0] * 4 * math.pi == pytest.approx(1)
    assert VISIBILITY_WEIGHTS[0] * 4 * math.pi == pytest.approx(1)


def test_a_texture_without_four_channels_is_refused():
    leaves, fixed, _ = scene(6)
    leaves[3] = leaves[3][:, :3].detach()
    with pytest.raises(ValueError, match="3 channels; 4 are needed"):
        run(shade, leaves, fixed)


def test_pixels_know_their_footprint_and_the_way_to_their_camera(device):
    random = torch.Generator().manual_seed(7)
    (views, height, width), faces = (2, 5, 6), torch.tensor([[0, 1, 2], [3, 1, 0]])
    layout = Layout(
        faces.int(), faces.flip(1).int(), torch.rand(4, 2, generator=random), torch.zeros(4, 4)
    )
    vertices, centers = torch.randn(4, 3, generator=random), torch.randn(2, 3, generator=random) * 4
    face = torch.randint(-1, 2, (views, height, width), generator=random, dtype=torch.int32)
    bary = torch.rand(views, height, width, 2, generator=random) / 2
    slopes = torch.rand(views, height, width, 4, generator=random) - 0.5
    raster = Raster(bary, torch.zeros(views, height, width), face, slopes)
    third = 1 - bary.sum(-1, keepdim=True)
    corners = vertices[faces[face.clamp(min=0).long()]]
    place = (corners * torch.cat([bary, third], -1)[..., None]).sum(-2)
    way = torch.nn.functional.normalize(centers[:, None, None] - place, dim=-1).view(-1, 3)
    level = footprint(slopes.view(-1, 4), face.flatten(), layout)
    there = Raster(*(part.to(device) for part in (bary, raster.depth, face, slopes)))
    moved = Layout(*(getattr(layout, f.name).to(device) for f in dataclasses.fields(Layout)))
    seen = seen_points(there, vertices.to(device), centers.to(device), moved)
    hit = face.flatten() >= 0
    assert_close(seen.view.cpu()[hit], way[hit], rtol=1e-5, atol=1e-6)
    assert_close(seen.level.cpu()[hit], level[hit], rtol=1e-4, atol=1e-4)
    assert not seen.view.cpu()[~hit].any()
    assert not seen.level.cpu()[~hit].any()
