# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Lay a mesh onto a reference in another frame, with Open3D; distances are measured by us.

A first guess comes from points that look alike (Rusu et al. 2009, Fast Point Feature Histograms;
Fischler & Bolles 1981, RANSAC). From there and from it turned to all 24 sides, so that a symmetry
shows itself, points slide along the surface (Chen & Medioni 1992, point-to-plane ICP).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.geometry.placements import axis_rotations
from photocast.ops.nearest_point import nearest_point
from photocast.ops.pathtrace import RayMesh
from photocast.stages.mesh_distance import sample_surface
from photocast.stages.open3d_door import silenced

__all__ = ["NEAR", "Registration", "moved", "register", "size_ratio"]

NEAR = 0.01
"""A point counts as on the reference within this share of its diagonal."""
_FAR = 0.05  # share of the diagonal beyond which a distance counts no more
_POINTS = 20_000  # of each surface
_SCORED = 4_000  # of them, to compare placements
_CELL = 1 / 64  # of the diagonal: one point in each for the search
_TRIES = 50_000
_STEPS = 40
_OTHER_DEG = 15.0  # placements turned by less are the same

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """Where a mesh lies in the frame of a reference."""

    reference_from_mesh: Array
    """(4, 4): a rotation and a shift, and one scale if that was allowed."""
    fitness: float
    """Share of the mesh that lies within ``NEAR`` of the reference."""
    inlier_rmse: float | None
    """Root of the mean square distance of that share, in the reference's unit; ``None`` if
    nothing does."""
    misfit: float
    """Mean distance both ways, each at most 5 %, as a share of the reference's diagonal."""
    rival_misfit: float | None
    """The same of the best placement that is turned by 15 degrees or more against it; ``None`` if
    there is none."""
    rival_deg: float | None
    """By how much that one is turned."""


def register(
    tool: Any, mesh: Mesh, reference: Mesh, *, seed: int = 0, with_scale: bool = False
) -> Registration:
    """Find the placement of a mesh that fits a reference best.

    Args:
        tool: Open3D.
        mesh: In any frame.
        reference: Where it should lie.
        seed: Of points and tries; the same seed gives the same placement, but for rounding.
        with_scale: Also find one scale for all axes.
    """
    scale = 1 / size_ratio(mesh, reference) if with_scale else 1.0
    resize = np.diag([scale, scale, scale, 1.0])
    fit = _Fit(mesh, reference, seed)
    with silenced(tool):
        made = _Clouds(tool, mesh, scale, fit.diagonal, fit.mesh)
        wanted = _Clouds(tool, reference, 1.0, fit.diagonal, fit.reference)
        starts = [
            _slid(tool, made.fewest, wanted.few, start, 4 * wanted.cell)
            for start in _turned(_guess(tool, made, wanted, seed), np.asarray(wanted.few.points))
        ]
        starts.sort(key=lambda start: fit.misfit(start @ resize))
        others = [start for start in starts if _turn_deg(starts[0], start) >= _OTHER_DEG]
        ends = [
            _finished(tool, made, wanted, start, with_scale) @ resize
            for start in (starts[0], *others[:1])
        ]
    ends.sort(key=fit.misfit)
    return fit.found(ends[0], ends[1:])


def size_ratio(mesh: Mesh, reference: Mesh) -> float:
    """How many times as large a mesh is, by the spread of its surface about its middle."""
    return _spread(mesh) / max(_spread(reference), 1e-300)


def _spread(mesh: Mesh) -> float:
    points = sample_surface(mesh, _POINTS, seed=0)[0].astype(np.float64)
    return float(np.linalg.norm(points - points.mean(axis=0), axis=1).mean())


def moved(points: NDArray[np.floating], transform: Array) -> Array:
    """Apply a (4, 4) transform to points (n, 3)."""
    there: Array = points.astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]
    return there


