# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every law for every format: what is written is the master mesh, less what the format lacks."""

import io
import re
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast.data import Material, Mesh
from photocast.formats.carried import CARRIED, PARTS, lost_parts
from photocast.formats.meshes import SAVED_SUFFIXES, load_mesh, save_mesh
from photocast.formats.srgb import linear_from_srgb
from photocast.formats.textures import decode_image, normal_from_pixels

UP = np.array([0.3, -0.2, 0.9])
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def master(textured_sphere) -> Mesh:
    """A sphere off the origin with every map, in odd float32 positions."""
    codes = np.random.default_rng(5).integers(0, 256, (16, 8, 8)).astype(np.uint8)
    material = Material(
        base_color=linear_from_srgb(codes[..., :3]),
        roughness=codes[..., 3] / np.float32(255),
        metallic=codes[..., 4] / np.float32(255),
        normal=normal_from_pixels(codes[..., 5:]),
        unlit=False,
    )
    vertices = (textured_sphere.vertices * np.float32([0.137, 0.07, 0.3])).astype(np.float32)
    return replace(
        textured_sphere, vertices=vertices + np.float32([3.1, -2.7, 0.4]), material=material
    )


@pytest.fixture(scope="module")
def painted(master) -> Mesh:
    """The same with a colour per vertex instead of UVs and maps."""
    codes = np.random.default_rng(6).integers(0, 256, (len(master.vertices), 3)).astype(np.uint8)
    return Mesh(master.vertices, master.faces, colors=linear_from_srgb(codes))


def read_back(path: Path) -> Mesh:
    if path.suffix == ".usdz":
        return read_usdz(path)
    return load_mesh(path)


def read_usdz(path: Path) -> Mesh:
    """Look into our own USDZ with the library of its makers."""
    from pxr import Usd, UsdGeom, UsdShade

    stage = Usd.Stage.Open(str(path))
    shape = UsdGeom.Mesh(stage.GetPrimAtPath("/photocast/mesh"))
    corners = np.array(shape.GetFaceVertexIndicesAttr().Get(), dtype=np.int32).reshape(-1, 3)
    primvars = UsdGeom.PrimvarsAPI(shape)
    places, colors = primvars.GetPrimvar("st"), shape.GetDisplayColorAttr().Get()
    uvs = uv_faces = None
    if places:
        uvs = np.array(places.Get(), dtype=np.float32) * [1, -1] + [0, 1]
        uv_faces = np.array(places.GetIndices(), dtype=np.int32).reshape(-1, 3)
    maps = {}
    shader = UsdShade.Shader.Get(stage, "/photocast/surface/shader")

    def source(target: str) -> str:
        found = shader.GetInput(target) if shader else None
        wired = bool(found) and found.HasConnectedSource()
        return found.GetConnectedSource()[0].GetPrim().GetName() if wired else ""

    unlit = source("emissiveColor") == "base_color"
    with zipfile.ZipFile(path) as file:
        for name in ("base_color", "roughness", "metallic", "normal"):
            target = name.replace("base_color", "emissiveColor" if unlit else "diffuseColor")
            if source(target) == name:
                maps[name] = decode_image(file.read(f"textures/{name}.png"))
    return Mesh(
        np.array(shape.GetPointsAttr().Get(), dtype=np.float32),
        corners,
        uvs=None if uvs is None else uvs.astype(np.float32),
        uv_faces=uv_faces,
        colors=None if colors is None else np.array(colors, dtype=np.float32),
        material=Material(
            base_color=linear_from_srgb(maps["base_color"]) if "base_color" in maps else None,
            roughness=maps["roughness"][..., 0] / np.float32(255) if "roughness" in maps else None,
            metallic=maps["metallic"][..., 0] / np.float32(255) if "metallic" in maps else None,
            normal=normal_from_pixels(maps["normal"]) if "normal" in maps else None,
            unlit=unlit,
        ),
    )


def saved(path: Path, mesh: Mesh) -> Path:
    if path.suffix == ".usdz":
        pytest.importorskip("pxr", reason="usd-core is not installed (extra usd)")
    save_mesh(path, mesh, up=UP)
    return path


