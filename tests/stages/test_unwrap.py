# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Atlases checked by rasterising every UV triangle again, in the plainest way."""

import time

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from photocast.config import UnwrapConfig
from photocast.data import Mesh
from photocast.errors import ConfigError, MeshError
from photocast.formats.meshes import load_mesh
from photocast.ops.isosurface import marching_cubes
from photocast.stages.unwrap import unwrap


def as_mesh(vertices, faces) -> Mesh:
    return Mesh(
        np.ascontiguousarray(vertices, np.float32).reshape(-1, 3),
        np.ascontiguousarray(faces, np.int32).reshape(-1, 3),
    )


def moebius() -> Mesh:
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    side = np.array([-0.3, 0.3])
    radius = 1 + side[None] * np.cos(turn / 2)[:, None]
    rim = np.stack(
        [
            radius * np.cos(turn)[:, None],
            radius * np.sin(turn)[:, None],
            side[None] * np.sin(turn / 2)[:, None],
        ],
        axis=-1,
    )
    faces = []
    for i in range(40):
        a, b = 2 * i, 2 * i + 1
        c, d = ((2 * i + 2), (2 * i + 3)) if i < 39 else (1, 0)
        faces += [[a, b, c], [b, d, c]]
    return as_mesh(rim.reshape(-1, 3), faces)


def noisy_blob(count: int, noise: float) -> Mesh:
    """An isosurface with noise in its field: folds, slivers, crumbs."""
    from scipy.ndimage import gaussian_filter

    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, count)] * 3, indexing="ij"))
    field = np.minimum(
        np.linalg.norm(grid - np.array([0.2, 0, 0])[:, None, None, None], axis=0) - 0.5,
        np.hypot(grid[0] + 0.2, grid[1]) + 0.3 * np.abs(grid[2]) - 0.3,
    )
    random = np.random.default_rng(0).standard_normal(field.shape)
    field = field + noise * gaussian_filter(random, 1.2)
    vertices, faces = marching_cubes(torch.from_numpy(field.astype(np.float32)), border=1.0)
    return as_mesh(vertices.numpy(), faces.numpy())