class _Fit:
    """Two surfaces, and how far apart a placement leaves them."""

    def __init__(self, mesh: Mesh, reference: Mesh, seed: int) -> None:
        self.mesh = sample_surface(mesh, _POINTS, seed=seed)
        self.reference = sample_surface(reference, _POINTS, seed=seed + 1)
        extent = reference.bounds[1].astype(np.float64) - reference.bounds[0]
        self.diagonal = float(np.linalg.norm(extent))
        self._trees = [
            RayMesh(torch.tensor(one.vertices), torch.tensor(one.faces))
            for one in (mesh, reference)
        ]
        step = _POINTS // _SCORED
        self._few = self.mesh[0][::step], self.reference[0][::step]

    def found(self, best: Array, rivals: Sequence[Array]) -> Registration:
        """What is to be said of a placement."""
        away = _distances(self._trees[1], moved(self.mesh[0], best))
        close = away[away <= NEAR * self.diagonal]
        rival = rivals[0] if rivals else None
        return Registration(
            reference_from_mesh=best,
            fitness=len(close) / len(away),
            inlier_rmse=float(np.sqrt((close**2).mean())) if len(close) else None,
            misfit=self.misfit(best),
            rival_misfit=None if rival is None else self.misfit(rival),
            rival_deg=None if rival is None else _turn_deg(best, rival),
        )

    def misfit(self, transform: Array) -> float:
        """See ``Registration.misfit``."""
        scale = np.cbrt(np.linalg.det(transform[:3, :3]))
        there = _distances(self._trees[1], moved(self._few[0], transform))
        mesh_from_reference = np.linalg.inv(transform).astype(np.float64)
        back = _distances(self._trees[0], moved(self._few[1], mesh_from_reference))
        both = np.concatenate([there, scale * back]) / self.diagonal
        return float(np.minimum(both, _FAR).mean())


def _distances(tree: RayMesh, points: Array) -> Array:
    found, _ = nearest_point(tree, torch.tensor(points, dtype=torch.float32))
    return found.numpy().astype(np.float64)


class _Clouds:
    """Points of a surface with normals, many and few."""

    def __init__(
        self,
        tool: Any,
        mesh: Mesh,
        scale: float,
        diagonal: float,
        points: tuple[NDArray[np.float32], NDArray[np.int64]],
    ) -> None:
        corners = mesh.vertices.astype(np.float64)[mesh.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
        vectors = tool.utility.Vector3dVector
        self.cell = _CELL * diagonal
        self.many = tool.geometry.PointCloud(vectors(scale * points[0].astype(np.float64)))
        self.many.normals = vectors(normals[points[1]])
        self.few = self.many.voxel_down_sample(self.cell)
        self.fewest = self.many.voxel_down_sample(3 * self.cell)


def _guess(tool: Any, made: _Clouds, wanted: _Clouds, seed: int) -> Array:
    """The placement on which most points that look alike agree."""
    ways = tool.pipelines.registration
    nearby = tool.geometry.KDTreeSearchParamHybrid(5 * wanted.cell, 100)
    looks = [ways.compute_fpfh_feature(one.few, nearby) for one in (made, wanted)]
    reach = 1.5 * wanted.cell
    tool.utility.random.seed(seed)
    found = ways.registration_ransac_based_on_feature_matching(
        made.few,
        wanted.few,
        *looks,
        True,
        reach,
        ways.TransformationEstimationPointToPoint(False),
        3,
        [
            ways.CorrespondenceCheckerBasedOnEdgeLength(0.9),
            ways.CorrespondenceCheckerBasedOnDistance(reach),
        ],
        ways.RANSACConvergenceCriteria(_TRIES, 0.999),
    )
    return np.array(found.transformation, np.float64)


def _turned(guess: Array, points: Array) -> list[Array]:
    """A placement, and it turned about the middle to the other sides of the main axes."""
    middle = points.mean(axis=0)
    axes = np.linalg.eigh(np.cov((points - middle).T))[1]
    found = []
    for side in axis_rotations():
        turn = np.eye(4)
        turn[:3, :3] = axes @ side @ axes.T
        turn[:3, 3] = middle - turn[:3, :3] @ middle
        found.append(turn @ guess)
    return found


def _slid(
    tool: Any, made: Any, wanted: Any, start: Array, reach: float, how: Any | None = None
) -> Array:
    """Move points closer to those nearest; along the surface, unless ``how`` says otherwise."""
    ways = tool.pipelines.registration
    found = ways.registration_icp(
        made,
        wanted,
        reach,
        start,
        how or ways.TransformationEstimationPointToPlane(),
        ways.ICPConvergenceCriteria(max_iteration=_STEPS),
    )
    return np.array(found.transformation, np.float64)


def _finished(tool: Any, made: _Clouds, wanted: _Clouds, start: Array, with_scale: bool) -> Array:
    """Slide all points, ever closer; the scale, if it may, gives way at the end."""
    reach = NEAR / _CELL * wanted.cell
    found = _slid(tool, made.few, wanted.few, start, wanted.cell)
    if not with_scale:
        return _slid(tool, made.many, wanted.many, found, reach)
    ways = tool.pipelines.registration
    return _slid(
        tool, made.many, wanted.many, found, reach, ways.TransformationEstimationPointToPoint(True)
    )


def _turn_deg(one: Array, other: Array) -> float:
    """Angle between the rotations of two similarities."""
    turn = one[:3, :3] @ np.linalg.inv(other[:3, :3])
    cosine = (np.trace(turn) / np.cbrt(np.linalg.det(turn)) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
