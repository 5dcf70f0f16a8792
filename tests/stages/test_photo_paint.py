# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos are painted where they show the mesh; elsewhere the paint stays that was there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from photocast.config import UnwrapConfig
from photocast.data import Mesh
from photocast.errors import Cancelled
from photocast.progress import silent
from photocast.stages.metrics import psnr
from photocast.stages.photo_paint import photo_painted
from photocast.stages.render import draw, drawable
from photocast.stages.unwrap import unwrap
from photocast.stages.vertex_paint import painted

CPU = torch.device("cpu")
SIZE = 256
TINT = np.array([0.45, 1.0, 0.6], np.float32)


@pytest.fixture(scope="module")
def ball():
    """A dented ball, unwrapped."""
    made = trimesh.creation.icosphere(4)
    x, y, _ = made.vertices.T
    vertices = made.vertices * (0.85 + 0.1 * np.sin(3 * x) * np.cos(2 * y))[:, None]
    return unwrap(
        Mesh(vertices.astype(np.float32), made.faces.astype(np.int32)), UnwrapConfig(size=SIZE)
    )


@pytest.fixture(scope="module")
def falsified(ball, photograph):
    """Photos of one side, and the ball in paint of a wrong tint."""
    photos = photograph(ball, count=16, size=160)
    front = [photo for photo in photos if photo.camera.center[1] > 0.3]
    true = 0.5 + 0.35 * np.sin(18 * ball.vertices + [0, 1, 2])  # as they were photographed
    wrong = replace(ball, colors=(true * TINT).astype(np.float32))
    return photos, front, painted(wrong, SIZE, CPU)


def psnr_of(mesh, photo):
    seen = draw(drawable(mesh), photo.camera, supersample=2)
    inside = (photo.mask >= 250) & (seen.alpha >= 250)
    return psnr(seen.rgb / 255, photo.rgb / 255, mask=inside)


def test_a_held_out_view_looks_much_more_like_its_photo(falsified):
    _, front, wrong = falsified
    facing = sorted(front, key=lambda photo: -photo.camera.center[1])
    held, others = facing[0], facing[1:]
    made, share = photo_painted(wrong, others, [1.0] * len(others), CPU, silent)
    before, after = psnr_of(wrong, held), psnr_of(made, held)
    assert before < 18
    assert after > before + 9, (before, after)
    assert 0.4 < share < 0.9


def test_what_no_photo_shows_keeps_its_paint(falsified):
    photos, front, wrong = falsified
    made, _ = photo_painted(wrong, front, [1.0] * len(front), CPU, silent)
    back = min(photos, key=lambda photo: photo.camera.center[1])
    old, new = (draw(drawable(mesh), back.camera) for mesh in (wrong, made))
    middle = slice(60, 100)  # of the far side
    np.testing.assert_array_equal(new.rgb[middle, middle], old.rgb[middle, middle])


def test_no_photo_at_all_changes_nothing(falsified):
    _, _, wrong = falsified
    made, share = photo_painted(wrong, [], [], CPU, silent)
    np.testing.assert_allclose(made.material.base_color, wrong.material.base_color, atol=1e-6)
    assert share == 0


def test_paint_fades_in_without_a_step(falsified):
    _, front, wrong = falsified
    one = max(front, key=lambda photo: photo.camera.center[1])
    made, _ = photo_painted(wrong, [one], [1.0], CPU, silent)
    changed = np.abs(made.material.base_color - wrong.material.base_color).max(axis=2)
    shares = np.histogram(changed[changed > 0.01], bins=5)[0]
    assert (shares > 0.02 * shares.sum()).all()  # from nothing to all, through everything between


def test_painting_can_be_cancelled(falsified):
    def stop(stage, done, total, **numbers):
        if stage == "paint":
            raise Cancelled

    _, front, wrong = falsified
    with pytest.raises(Cancelled):
        photo_painted(wrong, front, [1.0] * len(front), CPU, stop)


def test_photos_of_different_exposures_make_one_even_paint(falsified):
    _, front, wrong = falsified
    facing = sorted(front, key=lambda photo: -photo.camera.center[1])
    held, others = facing[0], facing[1:]
    random = np.random.default_rng(0)
    uneven = []
    for photo in others:
        light = (photo.rgb / 255.0) ** 2.2 * 2.0 ** random.uniform(-0.7, 0.3)
        rgb = (255 * light.clip(0, 1) ** (1 / 2.2)).round().astype(np.uint8)
        uneven.append(replace(photo, rgb=rgb))
    made, _ = photo_painted(wrong, uneven, [1.0] * len(others), CPU, silent)
    seen = draw(drawable(made), held.camera, supersample=2)
    inside = (held.mask >= 250) & (seen.alpha >= 250)
    truth, found = ((x[inside] / 255.0) ** 2.2 for x in (held.rgb, seen.rgb))
    scale = float((truth * found).sum() / (found**2).sum())  # which photo is right, nobody knows
    evened = (scale * found).clip(0, 1) ** (1 / 2.2)
    error = float(np.mean((evened - held.rgb[inside] / 255.0) ** 2))
    assert -10 * np.log10(error) > 38  # 25.7 without evening
