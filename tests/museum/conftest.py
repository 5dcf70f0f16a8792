# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Good, odd and broken meshes, each with what must be found in it.

Most are made here; a few are tiny files written by hand, beside this one. A test that asks for
``piece`` runs once for each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from photocast.data import Material, Mesh
from photocast.formats.meshes import mesh_files

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Piece:
    """A mesh, and the answers that a check must give."""

    name: str
    make: Callable[[], Mesh] | None = None
    """``None``: the file lies beside this one."""
    suffix: str = ".ply"
    answers: dict[str, Any] = field(default_factory=dict)
    view: str = "pass"
    """Verdict by profile ``view``."""
    print: str = "pass"
    """Verdict by profile ``print``."""
    error: str = ""
    """Code of the error, if there is no mesh to report on."""

    def write(self, folder: Path) -> Path:
        """Put the file, and what belongs to it, into a folder."""
        path = folder / f"{self.name}{self.suffix}"
        if self.make is None:
            for source in FOLDER.glob(f"{self.name}.*"):
                (folder / source.name).write_bytes(source.read_bytes())
        else:
            for name, data in mesh_files(self.make(), self.suffix, stem=self.name).items():
                (folder / name).write_bytes(data)
        return path


def mesh_of(vertices: Any, faces: Any, **more: Any) -> Mesh:
    """A mesh from lists."""
    return Mesh(np.asarray(vertices, np.float32), np.asarray(faces, np.int32), **more)


def joined(*meshes: Mesh) -> Mesh:
    """Several bodies as one mesh."""
    starts = np.cumsum([0, *[len(mesh.vertices) for mesh in meshes]])
    return mesh_of(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=False)]),
    )


def sphere(radius: float = 1.0, at: tuple[float, ...] = (0, 0, 0), steps: int = 3) -> Mesh:
    """A closed sphere of 20 * 4**steps triangles."""
    made = trimesh.creation.icosphere(steps)
    return mesh_of(made.vertices * radius + np.asarray(at), made.faces)


def turned(mesh: Mesh) -> Mesh:
    """Inside out."""
    return replace(mesh, faces=np.ascontiguousarray(mesh.faces[:, ::-1]))


def cube(side: float = 1.0, at: tuple[float, ...] = (0, 0, 0)) -> Mesh:
    """Twelve triangles."""
    made = blocks([[[1]]])
    return mesh_of(made.vertices * side + np.asarray(at), made.faces)


def blocks(grid: Any) -> Mesh:
    """The surface of unit cubes (x, y, z) that are not zero; welded, so touching cubes share."""
    solid = np.pad(np.asarray(grid, bool), 1)
    corners, faces = [], []
    for axis in range(3):
        for sign in (0, 1):
            out = np.roll(solid, -1 if sign else 1, axis=axis)
            for cell in np.argwhere(solid & ~out):
                u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
                base = cell + sign * np.eye(3)[axis]
                ring = [base, base + u, base + u + v, base + v]
                start = len(corners)
                corners += ring if sign else ring[::-1]
                faces += [[start, start + 1, start + 2], [start, start + 2, start + 3]]
    places, index = np.unique(np.array(corners) - 1, axis=0, return_inverse=True)
    return mesh_of(places, index.reshape(-1)[np.array(faces)])


def textured(mesh: Mesh, uvs: Any, uv_faces: Any) -> Mesh:
    """With UVs and a small picture."""
    picture = np.random.default_rng(1).random((16, 16, 3)).astype(np.float32)
    return replace(
        mesh,
        uvs=np.asarray(uvs, np.float32),
        uv_faces=np.asarray(uv_faces, np.int32),
        material=Material(base_color=picture),
    )


def plate() -> Mesh:
    """A slab with five holes: genus 5."""
    grid = np.ones((11, 3, 1))
    grid[1::2, 1] = 0
    return blocks(grid)


