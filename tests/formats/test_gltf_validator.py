# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The Khronos validator has nothing to say against any glTF that we write.

Install it with ``sh scripts/get-gltf-validator.sh``.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photocast.data import Material, Mesh
from photocast.formats.meshes import load_mesh, save_mesh

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "scripts" / "gltf-validator"
SAMPLE = ROOT / "examples" / "sample" / "ground_truth.ply"


def validate(*paths: Path) -> list[dict]:
    if shutil.which("node") is None or not (TOOL / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("no glTF validator: sh scripts/get-gltf-validator.sh")
    command = ["node", str(TOOL / "validate.js"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def complaints(report: dict) -> list[str]:
    """Errors, warnings and hints, without mere information."""
    return [
        f"{issue['code']} at {issue.get('pointer')}: {issue['message']}"
        for issue in report["issues"]["messages"]
        if issue["severity"] != 2
    ]


def full(mesh: Mesh, *, unlit: bool) -> Mesh:
    """All maps, of different sizes."""
    rng = np.random.default_rng(3)
    grey = rng.random((8, 8), dtype=np.float32)
    normal = np.tile(np.float32([0.1, -0.2, 0.97]), (4, 16, 1))
    color = rng.random((16, 8, 3), dtype=np.float32)
    return replace(mesh, material=Material(color, grey, grey, normal, unlit=unlit))


def mesh_of(vertices: list, faces: list, **more) -> Mesh:
    return Mesh(np.array(vertices, dtype=np.float32), np.array(faces, dtype=np.int32), **more)


def museum(sphere: Mesh) -> dict[str, Mesh]:
    """Good, odd and broken surfaces."""
    corners = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    faces = [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    bare = mesh_of(corners, faces)
    flat_uvs = np.zeros((4, 2), dtype=np.float32)
    far_uvs = np.float32([[-3, 9], [1e6, 0], [0.5, 0.5], [0, 1]])
    return {
        "textured": sphere,
        "lit": full(sphere, unlit=False),
        "unlit": full(sphere, unlit=True),
        "normal_only": replace(
            sphere, material=replace(full(sphere, unlit=False).material, base_color=None)
        ),
        "coloured": replace(bare, colors=np.float32([[0, 0, 0], [1, 1, 1], [2, -1, 0], [0, 1, 0]])),
        "bare": bare,
        "uvs_without_maps": replace(
            sphere, material=Material(), colors=np.ones((len(sphere.vertices), 3), np.float32)
        ),
        "open": mesh_of(corners, faces[:3]),
        "inside_out": mesh_of(corners, [face[::-1] for face in faces]),
        "zero_area": mesh_of(corners, [[0, 0, 1], [1, 1, 1], *faces]),
        "only_zero_area": mesh_of([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]]),
        "duplicated": mesh_of(corners, faces + faces),
        "unreferenced": mesh_of([*corners, [9, 9, 9]], faces),
        "three_on_an_edge": mesh_of([*corners, [1, 1, 1]], [*faces, [0, 1, 4]]),
        "uvs_in_a_point": full(
            replace(bare, uvs=flat_uvs, uv_faces=np.array(faces, dtype=np.int32)), unlit=False
        ),
        "uvs_far_out": full(
            replace(bare, uvs=far_uvs, uv_faces=np.array(faces, dtype=np.int32)), unlit=False
        ),
        "gigantic": mesh_of((np.array(corners) * 1e30).tolist(), faces),
        "tiny": mesh_of((np.array(corners) * 1e-30).tolist(), faces),
        "denormal": mesh_of((np.array(corners) * 1e-42).tolist(), faces),
        "far_away": mesh_of((np.array(corners) + 1e7).tolist(), faces),
    }


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_the_validator_has_nothing_against_the_museum(tmp_path, textured_sphere, suffix):
    meshes = museum(textured_sphere)
    for name, mesh in meshes.items():
        save_mesh(tmp_path / f"{name}{suffix}", mesh, up=np.array([0.3, -0.2, 0.9]))
    reports = validate(*(tmp_path / f"{name}{suffix}" for name in meshes))
    found = {name: complaints(report) for name, report in zip(meshes, reports, strict=True)}
    assert {name: issues for name, issues in found.items() if issues} == {}


def test_the_validator_has_nothing_against_the_sample(tmp_path):
    save_mesh(tmp_path / "sample.glb", load_mesh(SAMPLE))
    (report,) = validate(tmp_path / "sample.glb")
    assert complaints(report) == []
    assert report["info"]["totalTriangleCount"] == 40_000


def test_the_validator_would_complain(tmp_path, textured_sphere):
    save_mesh(tmp_path / "bad.glb", textured_sphere)
    data = (tmp_path / "bad.glb").read_bytes()
    (tmp_path / "bad.glb").write_bytes(
        data.replace(b'"componentType":5126', b'"componentType":5125')
    )
    (report,) = validate(tmp_path / "bad.glb")
    assert report["issues"]["numErrors"] > 0


def test_only_ratified_extensions_are_written(tmp_path, textured_sphere):
    from photocast.formats.gltf_document import gltf_document

    used: set[str] = set()
    for mesh in museum(textured_sphere).values():
        used |= set(gltf_document(mesh).json.get("extensionsUsed", []))
    assert used == {"KHR_materials_unlit"}
