# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import sys

import pytest
import torch
from torch.testing import assert_close

from photocast.errors import UserError
from photocast.ops.backend import backend

needs_both = pytest.mark.skipif(
    importlib.util.find_spec("nvdiffrast") is None or not torch.cuda.is_available(),
    reason="compares with nvdiffrast on CUDA; one of them is not here",
)

SIZE = 400, 480


def test_an_absent_backend_says_why_and_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvdiffrast", None)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", None)
    with pytest.raises(UserError, match=r"non-commercial .* install it yourself") as caught:
        backend("nvdiffrast")
    assert caught.value.code == "backend.missing"


def test_an_unknown_backend_is_refused_by_name():
    with pytest.raises(UserError, match="no backend 'opengl'; use warp or nvdiffrast"):
        backend("opengl")


def test_the_default_backend_is_ours_and_loads_no_other(torus):
    clip, faces = torus(12, 8)
    assert backend().rasterize(clip, faces, (9, 9)).face.shape == (2, 9, 9)
    assert "nvdiffrast" not in sys.modules


@pytest.fixture
def drawn(torus):
    """Raster, interpolated, antialiased and gradients of both backends.

    Large faces: where they are small, nvdiffrast misses most silhouettes (decision 0012).
    """
    clip, faces = (x.cuda() for x in torus(8, 6))
    random = torch.Generator().manual_seed(3)
    colors = torch.rand((clip.shape[1], 3), generator=random).cuda()
    upstream = torch.randn((2, *SIZE, 3), generator=random).cuda()
    results = {}
    for name in ("warp", "nvdiffrast"):
        verbs = backend(name)
        points, values = clip.clone().requires_grad_(), colors.clone().requires_grad_()
        raster = verbs.rasterize(points, faces, SIZE)
        flat = verbs.interpolate(values, raster, faces)
        smooth = verbs.antialias(flat, raster, points, faces)
        grads = torch.autograd.grad((smooth * upstream).sum(), [points, values])
        results[name] = raster, flat.detach(), smooth.detach(), grads
    return results["warp"], results["nvdiffrast"]


@pytest.mark.gpu
@needs_both
def test_both_backends_see_the_same_faces_at_the_same_place(drawn):
    (ours, flat, _, _), (theirs, their_flat, _, _) = drawn
    same = ours.face == theirs.face
    assert same.float().mean() > 0.99  # nvdiffrast snaps vertices to parts of a pixel
    assert (ours.face >= 0).float().mean() > 0.2
    assert_close(ours.bary[same], theirs.bary[same], rtol=0, atol=2e-3)
    assert_close(ours.depth[same], theirs.depth[same], rtol=0, atol=1e-4)
    scale = ours.bary_da.abs().max()
    assert_close(ours.bary_da[same], theirs.bary_da[same], rtol=1e-2, atol=1e-2 * float(scale))
    assert_close(flat[same], their_flat[same], rtol=0, atol=2e-3)


@pytest.mark.gpu
@needs_both
def test_both_backends_blend_nearly_the_same_image(drawn):
    (_, flat, smooth, _), (_, _, their_smooth, _) = drawn
    changed = (smooth - flat).abs().sum()
    assert changed > 10
    assert (smooth - their_smooth).abs().sum() < 0.15 * changed


@pytest.mark.gpu
@needs_both
def test_both_backends_give_gradients_of_one_direction_and_size(drawn):
    (*_, ours), (*_, theirs) = drawn
    for a, b in zip(ours, theirs, strict=True):
        cosine = torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)
        assert cosine > 0.97
        assert 0.9 < a.norm() / b.norm() < 1.12