def parts_of(mesh: Mesh) -> set[str]:
    found = {"uvs": mesh.uvs, "colors": mesh.colors}
    found |= {name: getattr(mesh.material, name) for name in PARTS[2:]}
    return {name for name, value in found.items() if value is not None}


@pytest.mark.parametrize("suffix", SAVED_SUFFIXES)
def test_positions_and_triangles_come_back_to_the_last_bit(tmp_path, master, suffix):
    back = read_back(saved(tmp_path / f"mesh{suffix}", master))
    np.testing.assert_array_equal(back.vertices[back.faces], master.vertices[master.faces])
    assert len(back.vertices) == len(master.vertices)


@pytest.mark.parametrize("suffix", [s for s in SAVED_SUFFIXES if "uvs" in CARRIED[s]])
def test_uvs_come_back_within_a_float(tmp_path, master, suffix):
    back = read_back(saved(tmp_path / f"mesh{suffix}", master))
    np.testing.assert_allclose(
        back.uvs[back.uv_faces], master.uvs[master.uv_faces], rtol=0, atol=6e-8
    )


@pytest.mark.parametrize("suffix", SAVED_SUFFIXES)
@pytest.mark.parametrize("name", PARTS[2:])
def test_a_map_comes_back_or_is_said_to_be_lost(tmp_path, master, suffix, name):
    wanted = getattr(master.material, name)
    alone = replace(master, material=Material(**{name: wanted}, unlit=False))
    back = getattr(read_back(saved(tmp_path / f"mesh{suffix}", alone)).material, name)
    if name in lost_parts(alone, suffix):
        assert back is None
    else:
        np.testing.assert_allclose(back, wanted, rtol=0, atol=1e-6)  # eight bits, exactly


@pytest.mark.parametrize("suffix", SAVED_SUFFIXES)
@pytest.mark.parametrize("which", ["master", "painted"])
def test_what_is_there_is_what_is_not_lost(tmp_path, request, suffix, which):
    mesh = request.getfixturevalue(which)
    back = read_back(saved(tmp_path / f"mesh{suffix}", mesh))
    assert parts_of(back) == parts_of(mesh) - set(lost_parts(mesh, suffix))


@pytest.mark.parametrize("suffix", [s for s in SAVED_SUFFIXES if "colors" in CARRIED[s]])
def test_colours_come_back_as_eight_bits(tmp_path, painted, suffix):
    back = read_back(saved(tmp_path / f"mesh{suffix}", painted))
    np.testing.assert_allclose(back.colors, painted.colors, rtol=0, atol=1e-6)


@pytest.mark.parametrize("suffix", [s for s in SAVED_SUFFIXES if "roughness" in CARRIED[s]])
@pytest.mark.parametrize("unlit", [True, False])
def test_unlit_stays_unlit(tmp_path, master, suffix, unlit):
    mesh = replace(master, material=replace(master.material, unlit=unlit))
    assert read_back(saved(tmp_path / f"mesh{suffix}", mesh)).material.unlit is unlit


@pytest.mark.parametrize("suffix", SAVED_SUFFIXES)
def test_the_same_mesh_is_the_same_bytes(tmp_path, master, suffix):
    one, two = (saved(tmp_path / n / f"m{suffix}", master) for n in _made(tmp_path, "a", "b"))
    assert one.read_bytes() == two.read_bytes()


def _made(folder: Path, *names: str) -> tuple[str, ...]:
    for name in names:
        (folder / name).mkdir()
    return names


def test_the_table_in_the_docs_is_what_formats_carry():
    page = (DOCS / "formats.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\.\w+)` \|(.*)\|$", page, re.M))
    assert set(rows) == set(SAVED_SUFFIXES)
    for suffix, cells in rows.items():
        marks = [cell.strip() for cell in cells.split("|")][: len(PARTS)]
        assert [mark != "–" for mark in marks] == [p in CARRIED[suffix] for p in PARTS], suffix


# --- what others see