def two_tetrahedra(shared: int) -> Mesh:
    """Two tetrahedra with one or two vertices in common, and nothing else."""
    first = [[0, 0, 0], [1, 0, 0], [0.4, 1, 0], [0.4, 0.3, 1]]
    second = [[0, 0, 0], [1, 0, 0], [0.4, -1, 0], [0.4, -0.3, -1]]
    if shared == 1:
        second[1] = [-1, -0.2, -0.3]
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
    other = faces if np.linalg.det(np.array(second[1:])) * np.linalg.det(np.array(first[1:])) > 0 \
        else faces[:, ::-1]  # fmt: skip
    return mesh_of(first + second, np.concatenate([faces, other + 4]))


def split_edge() -> Mesh:
    """A cube with a triangle of no area where an edge has a vertex on one side only."""
    box = cube()
    a, b, c = box.faces[0]
    middle = len(box.vertices)
    point = (box.vertices[a] + box.vertices[b]) / 2
    faces = [[a, middle, c], [middle, b, c], [a, b, middle], *box.faces[1:].tolist()]
    return mesh_of(np.vstack([box.vertices, point]), faces)


def cube_with_uvs(overlap: bool) -> Mesh:
    """Every side has the whole map, or a sixth of its own."""
    box = cube()
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    if overlap:
        uvs, uv_faces = square, np.tile([[0, 1, 2], [0, 2, 3]], (6, 1))
    else:
        places = [(square * 0.3 + [x / 3, y / 3]) for y in range(2) for x in range(3)]
        uvs = np.concatenate(places)
        uv_faces = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * i for i in range(6)])
    return textured(box, uvs, uv_faces)


def loose_vertices() -> Mesh:
    box = cube()
    return mesh_of(np.vstack([box.vertices, [[5, 5, 5], [6, 6, 6]]]), box.faces)


