# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Charts laid flat: how they are turned, and how those in the way are made anew."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from photocast.ops.isosurface import marching_cubes
from photocast.stages.charts import chart_labels, surface
from photocast.stages.flatten import flatten, flatten_again, hidden_faces, lay_out, outline, turned

TEXEL = 1 / 128


@pytest.fixture(scope="module")
def whole():
    """A ball with a noisy surface, in a box of side one."""
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 40)] * 3, indexing="ij"))
    random = np.random.default_rng(0).standard_normal(grid.shape[1:])
    field = np.linalg.norm(grid, axis=0) - 0.6 + 0.6 * gaussian_filter(random, 1.2)
    found = marching_cubes(torch.from_numpy(field.astype(np.float32)), border=1.0)
    vertices, faces = (part.numpy() for part in found)
    vertices = (vertices / 40).astype(np.float64)
    return vertices, faces.astype(np.int32), surface(vertices, faces.astype(np.int32))


@pytest.fixture(scope="module")
def flat(whole):
    return flatten(*whole, chart_labels(whole[2], (12 * TEXEL) ** 2), TEXEL)


def test_the_outline_is_what_one_face_of_a_chart_has_alone(flat):
    edges = np.sort(np.concatenate([flat.faces[:, [i, (i + 1) % 3]] for i in range(3)]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert np.array_equal(np.unique(np.sort(outline(flat), axis=1), axis=0), unique[count == 1])
    assert 3 <= len(outline(flat)) < len(edges) / 3


def test_each_chart_lies_in_the_smallest_box_of_all_its_points(flat):
    turn = np.deg2rad(37.0)
    askew = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    again = turned(replace(flat, points=flat.points @ askew))
    for chart in range(flat.count):
        points, lying = flat.points[flat.owner == chart], again.points[flat.owner == chart]
        areas = []
        for angle in np.deg2rad(np.arange(0, 90, 2.0) + 37):
            c, s = np.cos(angle), np.sin(angle)
            areas.append(np.ptp(points @ np.array([[c, s], [-s, c]]), axis=0).prod())
        width, height = np.ptp(lying, axis=0)
        assert width * height <= min(areas) * (1 + 1e-5)
        assert width >= height
        assert np.allclose(lying.min(axis=0), 0)


def test_charts_made_anew_cover_no_texel_of_the_map_twice(whole, flat):
    bad = np.random.default_rng(1).random(len(flat.faces)) < 0.01
    touched = np.isin(flat.chart, flat.chart[bad])
    scale = 0.9 / TEXEL

    def covered(charts) -> int:
        hidden = [hidden_faces(charts, *lay_out(charts, fine)) for fine in (scale, 2 * scale)]
        return int(np.any(hidden, axis=0)[touched].sum())

    assert covered(flatten_again(flat, bad, whole, TEXEL, alone=False)) > 0
    new = flatten_again(flat, bad, whole, TEXEL, alone=False, scale=scale)
    assert covered(new) == 0
    a, b, c = (new.points[new.faces[:, i]] for i in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    assert (ux * vy - uy * vx > 0).all()
