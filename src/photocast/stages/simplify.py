# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fewer triangles with the same look: collapse edges, unwrap anew, and bake the maps over.

Every texel of the new map looks for the nearest place on the old surface, from a little above its
own, so that of two sides of a thin wall it finds its own. Normals of the old surface, with its
normal map if it has one, go into the new normal map: relief that triangles lose stays visible.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.config import UnwrapConfig
from photocast.data import Material, Mesh
from photocast.errors import UserError
from photocast.geometry.covered_texels import covered_texels, texel_weights
from photocast.geometry.manifold import separate_touching
from photocast.geometry.tangents import vertex_tangents
from photocast.geometry.topology import Topology
from photocast.geometry.vertex_normals import vertex_normals
from photocast.ops.nearest_point import nearest_point
from photocast.ops.pathtrace import RayMesh
from photocast.progress import Progress, silent
from photocast.stages.map_fill import fill_gaps
from photocast.stages.repair_draft import draft_of
from photocast.stages.repair_steps import (
    drop_collapsed,
    drop_floaters,
    drop_repeated,
    drop_slivers,
)
from photocast.stages.unwrap import unwrap

__all__ = ["simplify"]

_LEAST_FACES = 4
_LEAST_SIDE, _MOST_SIDE = 64, 4096
_LIFT = 5e-4  # of the diagonal: how far above the surface a texel looks from
_ROUNDS = 4
_BLOCK = 1 << 19  # texels at once