def test_assimp_opens_an_obj_with_its_maps(tmp_path, master):
    assimp = pytest.importorskip("assimp_py", reason="assimp-py is not installed (extra dev)")
    path = saved(tmp_path / "mesh.obj", master)
    scene = assimp.import_file(str(path), assimp.Process_Triangulate)
    (shape,) = scene.meshes
    assert shape.num_faces == len(master.faces)
    textures = scene.materials[shape.material_index]["TEXTURES"]
    files = {name for names in textures.values() for name in names}
    assert files == {f"mesh{s}.png" for s in ("", "_roughness", "_metallic", "_normal")}
    assert all((tmp_path / name).is_file() for name in files)


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_assimp_opens_a_gltf_upright_with_its_maps(tmp_path, master, suffix):
    assimp = pytest.importorskip("assimp_py", reason="assimp-py is not installed (extra dev)")
    path = saved(tmp_path / f"mesh{suffix}", master)
    flags = assimp.Process_Triangulate | assimp.Process_PreTransformVertices
    scene = assimp.import_file(str(path), flags)
    (shape,) = scene.meshes
    assert shape.num_faces == len(master.faces)
    heights = np.asarray(shape.vertices).reshape(-1, 3)[:, 1]
    along = master.vertices @ (UP / np.linalg.norm(UP))
    np.testing.assert_allclose([heights.min(), heights.max()], [along.min(), along.max()], 1e-5)
    textures = scene.materials[shape.material_index]["TEXTURES"]
    assert len({name for names in textures.values() for name in names}) == 3


def test_trimesh_opens_an_obj_with_its_texture(tmp_path, master):
    trimesh = pytest.importorskip("trimesh")
    other = trimesh.load(saved(tmp_path / "mesh.obj", master), force="mesh", process=False)
    image = np.asarray(other.visual.material.image.convert("RGB"))
    np.testing.assert_allclose(linear_from_srgb(image), master.material.base_color, atol=1e-6)
    assert_same_corners(master, other.vertices[other.faces], other.visual.uv[other.faces])


@pytest.mark.open3d
def test_open3d_opens_an_obj_with_its_texture(tmp_path, master, open3d_tool):
    path = saved(tmp_path / "mesh.obj", master)
    model = open3d_tool.io.read_triangle_model(str(path))
    shape = open3d_tool.io.read_triangle_mesh(str(path), enable_post_processing=False)
    corners = np.asarray(shape.vertices)[np.asarray(shape.triangles)]
    assert_same_corners(master, corners, np.asarray(shape.triangle_uvs).reshape(-1, 3, 2))
    (material,) = model.materials
    image = np.asarray(material.albedo_img)[..., :3]
    np.testing.assert_allclose(linear_from_srgb(image), master.material.base_color, atol=1e-6)


def assert_same_corners(mesh, positions, uvs):
    """Another reader's triangles are ours: in order, in place and in the map (V up in an OBJ)."""
    np.testing.assert_allclose(positions, mesh.vertices[mesh.faces], atol=1e-6)
    ours = mesh.uvs[mesh.uv_faces] * [1, -1] + [0, 1]
    np.testing.assert_allclose(uvs, ours, atol=1e-6)


def test_the_makers_of_3mf_find_a_valid_solid_in_millimetres(tmp_path, master):
    lib3mf = pytest.importorskip("lib3mf", reason="lib3mf is not installed (extra dev)")
    model = lib3mf.get_wrapper().CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromFile(str(saved(tmp_path / "mesh.3mf", master)))
    assert reader.GetWarningCount() == 0
    assert model.GetUnit() == lib3mf.ModelUnit.MilliMeter
    shapes = model.GetMeshObjects()
    assert shapes.MoveNext()
    shape = shapes.GetCurrentMeshObject()
    assert shape.IsValid()
    assert shape.IsManifoldAndOriented()
    points = np.array([list(point.Coordinates) for point in shape.GetVertices()])
    np.testing.assert_allclose(points, master.vertices * 1000.0, rtol=1e-6)
    items = model.GetBuildItems()
    assert items.MoveNext()
    fields = items.GetCurrent().GetObjectTransform().Fields
    placed = points @ np.array([list(row) for row in fields])[:3] + list(fields[3])
    np.testing.assert_allclose(placed.min(axis=0), 0, atol=1e-3)  # on the plate
    along = points @ (UP / np.linalg.norm(UP))
    np.testing.assert_allclose(placed[:, 2], along - along.min(), atol=1e-2)


