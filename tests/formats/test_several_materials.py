# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The maps of several materials are laid side by side, and every place keeps its colour."""

import io
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial

from photocast.cli.boundary import run
from photocast.formats.meshes import load_mesh
from photocast.formats.srgb import linear_from_srgb
from photocast.stages.repair import repair
from photocast.stages.simplify import simplify
from photocast.stages.validate import check_file

RED, GREEN, BLUE, GREY = (200, 20, 30), (10, 180, 40), (20, 30, 220), (120, 120, 120)
QUARTERS = np.array([[RED, GREEN], [BLUE, GREY]], np.uint8)  # of a map: upper row first


def map_of(pixels, side=16) -> Image.Image:
    """A picture of square patches."""
    pixels = np.asarray(pixels, np.uint8)
    return Image.fromarray(np.kron(pixels, np.ones((side, side, 1), np.uint8)))


def square(x: float, uvs, material: PBRMaterial) -> trimesh.Trimesh:
    """Two triangles at x..x+1, its UVs with V up, as trimesh has them."""
    corners = [[x, 0, 0], [x + 1, 0, 0], [x + 1, 1, 0], [x, 1, 0]]
    visual = trimesh.visual.TextureVisuals(uv=None if uvs is None else np.array(uvs, float),
                                           material=material)  # fmt: skip
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


WHOLE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def glb(path: Path, *parts: trimesh.Trimesh) -> Path:
    scene = trimesh.Scene({f"part{i}": part for i, part in enumerate(parts)})
    path.write_bytes(scene.export(file_type="glb"))
    return path


def two_kinds(path: Path) -> Path:
    patches = PBRMaterial(name="patches", baseColorTexture=map_of(QUARTERS), metallicFactor=0.0)
    plain = PBRMaterial(name="plain", baseColorTexture=map_of([[BLUE]], 8), metallicFactor=0.0)
    return glb(path, square(0, WHOLE, patches), square(2, WHOLE, plain))


def color_at(mesh, x: float, y: float):
    """sRGB 0..255 of the base colour at a place of the plane z = 0."""
    for face, uv_face in zip(mesh.faces, mesh.uv_faces, strict=True):
        a, b, c = mesh.vertices[face][:, :2].astype(float)
        s, t = np.linalg.solve(np.stack([b - a, c - a], 1), np.array([x, y]) - a)
        if min(s, t) >= -1e-6 and s + t <= 1 + 1e-6:
            uv = np.array([1 - s - t, s, t]) @ mesh.uvs[uv_face].astype(float)
            image = mesh.material.base_color
            column, row = (uv * image.shape[1::-1]).astype(int)
            return image[row, column]
    raise AssertionError("no triangle there")


def is_color(mesh, x, y, wanted):
    codes = np.array(wanted, np.uint8)
    np.testing.assert_allclose(color_at(mesh, x, y), linear_from_srgb(codes), atol=2e-3)


def test_every_place_keeps_its_colour(tmp_path):
    mesh = load_mesh(two_kinds(tmp_path / "two.glb"))
    assert mesh.material.sources == 2
    assert mesh.uvs.min() > 0
    assert mesh.uvs.max() < 1
    for x, y, wanted in ((0.2, 0.8, RED), (0.8, 0.8, GREEN), (0.2, 0.2, BLUE), (0.8, 0.2, GREY),
                         (0.001, 0.999, RED), (2.5, 0.5, BLUE), (2.999, 0.001, BLUE)):  # fmt: skip
        is_color(mesh, x, y, wanted)


@pytest.mark.parametrize("suffix", [".glb", ".gltf", ".obj"])
def test_a_conversion_keeps_the_maps(suffix, tmp_path, capsys):
    source, out = two_kinds(tmp_path / "two.glb"), tmp_path / "out" / f"two{suffix}"
    assert run(["convert", str(source), str(out)]) == 0
    capsys.readouterr()
    made = load_mesh(out)
    assert made.material.sources == 1
    is_color(made, 0.2, 0.8, RED)
    is_color(made, 2.5, 0.5, BLUE)


def test_a_map_repeats_as_often_as_its_faces_need(tmp_path):
    patches = PBRMaterial(name="patches", baseColorTexture=map_of(QUARTERS), metallicFactor=0.0)
    plain = PBRMaterial(name="plain", baseColorTexture=map_of([[BLUE]], 8), metallicFactor=0.0)
    twice = np.array(WHOLE) * [2, 1] + [-3, 5]
    mesh = load_mesh(glb(tmp_path / "r.glb", square(0, twice, patches), square(2, WHOLE, plain)))
    for start in (0.0, 0.5):
        is_color(mesh, start + 0.1, 0.8, RED)
        is_color(mesh, start + 0.4, 0.8, GREEN)
        is_color(mesh, start + 0.4, 0.2, GREY)


def test_a_colour_without_a_map_is_a_place_in_the_map(tmp_path):
    patches = PBRMaterial(name="patches", baseColorTexture=map_of(QUARTERS), metallicFactor=0.0)
    plain = PBRMaterial(name="plain", baseColorFactor=[51, 102, 204, 255], metallicFactor=1.0,
                        roughnessFactor=0.25)  # fmt: skip
    mesh = load_mesh(glb(tmp_path / "c.glb", square(0, WHOLE, patches), square(2, None, plain)))
    np.testing.assert_allclose(color_at(mesh, 2.5, 0.5), np.array([51, 102, 204]) / 255, atol=1e-3)
    is_color(mesh, 0.2, 0.8, RED)
    assert set(np.unique(mesh.material.metallic)) == {0.0, 1.0}
    assert 0.25 in mesh.material.roughness