def moebius(count: int = 24) -> Mesh:
    """A strip with one side."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    rows = []
    for across in (-0.3, 0.3):
        radius = 1 + across * np.cos(angle / 2)
        rows.append(
            np.stack(
                [radius * np.cos(angle), radius * np.sin(angle), across * np.sin(angle / 2)], 1
            )
        )
    vertices = np.concatenate(rows)
    faces = []
    for i in range(count):
        a, b = i, i + count
        c, d = (i + 1, i + 1 + count) if i + 1 < count else (count, 0)
        faces += [[a, c, b], [b, c, d]]
    return mesh_of(vertices, faces)


def spike() -> Mesh:
    """A sphere with one vertex pushed in, and out again at the other side."""
    ball = sphere()
    vertices = ball.vertices.copy()
    vertices[vertices[:, 2].argmax()] = [0.03, 0.02, -1.4]
    return mesh_of(vertices, ball.faces)


def crossing_path(count: int) -> Any:
    """A plane curve that crosses itself once (n, 3)."""
    s = np.linspace(-1.6, 1.6, count)
    return np.stack([3 * s * (s * s - 1), -2 * s * s, 0.05 * s], axis=1)


def looped_tube(count: int = 60, around: int = 12, radius: float = 0.18) -> Mesh:
    """One closed part that passes through itself, as a bent arm may."""
    path = crossing_path(count)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, [0.0, 0.0, 1.0])
    angle = 2 * np.pi * np.arange(around) / around
    rings = path[:, None] + radius * (
        np.cos(angle)[:, None] * across[:, None]
        + np.sin(angle)[:, None] * np.cross(along, across)[:, None]
    )
    j, i = np.meshgrid(np.arange(around), np.arange(count - 1))
    a, b = (i * around + j).ravel(), (i * around + (j + 1) % around).ravel()
    sides = np.concatenate(
        [np.stack([a, b, b + around], 1), np.stack([a, b + around, a + around], 1)]
    )
    one, two = np.arange(around), (np.arange(around) + 1) % around
    start, stop = np.full(around, count * around), np.full(around, count * around + 1)
    last = (count - 1) * around
    caps = [np.stack([start, two, one], 1), np.stack([stop, last + one, last + two], 1)]
    vertices = np.concatenate([rings.reshape(-1, 3), path[[0, -1]]])
    made = mesh_of(vertices, np.concatenate([sides, *caps]))
    volume = trimesh.Trimesh(made.vertices, made.faces, process=False).volume
    return made if volume > 0 else turned(made)


def folded_strip(count: int = 40) -> Mesh:
    """An open strip that passes through itself: nobody can say how it should run."""
    path = crossing_path(count)
    rows = np.concatenate([path * [1, 1, 0] + [0, 0, z] for z in (0.0, 0.5, 1.0)])
    a = np.concatenate([np.arange(count - 1) + row * count for row in range(2)])
    faces = [np.stack([a, a + 1, a + count + 1], 1), np.stack([a, a + count + 1, a + count], 1)]
    return mesh_of(rows, np.concatenate(faces))


CLOSED = {"mesh.watertight": True, "mesh.boundary_edges": 0, "mesh.winding_consistent": True}
SOUND = {
    **CLOSED,
    "mesh.outward": True,
    "mesh.non_manifold_edges": 0,
    "mesh.non_manifold_vertices": 0,
    "mesh.degenerate_faces": 0,
    "mesh.duplicate_faces": 0,
    "shape.self_intersecting_faces": 0,
}

PIECES = [
    Piece("good_sphere", sphere, answers={**SOUND, "mesh.components": 1, "mesh.genus": 0}),
    Piece("good_cube", cube, ".stl", {**SOUND, "mesh.file_vertices": 36, "mesh.vertices": 8,
                                      "mesh.volume": 1.0, "mesh.duplicate_vertices": 28}),
    Piece("good_texture", lambda: cube_with_uvs(False), ".glb",
          {**SOUND, "uv.charts": 6, "uv.overlap": 0.0, "uv.inside": True,
           "uv.texture_width": 16, "uv.seam_length": 12.0, "uv.stretch_p95": 1.0}),
    Piece("open", lambda: mesh_of(cube().vertices, cube().faces[2:]), answers={
        "mesh.watertight": False, "mesh.boundary_edges": 4, "mesh.boundary_loops": 1,
        "mesh.boundary_length": 4.0, "mesh.outward": None, "mesh.volume": None,
        "mesh.genus": None, "shape.thickness_p1": None}, view="warn", print="fail"),
    Piece("non_manifold_edge", lambda: two_tetrahedra(2), answers={
        "mesh.non_manifold_edges": 1, "mesh.watertight": False, "mesh.components": 1,
        "mesh.non_manifold_vertices": 0}, view="warn", print="fail"),
    Piece("non_manifold_vertex", lambda: two_tetrahedra(1), answers={
        **CLOSED, "mesh.non_manifold_edges": 0, "mesh.non_manifold_vertices": 1},
        view="warn", print="warn"),
    Piece("flipped", lambda: mesh_of(sphere().vertices, np.vstack(
        [sphere().faces[:3, ::-1], sphere().faces[3:]])), answers={
        "mesh.watertight": True, "mesh.winding_consistent": False, "mesh.flipped_faces": 3,
        "mesh.outward": None}, view="fail", print="fail"),
    Piece("duplicated", lambda: mesh_of(sphere().vertices, np.vstack(
        [sphere().faces, sphere().faces[:2], sphere().faces[5:6, [1, 2, 0]]])), answers={
        "mesh.duplicate_faces": 3, "shape.self_intersecting_faces": 0}, view="warn", print="fail"),
    Piece("zero_area", split_edge, answers={
        **CLOSED, "mesh.degenerate_faces": 1, "mesh.volume": 1.0, "mesh.non_manifold_edges": 0,
        "shape.min_angle": 0.0, "shape.self_intersecting_faces": 3}, view="warn", print="fail"),
    Piece("self_intersecting", lambda: joined(sphere(), sphere(at=(0.9, 0.1, 0.2))), answers={
        **CLOSED, "mesh.components": 2}, view="warn", print="fail"),
    Piece("spike", spike, answers={
        **CLOSED, "mesh.components": 1, "mesh.genus": 0, "mesh.outward": True,
        "shape.self_intersecting_faces": 8}, print="warn"),
    Piece("looped_tube", looped_tube, answers={
        **CLOSED, "mesh.components": 1, "mesh.genus": 0, "mesh.outward": True},
        view="warn", print="fail"),
    Piece("folded_strip", folded_strip, answers={
        "mesh.watertight": False, "mesh.components": 1, "mesh.boundary_loops": 1,
        "shape.self_intersecting_faces": 8}, view="warn", print="fail"),
    Piece("nan", None, ".obj", {"mesh.not_finite": 2, "mesh.watertight": None,
                                "shape.self_intersecting_faces": None}, "fail", "fail"),
    Piece("unreferenced", loose_vertices, answers={
        **SOUND, "mesh.unreferenced_vertices": 2, "mesh.components": 1, "shape.box": "1 x 1 x 1"}),
    Piece("inside_out", lambda: turned(sphere()), answers={
        **CLOSED, "mesh.outward": False, "mesh.flipped_faces": 0}, view="fail", print="fail"),
    Piece("nested_shells", lambda: joined(cube(3.0), turned(cube(1.0, (1, 1, 1)))), answers={
        **SOUND, "mesh.components": 2, "mesh.hollows": 1, "mesh.volume": 26.0, "mesh.genus": 0},
        view="warn", print="warn"),
    Piece("nested_solids", lambda: joined(cube(3.0), cube(1.0, (1, 1, 1))), answers={
        **CLOSED, "mesh.outward": False, "mesh.hollows": 0}, view="fail", print="fail"),
    Piece("genus_5", plate, answers={**SOUND, "mesh.genus": 5, "mesh.euler_number": -8,
                                     "mesh.volume": 28.0, "shape.thickness_p1": 1.0}),
    Piece("two_bodies_touching", lambda: joined(cube(2.0), cube(1.0, (2, 0.5, 0.5))), answers={
        **CLOSED, "mesh.components": 2, "mesh.outward": True, "mesh.non_manifold_edges": 0,
        "mesh.volume": 9.0, "shape.self_intersecting_faces": 12}, view="warn", print="fail"),
    Piece("touching_along_an_edge", lambda: blocks([[[1], [0]], [[0], [1]]]), answers={
        "mesh.non_manifold_edges": 1, "mesh.watertight": False, "mesh.components": 1},
        view="warn", print="fail"),
    Piece("uv_overlap", lambda: cube_with_uvs(True), ".glb", {**SOUND, "uv.overlap": 1.0},
          view="fail"),
    Piece("uv_outside", lambda: textured(
        cube(), cube_with_uvs(False).uvs * 2 - 0.5, cube_with_uvs(False).uv_faces), ".glb",
        {**SOUND, "uv.inside": False}, view="warn"),
    Piece("missing_texture", None, ".obj", error="mesh.texture"),
    Piece("gigantic", lambda: sphere(3e12, (1e13, 0, 0)), answers={
        **SOUND, "mesh.genus": 0}),
    Piece("tiny", lambda: sphere(2e-13), answers={**SOUND, "mesh.genus": 0}),
    Piece("moebius", moebius, answers={
        "mesh.winding_consistent": False, "mesh.boundary_loops": 1, "mesh.components": 1},
        view="fail", print="fail"),
    Piece("empty", None, ".ply", error="mesh.empty"),
    Piece("no_faces", None, ".obj", {"mesh.faces": 0, "mesh.watertight": None}, "fail", "fail"),
]  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``piece`` once for each that holds a mesh; or for ``no_mesh``."""
    for name, error in (("piece", False), ("no_mesh", True)):
        if name in metafunc.fixturenames:
            chosen = [piece for piece in PIECES if bool(piece.error) == error]
            metafunc.parametrize(name, chosen, ids=lambda piece: piece.name)


@pytest.fixture(scope="session")
def pieces() -> dict[str, Piece]:
    """All pieces by name."""
    return {piece.name: piece for piece in PIECES}