def simplify(mesh: Mesh, face_count: int, *, level: int = 0, progress: Progress = silent) -> Mesh:
    """Reduce the number of triangles.

    Args:
        mesh: Equal positions welded.
        face_count: Triangles, at most, as far as handles and separate parts allow.
        level: Of detail; the maps of each are half as large as those of the one before.
        progress: Told of every step.

    Returns:
        The mesh itself if it is small enough. Its maps are new ones if it has any; colours of
        vertices are taken over from the nearest places.

    Raises:
        UserError: Fewer than four triangles are asked for.
    """
    if face_count < _LEAST_FACES:
        raise UserError(
            f"--faces is {face_count}; the least is {_LEAST_FACES}, a tetrahedron.",
            code="simplify.faces",
        )
    if len(mesh.faces) <= face_count:
        return mesh
    fewer = _fewer(mesh, face_count)
    progress("simplify", 1, 3)
    old = _Surface(mesh)
    if mesh.colors is not None:
        places, at = old.nearest(fewer.vertices, vertex_normals(fewer.vertices, fewer.faces))
        fewer = replace(fewer, colors=old.mix(mesh.colors[mesh.faces], places, at))
    maps = mesh.material
    if mesh.uvs is None or all(
        map_ is None for map_ in (maps.base_color, maps.roughness, maps.metallic, maps.normal)
    ):
        progress("simplify", 3, 3)
        return fewer
    size = max(_side(maps) >> level, _LEAST_SIDE)
    fewer = unwrap(fewer, UnwrapConfig(size=size, padding=min(4, size // 16)))
    progress("simplify", 2, 3)
    made = replace(fewer, material=_Bake(old, fewer, size).material())
    progress("simplify", 3, 3)
    return made


def _fewer(mesh: Mesh, face_count: int) -> Mesh:
    import fast_simplification

    whole = Topology(mesh.faces, len(mesh.vertices))
    closed = whole.watertight and whole.consistent
    target = face_count
    for _ in range(_ROUNDS):
        points, faces = fast_simplification.simplify(
            mesh.vertices, mesh.faces, target_count=max(target, _LEAST_FACES)
        )
        made = Mesh(np.asarray(points, np.float32), np.asarray(faces, np.int32))
        made = _tidy(made, whole.part_count, closed)
        if len(made.faces) <= face_count:
            break
        target -= len(made.faces) - face_count
    return made


def _tidy(mesh: Mesh, part_count: int, closed: bool) -> Mesh:
    """Undo what collapsing does by the way: no area, sheets that touch, specks pinched off."""
    draft, _ = drop_collapsed(draft_of(mesh))
    for _ in range(_ROUNDS):
        draft, _ = drop_slivers(draft)
        if closed:
            draft, _ = drop_repeated(draft)
            draft = draft_of(Mesh(*separate_touching(draft.vertices, draft.faces)))
        if draft.topology.part_count > part_count:
            draft, _ = drop_floaters(draft)
        mesh = draft.mesh()
        topology = Topology(mesh.faces, len(mesh.vertices))
        if not closed or (topology.watertight and not len(topology.pinched)):
            break
        draft = draft_of(mesh)
    return mesh


def _side(maps: Material) -> int:
    sides = [
        max(map_.shape[:2])
        for map_ in (maps.base_color, maps.roughness, maps.metallic, maps.normal)
        if map_ is not None
    ]
    power = 1 << (int(max(sides)) - 1).bit_length()
    return min(max(power, _LEAST_SIDE), _MOST_SIDE)


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """Normals and tangents at corners, for normal maps (f, 3, 3) and (f, 3, 4)."""

    normals: NDArray[np.float32]
    tangents: NDArray[np.float32]


def _frames(mesh: Mesh) -> _Frames:
    assert mesh.uvs is not None
    assert mesh.uv_faces is not None
    normals = vertex_normals(mesh.vertices, mesh.faces)
    tangents = vertex_tangents(mesh.vertices, mesh.faces, mesh.uvs, mesh.uv_faces, normals)
    return _Frames(normals[mesh.faces], tangents[mesh.uv_faces])


class _Surface:
    """The old mesh: where the nearest place on it is, and what is there."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.rays = RayMesh(torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.faces))
        self.corners = mesh.vertices[mesh.faces].astype(np.float64)

    def nearest(
        self, points: NDArray[np.floating], normals: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Face (n,) and barycentric coordinates (n, 3) of the nearest place."""
        lifted = (points + _LIFT * self.rays.diagonal * normals).astype(np.float32)
        _, found = nearest_point(self.rays, torch.from_numpy(lifted))
        face = found.numpy().astype(np.int64)
        a, b, c = (self.corners[face, i] for i in range(3))
        u, v, w = b - a, c - a, lifted.astype(np.float64) - a
        uu, uv, vv = ((x * y).sum(axis=1) for x, y in ((u, u), (u, v), (v, v)))
        wu, wv = ((w * x).sum(axis=1) for x in (u, v))
        scale = np.maximum(uu * vv - uv * uv, 1e-300)
        s, t = (vv * wu - uv * wv) / scale, (uu * wv - uv * wu) / scale
        bary = np.clip(np.stack([1 - s - t, s, t], axis=1), 0, 1)
        return face, bary / np.maximum(bary.sum(axis=1, keepdims=True), 1e-300)

    @staticmethod
    def mix(
        corners: NDArray[np.floating], face: NDArray[np.int64], bary: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Values of corners (f, 3, c) at places (n, c)."""
        mixed: NDArray[np.float32] = np.einsum("nic,ni->nc", corners[face], bary).astype(np.float32)
        return mixed


class _Bake:
    """Fill the maps of the new mesh from the old one."""

    def __init__(self, old: _Surface, fewer: Mesh, size: int) -> None:
        assert fewer.uvs is not None
        assert fewer.uv_faces is not None
        self.old, self.new, self.size = old, fewer, size
        flat = fewer.uvs.astype(np.float64)[fewer.uv_faces] * size
        self.texel, self.face = covered_texels(flat, (size, size))
        self.bary = texel_weights(flat[self.face], self.texel, size)
        self.frames = _frames(fewer)
        starts = range(0, max(len(self.texel), 1), _BLOCK)
        self.blocks = [slice(start, start + _BLOCK) for start in starts]
        self.places = [self._place(block) for block in self.blocks]

    def material(self) -> Material:
        """The old material with maps for the new surface."""
        maps = self.old.mesh.material
        return Material(
            base_color=self._moved(maps.base_color),
            roughness=self._moved(maps.roughness),
            metallic=self._moved(maps.metallic),
            normal=None if maps.unlit else self._relief(),
            unlit=maps.unlit,
        )

    def _place(self, block: slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        corners = self.new.vertices[self.new.faces]
        points = _Surface.mix(corners, self.face[block], self.bary[block])
        normals = _Surface.mix(self.frames.normals, self.face[block], self.bary[block])
        return self.old.nearest(points, normals)

    def _moved(self, map_: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if map_ is None:
            return None
        return self._filled([self._sampled(map_, *place) for place in self.places])

    def _sampled(
        self, map_: NDArray[np.float32], face: NDArray[np.int64], bary: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        mesh = self.old.mesh
        assert mesh.uvs is not None
        assert mesh.uv_faces is not None
        uv = _Surface.mix(mesh.uvs[mesh.uv_faces], face, bary)
        return _bilinear(map_.reshape(*map_.shape[:2], -1), uv)

    def _relief(self) -> NDArray[np.float32]:
        """The old normals, in the frame of the new surface."""
        old = _frames(self.old.mesh)
        rows = [
            self._relief_of(old, block, *place)
            for block, place in zip(self.blocks, self.places, strict=True)
        ]
        return self._filled(rows)

    def _relief_of(
        self, old: _Frames, block: slice, face: NDArray[np.int64], bary: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        normal = _unit(_Surface.mix(old.normals, face, bary))
        map_ = self.old.mesh.material.normal
        if map_ is not None:
            x, y, z = self._sampled(map_, face, bary).T[..., None]
            along, across = _axes(old, face, bary, normal)
            normal = _unit(x * along + y * across + z * normal)
        own = _unit(_Surface.mix(self.frames.normals, self.face[block], self.bary[block]))
        along, across = _axes(self.frames, self.face[block], self.bary[block], own)
        seen = np.stack([(normal * axis).sum(axis=1) for axis in (along, across, own)], axis=1)
        seen[:, 2] = np.maximum(seen[:, 2], 0.05)  # never under the surface
        return _unit(seen)

    def _filled(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        rows = np.concatenate(parts)
        flat = torch.zeros((self.size * self.size, rows.shape[1]))
        known = torch.zeros(self.size * self.size, dtype=torch.bool)
        where = torch.from_numpy(self.texel)
        flat[where], known[where] = torch.from_numpy(rows), True
        square = (self.size, self.size)
        whole = fill_gaps(flat.view(*square, -1), known.view(square)).numpy()
        return np.ascontiguousarray(whole[..., 0] if rows.shape[1] == 1 else whole, np.float32)


def _axes(
    frames: _Frames, face: NDArray[np.int64], bary: NDArray[np.float64], normal: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Tangent and bitangent as glTF has them: the tangent as it comes, across the normal."""
    tangent = _Surface.mix(frames.tangents, face, bary)
    along = tangent[:, :3] - normal * (tangent[:, :3] * normal).sum(axis=1, keepdims=True)
    along = _unit(along)
    hand = np.where(tangent[:, 3:] < 0, np.float32(-1), np.float32(1))
    return along, np.cross(normal, along) * hand


def _bilinear(map_: NDArray[np.float32], uv: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sample a map (h, w, c) that repeats, at (n, 2)."""
    height, width = map_.shape[:2]
    x, y = uv[:, 0] * width - 0.5, uv[:, 1] * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    s, t = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    # Outside 0..1 a map repeats; at its very edge it does not bleed to the other side.
    inside = (uv.min(axis=1) >= 0) & (uv.max(axis=1) <= 1)

    def at(column: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.float32]:
        c = np.where(inside, np.clip(column, 0, width - 1), column % width)
        r = np.where(inside, np.clip(row, 0, height - 1), row % height)
        found: NDArray[np.float32] = map_[r, c]
        return found

    upper = at(left, top) * (1 - s) + at(left + 1, top) * s
    lower = at(left, top + 1) * (1 - s) + at(left + 1, top + 1) * s
    mixed: NDArray[np.float32] = upper * (1 - t) + lower * t
    return mixed


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-20)).astype(np.float32)
    return units