def test_a_3mf_of_the_makers_library_is_read(tmp_path):
    lib3mf = pytest.importorskip("lib3mf", reason="lib3mf is not installed (extra dev)")
    wrapper = lib3mf.get_wrapper()
    model = wrapper.CreateModel()
    model.SetUnit(lib3mf.ModelUnit.Inch)
    shape = model.AddMeshObject()
    corners = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    points = [lib3mf.Position((lib3mf.ctypes.c_float * 3)(*p)) for p in corners]
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    shape.SetGeometry(points, [lib3mf.Triangle((lib3mf.ctypes.c_uint32 * 3)(*f)) for f in faces])
    pair = model.AddComponentsObject()
    pair.AddComponent(shape, wrapper.GetTranslationTransform(10, 0, 0))
    pair.AddComponent(shape, wrapper.GetUniformScaleTransform(2))
    model.AddBuildItem(pair, wrapper.GetTranslationTransform(0, 0, 5))
    model.QueryWriter("3mf").WriteToFile(str(tmp_path / "theirs.3mf"))
    mesh = load_mesh(tmp_path / "theirs.3mf")
    assert len(mesh.faces) == 8
    inches = mesh.bounds / np.float32(0.0254)
    np.testing.assert_allclose(inches, [[0, 0, 5], [11, 2, 7]], rtol=1e-5, atol=1e-5)


def test_usdchecker_is_content(tmp_path, master, painted):
    pytest.importorskip("pxr", reason="usd-core is not installed (extra usd)")
    for name, mesh in (("master", master), ("painted", painted)):
        path = saved(tmp_path / f"{name}.usdz", mesh)
        assert usd_complaints(path) == []


def usd_complaints(path: Path) -> list[str]:
    """What usdchecker says: the validation framework of newer versions, or the old checker."""
    from pxr import Usd, UsdUtils

    if hasattr(UsdUtils, "ComplianceChecker"):
        checker = UsdUtils.ComplianceChecker(arkit=True)
        checker.CheckCompliance(str(path))
        return [*checker.GetErrors(), *checker.GetWarnings(), *checker.GetFailedChecks()]
    from pxr import UsdValidation

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 10
    context = UsdValidation.ValidationContext(validators)
    return [error.GetMessage() for error in context.Validate(Usd.Stage.Open(str(path)))]


def test_usdchecker_would_complain(tmp_path, painted):
    pytest.importorskip("pxr", reason="usd-core is not installed (extra usd)")
    path = saved(tmp_path / "good.usdz", painted)
    with zipfile.ZipFile(path) as file:
        data = file.read("mesh.usdc")
    with zipfile.ZipFile(tmp_path / "bad.usdz", "w", zipfile.ZIP_STORED) as file:
        file.writestr("mesh.usdc", data)
    assert usd_complaints(tmp_path / "bad.usdz") != []


def test_every_file_in_a_usdz_starts_at_a_multiple_of_64(tmp_path, master):
    data = saved(tmp_path / "mesh.usdz", master).read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        infos = file.infolist()
    assert infos[0].filename == "mesh.usdc"
    assert len(infos) == 5
    for info in infos:
        name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
        assert (info.header_offset + 30 + name + extra) % 64 == 0
        assert info.compress_type == zipfile.ZIP_STORED


def test_a_usdz_stands_upright_and_in_metres(tmp_path, master):
    pxr = pytest.importorskip("pxr", reason="usd-core is not installed (extra usd)")
    del pxr
    from pxr import Usd, UsdGeom

    stage = Usd.Stage.Open(str(saved(tmp_path / "mesh.usdz", master)))
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    cache = UsdGeom.XformCache()
    matrix = np.array(cache.GetLocalToWorldTransform(stage.GetPrimAtPath("/photocast/mesh")))
    heights = (master.vertices @ matrix[:3, :3])[:, 1]
    np.testing.assert_allclose(heights, master.vertices @ (UP / np.linalg.norm(UP)), atol=1e-6)


def test_pictures_in_an_obj_are_grey_where_one_number_is_meant(tmp_path, master):
    saved(tmp_path / "mesh.obj", master)
    with Image.open(tmp_path / "mesh_roughness.png") as image:
        assert image.mode == "L"
