# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh as USDZ, for AR viewers and film tools. Written only, by the extra ``usd``.

One Xform turns the world's up to +Y; one unit is one metre. UVs are per corner with v growing
upwards. The material is a UsdPreviewSurface; what is unlit glows in its own colour and reflects
nothing. USDZ is not read: the library behind it parses in native code, which is no place for
files from strangers.
Source: Pixar, USDZ File Format Specification 1.3; UsdPreviewSurface Specification 2.6.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.errors import UserError
from photocast.formats.textures import png_from_base_color, png_from_grey, png_from_normal
from photocast.formats.zip_files import zip_aligned
from photocast.geometry.upright import upright_quaternion
from photocast.geometry.vertex_normals import vertex_normals

__all__ = ["require_usd", "write_usdz"]

_ROOT = "/photocast"


def require_usd() -> None:
    """Say now what ``write_usdz`` would say later.

    Raises:
        UserError: usd-core is not installed.
    """
    try:
        import pxr.Usd  # noqa: F401
    except ImportError as error:
        raise UserError(
            "Writing USDZ needs usd-core, which is not installed. "
            "Install it with: pip install 'photocast[usd]'",
            code="install.usd",
        ) from error


def write_usdz(mesh: Mesh, *, up: NDArray[np.floating] | None = None) -> bytes:
    """Encode a mesh with its maps.

    Args:
        mesh: Vertices in the capture's frame [m].
        up: The world's up direction; +Y if absent.

    Raises:
        UserError: usd-core is not installed.
    """
    require_usd()
    from pxr import Gf, Usd, UsdGeom

    textures = _textures(mesh)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mesh.usdc"
        stage = Usd.Stage.CreateNew(str(path))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        root = UsdGeom.Xform.Define(stage, _ROOT)
        stage.SetDefaultPrim(root.GetPrim())
        x, y, z, w = upright_quaternion(np.array([0.0, 1.0, 0.0]) if up is None else up)
        root.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(w, x, y, z))
        shape = _shape(stage, mesh)
        if textures:
            _bind_material(stage, shape, mesh, set(textures))
        stage.Save()
        files = {"mesh.usdc": path.read_bytes()}
    files |= {f"textures/{name}.png": png for name, png in textures.items()}
    return zip_aligned(files)


def _textures(mesh: Mesh) -> dict[str, bytes]:
    maps, found = mesh.material, {}
    if mesh.uvs is None:
        return {}
    if maps.base_color is not None:
        found["base_color"] = png_from_base_color(maps.base_color)
    if maps.roughness is not None:
        found["roughness"] = png_from_grey(maps.roughness)
    if maps.metallic is not None:
        found["metallic"] = png_from_grey(maps.metallic)
    if maps.normal is not None:
        found["normal"] = png_from_normal(maps.normal)
    return found


def _shape(stage: Any, mesh: Mesh) -> Any:
    from pxr import Sdf, UsdGeom, Vt

    shape = UsdGeom.Mesh.Define(stage, f"{_ROOT}/mesh")
    shape.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(mesh.vertices))
    shape.CreateFaceVertexCountsAttr(
        Vt.IntArray.FromNumpy(np.full(len(mesh.faces), 3, dtype=np.int32))
    )
    shape.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(mesh.faces.ravel()))
    shape.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    shape.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(mesh.bounds))
    normals = vertex_normals(mesh.vertices, mesh.faces)
    shape.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(normals))
    shape.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    if mesh.colors is not None:
        color = shape.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
        color.Set(Vt.Vec3fArray.FromNumpy(np.clip(mesh.colors, 0, 1)))
    if mesh.uvs is not None and mesh.uv_faces is not None:
        places = UsdGeom.PrimvarsAPI(shape).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        up_v = np.column_stack([mesh.uvs[:, 0], np.float32(1.0) - mesh.uvs[:, 1]])
        places.Set(Vt.Vec2fArray.FromNumpy(up_v))
        places.SetIndices(Vt.IntArray.FromNumpy(mesh.uv_faces.ravel()))
    return shape


def _bind_material(stage: Any, shape: Any, mesh: Mesh, maps: set[str]) -> None:
    from pxr import Sdf, UsdShade

    material = UsdShade.Material.Define(stage, f"{_ROOT}/surface")
    shader = UsdShade.Shader.Define(stage, f"{_ROOT}/surface/shader")
    shader.CreateIdAttr("UsdPreviewSurface")
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    place = UsdShade.Shader.Define(stage, f"{_ROOT}/surface/place")
    place.CreateIdAttr("UsdPrimvarReader_float2")
    place.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    place.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    kinds = Sdf.ValueTypeNames
    glow = mesh.material.unlit
    color = "emissiveColor" if glow else "diffuseColor"
    for name, target, kind in (
        ("base_color", color, kinds.Color3f),
        ("roughness", "roughness", kinds.Float),
        ("metallic", "metallic", kinds.Float),
        ("normal", "normal", kinds.Normal3f),
    ):
        wire = shader.CreateInput(target, kind)
        if name in maps:
            output = "rgb" if kind != kinds.Float else "r"
            wire.ConnectToSource(_texture(stage, name).ConnectableAPI(), output)
        elif kind == kinds.Float:
            wire.Set(1.0 if name == "roughness" else 0.0)
    if glow:
        shader.CreateInput("diffuseColor", kinds.Color3f).Set((0.0, 0.0, 0.0))
        shader.CreateInput("ior", kinds.Float).Set(1.0)  # nothing is reflected
    UsdShade.MaterialBindingAPI.Apply(shape.GetPrim()).Bind(material)


def _texture(stage: Any, name: str) -> Any:
    from pxr import Sdf, UsdShade

    texture = UsdShade.Shader.Define(stage, f"{_ROOT}/surface/{name}")
    texture.CreateIdAttr("UsdUVTexture")
    kinds = Sdf.ValueTypeNames
    texture.CreateInput("file", kinds.Asset).Set(f"textures/{name}.png")
    space = "sRGB" if name == "base_color" else "raw"
    texture.CreateInput("sourceColorSpace", kinds.Token).Set(space)
    for axis in ("wrapS", "wrapT"):
        texture.CreateInput(axis, kinds.Token).Set("clamp")
    if name == "normal":  # 0..1 back to -1..1
        texture.CreateInput("scale", kinds.Float4).Set((2.0, 2.0, 2.0, 1.0))
        texture.CreateInput("bias", kinds.Float4).Set((-1.0, -1.0, -1.0, 0.0))
    place = UsdShade.Shader.Get(stage, f"{_ROOT}/surface/place")
    texture.CreateInput("st", kinds.Float2).ConnectToSource(place.ConnectableAPI(), "result")
    grey = name in ("roughness", "metallic")
    texture.CreateOutput("r" if grey else "rgb", kinds.Float if grey else kinds.Float3)
    return texture
