# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Vertices move to where the photos want them, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from photocast.config import AppearanceConfig, RefineConfig
from photocast.data import Material
from photocast.errors import Cancelled
from photocast.geometry.smooth_normals import smooth_normals
from photocast.progress import silent
from photocast.stages.appearance import AppearanceFit
from photocast.stages.lit import layout_of
from photocast.stages.refine import refine
from photocast.stages.refine_targets import refine_targets

CPU = torch.device("cpu")
PIXEL = 3.2 / 80  # on the object, in world units
APPEARANCE = AppearanceConfig(
    size=64, coarse=(), epochs=(10.0,), min_steps=30, samples_per_step=8192, exposure="off"
)


@pytest.fixture(scope="module")
def truth(textured_sphere):
    rough = np.full((4, 4), 0.8, np.float32)
    color = 0.8 * textured_sphere.material.base_color
    material = Material(base_color=color, roughness=rough, unlit=False)
    return replace(textured_sphere, material=material)


@pytest.fixture(scope="module")
def photos(photograph_lit, truth, uneven_light):
    return photograph_lit(truth, uneven_light)


def displaced(truth, pixels, seed=0):
    """Push vertices along their normals, neighbours alike, up to some pixels."""
    direction = np.random.default_rng(seed).normal(size=3) * 3
    offset = pixels * PIXEL * np.sin(truth.vertices @ direction)[:, None]
    return replace(truth, vertices=(truth.vertices * (1 + offset)).astype(np.float32))


class Start:
    """A mesh with what is known of its material so far."""

    def __init__(self, mesh, photos):
        self.vertices, _, self.layout = surface = layout_of(mesh, CPU)
        self.fit = AppearanceFit(surface, photos, APPEARANCE, silent)
        self.fit.run()
        self.targets = refine_targets(mesh, photos, CPU)

    def refined(self, progress=silent, **settings):
        config = RefineConfig(**{"epochs": 16, "batch": 4, **settings})
        return refine(self.vertices, self.layout, self.fit, self.targets, config, progress)


def off(vertices, truth):
    """Root mean square distance along the true normals [px]."""
    goal = torch.tensor(truth.vertices)
    along = ((vertices - goal) * smooth_normals(goal, torch.tensor(truth.faces))).sum(1)
    return float(along.square().mean().sqrt()) / PIXEL


@pytest.mark.parametrize("pixels", [1.0, 2.0])
def test_a_dented_ball_comes_back(truth, photos, pixels):
    mesh = displaced(truth, pixels)
    start = Start(mesh, photos)
    before = off(start.vertices, truth)
    assert before > 0.6 * pixels
    after = start.refined()
    assert off(after, truth) < 0.35 * before
    assert after.mean(0).norm() < 0.25 * PIXEL


def test_a_ball_of_the_wrong_size_meets_the_silhouettes(truth, photos):
    mesh = replace(truth, vertices=np.float32(0.95) * truth.vertices)
    start = Start(mesh, photos)
    assert off(start.refined(), truth) < 0.4 * off(start.vertices, truth)


def test_the_true_shape_stays_where_it_is(truth, photos):
    start = Start(truth, photos)
    assert off(start.refined(), truth) < 0.3


def test_maps_move_along_and_stop_learning(truth, photos):
    start = Start(displaced(truth, 1.0), photos)
    base, gloss = start.fit.base.clone(), start.fit.gloss.clone()
    start.refined(epochs=1)
    assert not torch.equal(start.fit.base, base)
    assert not torch.equal(start.fit.gloss, gloss)
    assert not start.fit.base.requires_grad
    assert not start.fit.gloss.requires_grad


def test_the_error_that_progress_tells_falls_and_steps_are_counted(truth, photos):
    told = []
    start = Start(displaced(truth, 2.0), photos)
    start.refined(lambda stage, done, total, **n: told.append((stage, done, total, n["psnr"])))
    assert [(s, d, t) for s, d, t, _ in told] == [("refine", d, 48) for d in (10, 20, 30, 40, 48)]
    assert told[-1][3] > told[0][3] + 1.5


def test_without_epochs_the_vertices_are_returned_as_they_are(truth, photos):
    start = Start(truth, photos[:2])
    assert start.refined(epochs=0) is start.vertices


def test_the_same_seed_gives_the_same_vertices_and_another_seed_others(truth, photos):
    mesh = displaced(truth, 1.0)
    first, again, other = (Start(mesh, photos).refined(epochs=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_flat_faces_spread_no_nan(truth, photos):
    mesh = displaced(truth, 1.0)
    vertices = mesh.vertices.copy()
    a, b, _ = mesh.faces[100]
    vertices[b] = vertices[a]  # every face at this edge has no area
    start = Start(replace(mesh, vertices=vertices), photos)
    after = start.refined(epochs=4)
    assert torch.isfinite(after).all()
    assert torch.isfinite(start.fit.base).all()
    assert off(after, truth) < 0.8 * off(start.vertices, truth)


def test_it_stops_where_progress_says_so(truth, photos):
    def stop(stage, done, total, **numbers):
        raise Cancelled

    with pytest.raises(Cancelled):
        Start(truth, photos[:4]).refined(stop, epochs=1)