def fan(count: int = 5) -> Mesh:
    """Several leaves on one edge: no surface passes an edge of more than two faces."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    leaves = np.stack([np.cos(angle), np.sin(angle), np.full(count, 0.5)], axis=1)
    vertices = np.concatenate([[[0, 0, 0], [0, 0, 1]], leaves])
    return as_mesh(vertices, [[0, 1, 2 + i] for i in range(count)])


def broken() -> Mesh:
    """A sphere with faces of no area, doubled faces, turned faces and a hole."""
    sphere = trimesh.creation.icosphere(2)
    faces = sphere.faces[7:].copy()
    faces[10:20] = faces[10:20, ::-1]
    extra = np.concatenate([faces[30:40], [[3, 3, 5], [4, 4, 4]], faces[50:55][:, [0, 1, 1]]])
    return as_mesh(sphere.vertices, np.concatenate([faces, extra]))


def primitive(shape: trimesh.Trimesh) -> Mesh:
    return as_mesh(shape.vertices, shape.faces)


SHAPES = {
    "one face": lambda: as_mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]),
    "a face without area": lambda: as_mesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]]),
    "cube": lambda: primitive(trimesh.creation.box()),
    "sphere": lambda: primitive(trimesh.creation.icosphere(4)),
    "torus": lambda: primitive(trimesh.creation.torus(1, 0.35, major_sections=64)),
    "thin torus": lambda: primitive(trimesh.creation.torus(1, 0.02, major_sections=200)),
    "moebius": moebius,
    "fan": fan,
    "broken": broken,
    "noisy": lambda: noisy_blob(48, 0.05),
    "very noisy": lambda: noisy_blob(32, 0.6),
}


def signed_areas(mesh: Mesh) -> NDArray[np.float64]:
    corners = mesh.uvs.astype(np.float64)[mesh.uv_faces]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def claims(mesh: Mesh, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many triangles hold each texel centre strictly inside, and the last of them.

    By the signs of three edge functions over each bounding box: nothing in common with the
    library's scan lines.
    """
    count = np.zeros((size, size), np.int64)
    owner = np.full((size, size), -1, np.int64)
    for index, (a, b, c) in enumerate(mesh.uvs.astype(np.float64)[mesh.uv_faces] * size):
        low = np.floor(np.minimum(np.minimum(a, b), c) - 0.5).astype(int).clip(0)
        high = np.ceil(np.maximum(np.maximum(a, b), c) + 0.5).astype(int)
        y, x = np.mgrid[low[1] : min(high[1], size), low[0] : min(high[0], size)] + 0.5
        sides = [
            (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
            for p, q in ((a, b), (b, c), (c, a))
        ]
        inside = np.logical_and.reduce([side < -1e-9 for side in sides])
        part = slice(low[1], low[1] + len(y)), slice(low[0], low[0] + x.shape[1])
        count[part] += inside
        owner[part][inside] = index
    return count, owner


def charts_of(mesh: Mesh) -> NDArray[np.int64]:
    """Charts as a viewer finds them: faces that share a UV corner."""
    corners = mesh.uv_faces
    graph = coo_matrix(
        (np.ones(corners.size), (corners.ravel(), np.roll(corners, 1, axis=1).ravel())),
        shape=(len(mesh.uvs), len(mesh.uvs)),
    )
    return connected_components(graph, directed=False)[1][corners[:, 0]]


def gap_between_charts(mesh: Mesh, owner: NDArray[np.int64]) -> float:
    """Least distance between texel centres of different charts [px]."""
    chart = np.where(owner >= 0, charts_of(mesh)[owner], -1)
    least = np.inf
    for number in np.unique(chart[chart >= 0]):
        other = (chart >= 0) & (chart != number)
        if other.any():
            least = min(least, distance_transform_edt(~other)[chart == number].min())
    return least


@pytest.mark.parametrize("name", SHAPES)
def test_no_texel_belongs_to_two_faces(name):
    mesh = SHAPES[name]()
    result = unwrap(mesh, UnwrapConfig(size=512))
    np.testing.assert_array_equal(result.vertices, mesh.vertices)
    np.testing.assert_array_equal(result.faces, mesh.faces)
    assert result.uvs.min() >= 0
    assert result.uvs.max() <= 1
    assert claims(result, 512)[0].max() <= 1
    assert (signed_areas(result) < 0).all(), "every face, and none mirrored (v points down)"


@pytest.mark.parametrize("name", ["cube", "torus", "thin torus", "fan", "broken", "very noisy"])
@pytest.mark.parametrize("padding", [0, 3, 8])
def test_charts_keep_their_distance(name, padding):
    result = unwrap(SHAPES[name](), UnwrapConfig(size=512, padding=padding))
    assert gap_between_charts(result, claims(result, 512)[1]) >= max(padding, 1)


@pytest.mark.parametrize(
    ("name", "charts", "used"),
    [("cube", 6, 0.6), ("sphere", 6, 0.55), ("torus", 12, 0.45), ("noisy", 60, 0.5)],
)
def test_smooth_surfaces_take_few_charts_and_fill_the_map(name, charts, used):
    result = unwrap(SHAPES[name]())
    assert charts_of(result).max() + 1 <= charts
    assert np.abs(signed_areas(result)).sum() / 2 >= used


@pytest.mark.parametrize("name", ["cube", "sphere", "torus", "noisy"])
def test_texels_are_alike_in_size_over_the_surface(name):
    result = unwrap(SHAPES[name]())
    corners = result.vertices.astype(np.float64)[result.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    density = np.sqrt(np.abs(signed_areas(result)) / area)
    typical = np.sqrt(np.abs(signed_areas(result)).sum() / area.sum())
    order = np.argsort(density)
    low = density[order][np.searchsorted(np.cumsum(area[order]), 0.02 * area.sum())]
    assert low > 0.7 * typical
    assert density[order][-1] < 1.6 * typical


def test_a_cube_keeps_its_shape():
    result = unwrap(SHAPES["cube"]())
    lengths = np.linalg.norm(
        np.diff(result.uvs.astype(np.float64)[result.uv_faces][:, [0, 1, 2, 0]], axis=1), axis=-1
    )
    in_space = np.linalg.norm(
        np.diff(result.vertices.astype(np.float64)[result.faces][:, [0, 1, 2, 0]], axis=1), axis=-1
    )
    np.testing.assert_allclose(lengths / in_space, (lengths / in_space)[0, 0], rtol=1e-4)


def test_no_faces_give_no_uvs():
    result = unwrap(as_mesh([[0, 0, 0]], []))
    assert result.uvs.shape == (0, 2)
    assert result.uv_faces.shape == (0, 3)


def test_the_result_is_the_same_every_time_and_at_any_scale():
    mesh = SHAPES["noisy"]()
    first = unwrap(mesh)
    np.testing.assert_array_equal(unwrap(mesh).uvs, first.uvs)
    scaled = unwrap(as_mesh(mesh.vertices * 1024, mesh.faces))
    np.testing.assert_allclose(scaled.uvs, first.uvs, atol=1e-6)


def test_more_pieces_than_room_are_refused_with_a_way_out():
    corners = np.random.default_rng(0).random((3000, 3))
    with pytest.raises(MeshError, match="larger texture") as caught:
        unwrap(as_mesh(corners, np.arange(3000)), UnwrapConfig(size=64))
    assert caught.value.code == "mesh.atlas_full"


@pytest.mark.parametrize("change", [{"size": 4}, {"padding": -1}, {"size": 64, "padding": 32}])
def test_settings_outside_their_limits_are_refused(change):
    with pytest.raises(ConfigError):
        UnwrapConfig(**change)


def test_a_large_noisy_surface_is_done_in_seconds():
    mesh = noisy_blob(152, 0.03)
    assert len(mesh.faces) > 60_000
    start = time.process_time()
    result = unwrap(mesh)
    assert time.process_time() - start < 8, "about 2 s on a free core"
    assert (signed_areas(result) < 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(3, 30), st.integers(0, 2**32 - 1), st.booleans())
def test_triangle_soups_never_overlap(face_count, vertex_count, seed, flat):
    random = np.random.default_rng(seed)
    vertices = random.integers(-3, 4, (vertex_count, 3)) * [1, 1, 0 if flat else 1]
    mesh = as_mesh(vertices, random.integers(0, vertex_count, (face_count, 3)))
    result = unwrap(mesh, UnwrapConfig(size=256, padding=2))
    assert claims(result, 256)[0].max() <= 1
    assert (signed_areas(result) < 0).all()
    assert result.uvs.min() >= 0
    assert result.uvs.max() <= 1


@pytest.mark.data
def test_spot_fits_well(capture_folder):
    mesh = load_mesh(capture_folder("spot") / "ground_truth.ply")
    result = unwrap(Mesh(mesh.vertices, mesh.faces))
    count, owner = claims(result, 1024)
    assert count.max() == 1
    assert charts_of(result).max() + 1 <= 60
    assert np.abs(signed_areas(result)).sum() / 2 >= 0.55
    assert gap_between_charts(result, owner) >= 4