def test_colours_without_any_map_become_colours_of_vertices(tmp_path):
    parts = [
        square(2 * i, None, PBRMaterial(name=str(i), baseColorFactor=[*color, 255]))
        for i, color in enumerate([RED, BLUE])
    ]
    mesh = load_mesh(glb(tmp_path / "c.glb", *parts))
    assert mesh.uvs is None
    left = mesh.vertices[:, 0] <= 1
    np.testing.assert_allclose(mesh.colors[left], np.tile(np.array(RED) / 255, (4, 1)), atol=1e-3)
    np.testing.assert_allclose(mesh.colors[~left], np.tile(np.array(BLUE) / 255, (4, 1)), atol=1e-3)


def test_an_obj_with_several_materials_keeps_them(tmp_path):
    map_of(QUARTERS).save(tmp_path / "patches.png")
    (tmp_path / "m.mtl").write_text(
        "newmtl patches\nmap_Kd patches.png\nnewmtl plain\nKd 0.2 0.4 0.8\n", encoding="utf-8"
    )
    (tmp_path / "m.obj").write_text(
        "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 2 0 0\nv 3 0 0\nv 3 1 0\nv 2 1 0\n"
        "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl patches\nf 1/1 2/2 3/3 4/4\nusemtl plain\n"
        "f 5/1 6/2 7/3 8/4\nf 5/1 6/2\n",
        encoding="utf-8",
    )
    mesh = load_mesh(tmp_path / "m.obj")
    assert mesh.material.sources == 2
    is_color(mesh, 0.2, 0.8, RED)
    is_color(mesh, 0.8, 0.2, GREY)
    np.testing.assert_allclose(color_at(mesh, 2.5, 0.5), [0.2, 0.4, 0.8], atol=1e-6)


def test_maps_that_do_not_fit_are_halved(tmp_path, monkeypatch):
    monkeypatch.setattr("photocast.formats.several_materials._MOST_SIDE", 64)
    path = glb(tmp_path / "big.glb", *[
        square(2 * i, WHOLE, PBRMaterial(name=str(i), baseColorTexture=map_of([[c]], 40),
                                         metallicFactor=0.0))
        for i, c in enumerate([RED, GREEN, BLUE])])  # fmt: skip
    mesh = load_mesh(path)
    assert max(mesh.material.base_color.shape[:2]) <= 64
    for i, color in enumerate([RED, GREEN, BLUE]):
        is_color(mesh, 2 * i + 0.5, 0.5, color)


def test_what_repeats_too_often_is_read_without_maps_and_said(tmp_path):
    plain = PBRMaterial(name="plain", baseColorTexture=map_of([[BLUE]], 8), metallicFactor=0.0)
    patches = PBRMaterial(name="patches", baseColorTexture=map_of(QUARTERS), metallicFactor=0.0)
    parts = square(0, np.array(WHOLE) * 500.0, patches), square(2, WHOLE, plain)
    path = glb(tmp_path / "r.glb", *parts)
    mesh = load_mesh(path)
    assert mesh.material.base_color is None
    assert mesh.uvs is not None
    checks = {check.name: check for check in check_file(path).report.checks}
    assert checks["uv.materials"].value == 2
    assert "repeat too often" in checks["uv.materials"].note


def test_a_report_tells_of_several_materials(tmp_path):
    checks = {c.name: c for c in check_file(two_kinds(tmp_path / "two.glb")).report.checks}
    assert checks["uv.materials"].value == 2
    assert "side by side" in checks["uv.materials"].note
    assert checks["uv.overlap"].value == 0  # each has its own map, though both use all of it
    assert checks["uv.inside"].value is None
    assert checks["uv.inside"].note
    assert checks["uv.texture_width"].value == 64


def test_repair_and_simplify_keep_the_maps(tmp_path):
    def ball(x: float, color, name: str) -> trimesh.Trimesh:
        made = trimesh.creation.icosphere(3)
        made.apply_translation([x, 0, 0])
        uvs = made.vertices[:, :2] / 4 + 0.5
        skin = PBRMaterial(name=name, baseColorTexture=map_of([[color]]), metallicFactor=0.0)
        made.visual = trimesh.visual.TextureVisuals(uv=uvs, material=skin)
        return made

    mesh = load_mesh(glb(tmp_path / "balls.glb", ball(0, RED, "a"), ball(3, BLUE, "b")))
    mended = repair(mesh, "print").mesh
    fewer = simplify(mesh, 400)
    for made in (mended, fewer):
        middle = made.uvs[made.uv_faces].mean(axis=1) * made.material.base_color.shape[1::-1]
        column, row = middle.astype(int).T
        found = made.material.base_color[row, column]
        right = made.vertices[made.faces].mean(axis=1)[:, 0] > 1.5
        for side, color in ((~right, RED), (right, BLUE)):
            wanted = linear_from_srgb(np.array(color, np.uint8))
            close = (np.abs(found[side] - wanted) < 0.02).all(axis=1)
            assert close.mean() > 0.98


def test_three_hundred_materials_are_read_without_maps(tmp_path):
    names = [f"m{i}" for i in range(300)]
    buffer = io.StringIO()
    buffer.write("mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n")
    for name in names:
        buffer.write(f"usemtl {name}\nf 1/1 2/2 3/3\n")
    (tmp_path / "m.obj").write_text(buffer.getvalue(), encoding="utf-8")
    (tmp_path / "m.mtl").write_text("".join(f"newmtl {n}\n" for n in names), encoding="utf-8")
    mesh = load_mesh(tmp_path / "m.obj")
    assert mesh.material.sources == 300
    assert mesh.material.base_color is None
