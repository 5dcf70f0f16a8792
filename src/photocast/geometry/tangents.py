# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Tangents of a textured mesh, in which a normal map's components are meant.

glTF 2.0: the bitangent is ``cross(normal, tangent) * w``. Maps have +Y up while v grows downwards,
so the bitangent points against v, and w is +1 where the texture is not mirrored.
Averages are weighted by the corner's angle, each direction first laid into the plane of the
vertex normal, as MikkTSpace does.
Source: Mikkelsen, Simulation of Wrinkled Surfaces Revisited, 2008, section 3.3; glTF 2.0, 3.7.2.1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["vertex_tangents"]

_TINY = 1e-20


def vertex_tangents(
    vertices: NDArray[np.floating[Any]],
    faces: NDArray[np.integer[Any]],
    uvs: NDArray[np.floating[Any]],
    uv_faces: NDArray[np.integer[Any]],
    normals: NDArray[np.floating[Any]],
) -> NDArray[np.float32]:
    """Find the direction in which u grows, at each UV vertex.

    Args:
        vertices: Positions, (v, 3).
        faces: Counter-clockwise from outside, (f, 3), indices into ``vertices``.
        uvs: (t, 2), v downwards.
        uv_faces: (f, 3), indices into ``uvs``.
        normals: Unit vectors, (v, 3).

    Returns:
        (t, 4): a unit vector perpendicular to the normal, and the handedness, 1 or -1. A UV
        vertex that no face with an area in the map uses gets any perpendicular direction.
    """
    corner_normals = normals[faces].astype(np.float64)  # f 3 3
    along, mirrored = _face_tangents(vertices[faces].astype(np.float64), uvs[uv_faces])
    flat = _unit(
        _perpendicular_part(np.broadcast_to(along[:, None], (*faces.shape, 3)), corner_normals)
    )
    weights = _corner_angles(vertices[faces].astype(np.float64)) * (along != 0).any(axis=1)[:, None]
    sums = _summed(uv_faces, flat * weights[..., None], len(uvs))
    turn = _summed(
        uv_faces, (weights * np.where(mirrored, -1.0, 1.0)[:, None])[..., None], len(uvs)
    )
    own_normals = np.tile([0.0, 0.0, 1.0], (len(uvs), 1))
    own_normals[uv_faces.ravel()] = corner_normals.reshape(-1, 3)
    sums = _perpendicular_part(sums, own_normals)
    lost = np.linalg.norm(sums, axis=1) < _TINY
    sums[lost] = _any_perpendicular(own_normals[lost])
    return np.column_stack([_unit(sums), np.where(turn[:, 0] < 0, -1.0, 1.0)]).astype(np.float32)


def _face_tangents(
    corners: NDArray[np.float64], places: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    # Solve [edge1 edge2] = [dP/du dP/dv] [uv1 uv2] for dP/du; its sign is that of the determinant.
    edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (u1, v1), (u2, v2) = ((places[:, k] - places[:, 0]).astype(np.float64).T for k in (1, 2))
    twice_area = u1 * v2 - u2 * v1
    along = (edge_1 * v2[:, None] - edge_2 * v1[:, None]) * np.sign(twice_area)[:, None]
    # v grows downwards: in an unmirrored map, counter-clockwise triangles have a negative area.
    return _unit(along), twice_area > 0


def _corner_angles(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    onward = _unit(np.roll(corners, -1, axis=1) - corners)
    back = _unit(np.roll(corners, 1, axis=1) - corners)
    angles: NDArray[np.float64] = np.arccos(np.clip((onward * back).sum(axis=-1), -1, 1))
    return angles


def _perpendicular_part(
    vectors: NDArray[np.float64], normals: NDArray[np.float64]
) -> NDArray[np.float64]:
    along: NDArray[np.float64] = (vectors * normals).sum(axis=-1, keepdims=True)
    return vectors - normals * along


def _any_perpendicular(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    axes = np.eye(3)[np.abs(normals).argmin(axis=1)]
    return _perpendicular_part(axes, normals)


def _summed(
    indices: NDArray[np.integer[Any]], values: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    flat = values.reshape(-1, values.shape[-1])
    return np.stack([np.bincount(indices.ravel(), column, count) for column in flat.T], axis=1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.where(lengths > _TINY, vectors / np.maximum(lengths, _TINY), 0.0)
    return unit
