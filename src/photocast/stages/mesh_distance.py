# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How close a mesh is to the true one.

Points are drawn evenly from one surface and measured to the other's triangles, exactly, both ways:
so equal surfaces have distance zero, however many points are drawn.
Source: Knapitsch et al., Tanks and Temples, 2017, section 5 (F-score).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.ops.nearest_point import nearest_point
from photocast.ops.pathtrace import RayMesh

__all__ = ["MeshScores", "mesh_distances", "sample_surface"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshScores:
    """Distances between two surfaces, as shares of the diagonal of the true one's box."""

    accuracy: float
    """Mean distance from the made surface to the true one."""
    completeness: float
    """Mean distance from the true surface to the made one."""
    chamfer: float
    """Mean of both."""
    f_score_half_percent: float
    """Harmonic mean of the shares of both surfaces within 0.5 % of the other, 0..1."""
    f_score_one_percent: float
    """The same within 1 %."""
    normal_consistency: float
    """Mean cosine between the normals at nearest points, without sign, 0..1."""
    diagonal: float
    """Of the true mesh's bounding box, world units."""


def mesh_distances(
    made: Mesh,
    truth: Mesh,
    *,
    point_count: int = 200_000,
    seed: int = 0,
    device: torch.device | None = None,
) -> MeshScores:
    """Compare two surfaces in the same frame.

    Args:
        made: The reconstruction.
        truth: What it should be.
        point_count: Points drawn from each.
        seed: Of the points.
        device: Where to compute; the CPU if absent.
    """
    place = device or torch.device("cpu")
    extent = truth.bounds[1].astype(np.float64) - truth.bounds[0]
    diagonal = float(np.linalg.norm(extent))
    to_truth, cosine_truth = _one_way(made, truth, point_count, seed, place)
    to_made, cosine_made = _one_way(truth, made, point_count, seed + 1, place)
    accuracy, completeness = to_truth.mean() / diagonal, to_made.mean() / diagonal

    def f_score(share: float) -> float:
        precision = float((to_truth <= share * diagonal).mean())
        recall = float((to_made <= share * diagonal).mean())
        return 2 * precision * recall / max(precision + recall, 1e-12)

    return MeshScores(
        accuracy=float(accuracy),
        completeness=float(completeness),
        chamfer=float(accuracy + completeness) / 2,
        f_score_half_percent=f_score(0.005),
        f_score_one_percent=f_score(0.01),
        normal_consistency=float(cosine_truth.mean() + cosine_made.mean()) / 2,
        diagonal=diagonal,
    )


def sample_surface(
    mesh: Mesh, count: int, *, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw points evenly by area.

    Returns:
        Positions (count, 3) and the face of each (count,).
    """
    rng = np.random.default_rng(seed)
    corners = mesh.vertices[mesh.faces].astype(np.float64)  # face 3 3
    double_area = np.linalg.norm(_normals(corners), axis=1)
    # One point per equal share of the area: the picks are spread, not clumped.
    reached = np.cumsum(double_area)
    picks = (np.arange(count) + rng.random(count)) / count * reached[-1]
    faces = np.minimum(np.searchsorted(reached, picks, side="right"), len(reached) - 1)
    u, v = rng.random((2, count, 1))
    root = np.sqrt(u)
    a, b, c = np.moveaxis(corners[faces], 1, 0)
    points = (1 - root) * a + root * (1 - v) * b + root * v * c
    return points.astype(np.float32), faces


def _normals(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _one_way(
    source: Mesh, target: Mesh, count: int, seed: int, device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance and |cosine| between normals, for points on ``source``."""
    points, faces = sample_surface(source, count, seed=seed)
    tree = RayMesh(torch.tensor(target.vertices, device=device), torch.tensor(target.faces))
    distance, nearest = nearest_point(tree, torch.tensor(points, device=device))
    own = _unit(_normals(source.vertices[source.faces].astype(np.float64)))[faces]
    other = _unit(_normals(target.vertices[target.faces].astype(np.float64)))
    cosine = np.abs((own * other[nearest.cpu().numpy()]).sum(axis=1))
    return distance.cpu().numpy().astype(np.float64), cosine


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    # A face without area has no normal: zero agrees with nothing.
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float64] = vectors / np.maximum(length, 1e-300)
    return units
