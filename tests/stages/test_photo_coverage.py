# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What photos show of a surface, against what can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from photocast.data import Camera, Mesh, Photo
from photocast.stages.photo_coverage import photo_coverage
from photocast.stages.render import drawable

DISTANCE = 4.0


def ball(at=(0, 0, 0), steps: int = 5) -> Mesh:
    made = trimesh.creation.icosphere(steps)
    return Mesh((made.vertices + at).astype(np.float32), made.faces.astype(np.int32))


def photo(turn: float = 0.0, mask: int | None = 255, size: int = 256) -> Photo:
    """From DISTANCE, turned around the y axis [rad]."""
    c, s = np.cos(turn), np.sin(turn)
    pose = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, DISTANCE], [0, 0, 0, 1.0]])
    camera = Camera(size, size, 1.5 * size, 1.5 * size, size / 2, size / 2, pose)
    blank = np.zeros((size, size, 3), np.uint8)
    return Photo(
        "p", camera, blank, None if mask is None else np.full((size, size), mask, np.uint8)
    )


def cap_share() -> float:
    """Share of the unit sphere that faces a camera at DISTANCE by at least cosine 0.1."""
    cosine = np.linspace(-1, 1, 200_001)
    away = np.sqrt(DISTANCE**2 - 2 * DISTANCE * cosine + 1)
    return float((1 - cosine[(DISTANCE * cosine - 1) / away > 0.1].min()) / 2)


def coverage(mesh: Mesh, *photos: Photo):
    return {check.name: check.value for check in photo_coverage(drawable(mesh), photos)}


def test_two_photos_of_one_side_show_a_cap_of_known_size():
    found = coverage(ball(), photo(), photo())
    assert found["image.covered_share"] == pytest.approx(cap_share(), abs=0.005)
    assert found["uv.unseen_share"] is None


def test_two_photos_of_opposite_sides_show_nothing_twice():
    assert coverage(ball(), photo(), photo(np.pi))["image.covered_share"] == 0


def test_photos_all_around_show_all_but_the_poles():
    found = coverage(ball(), *(photo(turn) for turn in np.linspace(0, 2 * np.pi, 13)[:-1]))
    polar = np.arccos(1 - 2 * cap_share())  # up to this latitude some photo sees the ball
    assert found["image.covered_share"] == pytest.approx(np.sin(polar), abs=0.02)


def test_what_stands_behind_is_not_shown():
    both = (ball(), ball((0, 0, 3)))
    joined = Mesh(
        np.concatenate([mesh.vertices for mesh in both]),
        np.concatenate([both[0].faces, both[1].faces + len(both[0].vertices)]),
    )
    found = coverage(joined, photo(), photo())
    assert found["image.covered_share"] == pytest.approx(cap_share() / 2, abs=0.005)


def test_what_the_mask_leaves_out_is_not_shown():
    assert coverage(ball(), photo(mask=0), photo(mask=0))["image.covered_share"] == 0
    found = coverage(ball(), photo(mask=None), photo(mask=None))
    assert found["image.covered_share"] == pytest.approx(cap_share(), abs=0.005)


def test_small_triangles_count_though_pixels_are_larger():
    found = coverage(ball(steps=6), photo(size=40), photo(size=40))
    assert found["image.covered_share"] == pytest.approx(cap_share(), abs=0.02)


def test_texels_that_no_photo_shows_are_counted():
    # Each half of the ball, front and back, has half of the map.
    mesh = ball()
    uvs = mesh.vertices[:, :2] * np.float32([0.22, 0.45]) + np.float32([0.25, 0.5])
    back = mesh.vertices[mesh.faces].mean(axis=1)[:, 2] > 0
    shift = np.where(back, np.float32(0.5), np.float32(0))[:, None]
    corners = uvs[mesh.faces]
    corners[..., 0] += shift
    mapped = replace(
        mesh,
        uvs=corners.reshape(-1, 2),
        uv_faces=np.arange(3 * len(mesh.faces), dtype=np.int32).reshape(-1, 3),
    )
    seen = coverage(mapped, photo())["uv.unseen_share"]
    # In the plane of the map, the cap that is shown is a disc of radius sin(theta).
    cosine = 1 - 2 * cap_share()
    assert seen == pytest.approx(1 - (1 - cosine**2) / 2, abs=0.01)
    assert coverage(mapped, photo(), photo(np.pi))["uv.unseen_share"] < 0.15
