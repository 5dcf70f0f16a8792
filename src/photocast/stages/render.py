# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw a finished scene from a camera.

Colours are blended in linear light and encoded to sRGB at the end; pictures are laid over a
background in sRGB, as image viewers do.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.data import Camera, Light, Mesh, Scene
from photocast.geometry.projection import clip_from_camera
from photocast.geometry.vertex_normals import vertex_normals
from photocast.ops.antialias import EdgeTopology, antialias, edge_topology
from photocast.ops.interpolate import interpolate, interpolate_with_slopes
from photocast.ops.rasterize import Raster, rasterize
from photocast.ops.texture import MipPyramid, mip_pyramid, texture
from photocast.stages.lit import LitMesh

__all__ = ["Drawable", "Rendered", "Style", "draw", "draw_raster", "drawable", "render_view"]

Style = Literal["color", "clay", "normal", "depth", "base_color"]
"""As it looks; grey under a lamp beside the camera; camera-space normals; near bright; and the base
colour without any light."""

# Towards a lamp above the camera's left shoulder (camera frame), and how the light is shared.
_KEY = np.array([-0.45, -0.65, -0.6]) / np.linalg.norm([-0.45, -0.65, -0.6])
_CLAY, _AMBIENT, _HEAD_SHARE, _KEY_SHARE = 0.62, 0.03, 0.35, 0.62


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A picture of the object alone."""

    rgb: NDArray[np.uint8]
    """sRGB, (h, w, 3), straight (not multiplied by alpha)."""
    alpha: NDArray[np.uint8]
    """Coverage 0..255, (h, w)."""
    depth: NDArray[np.float32]
    """Distance along the viewing axis in world units, (h, w); 0 where nothing is."""

    def over(self, background: int | tuple[int, int, int] | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Lay the picture over a grey, a colour or an image of the same size, all sRGB."""
        return over(self.rgb, self.alpha, background)


def over(
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
    background: int | tuple[int, int, int] | NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Lay straight sRGB with coverage over an sRGB background, (h, w, 3)."""
    share = alpha[..., None].astype(np.float32) / np.float32(255)
    under = np.asarray(background, dtype=np.float32)
    mixed: NDArray[np.uint8] = np.rint(rgb * share + under * (1 - share)).astype(np.uint8)
    return mixed


@dataclass(frozen=True, slots=True, eq=False)
class Drawable:
    """A mesh on its device, uploaded once for many pictures."""

    mesh: Mesh
    faces: Tensor
    topology: EdgeTopology
    normals: NDArray[np.float32]
    uvs: Tensor | None
    uv_faces: Tensor | None
    texture: MipPyramid | None
    colors: Tensor | None
    lit: LitMesh | None


def drawable(
    mesh: Mesh, device: str | torch.device = "cpu", *, light: Light | None = None
) -> Drawable:
    """Upload a mesh.

    Args:
        mesh: In the capture's world.
        device: Where to draw.
        light: What its material is shown in; without one, and for an unlit material, colours are
            shown as they are.
    """
    textured = mesh.uvs is not None and mesh.material.base_color is not None
    faces = _tensor(mesh.faces, device)
    return Drawable(
        mesh=mesh,
        faces=faces,
        topology=edge_topology(faces),
        normals=vertex_normals(mesh.vertices, mesh.faces),
        uvs=_tensor(mesh.uvs, device) if textured else None,
        uv_faces=_tensor(mesh.uv_faces, device) if textured else None,
        texture=mip_pyramid(_tensor(mesh.material.base_color, device)) if textured else None,
        colors=None if mesh.colors is None else _tensor(mesh.colors, device),
        lit=LitMesh(mesh, light, device)
        if textured and light and not mesh.material.unlit
        else None,
    )


def render_view(
    scene: Scene,
    camera: Camera,
    *,
    device: str | torch.device = "cpu",
    style: Style = "color",
    supersample: int = 1,
) -> Rendered:
    """Draw a scene once; for many pictures upload it with :func:`drawable`.

    Args:
        scene: In the capture's world.
        camera: Pinhole; its distortion is ignored.
        device: Where to draw.
        style: What to show. A mesh without colours is shown in clay.
        supersample: Samples per pixel along each axis, on top of antialiased silhouettes.
    """
    item = drawable(scene.mesh, device, light=scene.light)
    return draw(item, camera, style=style, supersample=supersample)


@torch.no_grad()
def draw(
    item: Drawable, camera: Camera, *, style: Style = "color", supersample: int = 1
) -> Rendered:
    """Draw an uploaded mesh; see :func:`render_view`."""
    if not len(item.mesh.faces):
        shape = (camera.height, camera.width)
        blank = np.zeros(shape, np.uint8)
        return Rendered(np.zeros((*shape, 3), np.uint8), blank, blank.astype(np.float32))
    fine = camera.resized(camera.width * supersample, camera.height * supersample)
    local = _to_camera(item.mesh.vertices, fine)
    clip, raster = _rasterized(item, local, fine)
    depth = interpolate(_tensor(local[:, 2:], item.faces.device), raster, item.faces)[0, ..., 0]
    values, linear = _shade(item, raster, depth, fine, style)
    covered = (raster.face >= 0)[..., None].float()
    premultiplied = torch.cat([values * covered, covered], dim=-1)
    mixed = antialias(premultiplied, raster, clip, item.faces, item.topology)[0]
    return _developed(_box(mixed, supersample), _nearest(depth, supersample), linear=linear)


@torch.no_grad()
def draw_raster(item: Drawable, camera: Camera) -> Raster:
    """Find which face each pixel of a camera sees."""
    return _rasterized(item, _to_camera(item.mesh.vertices, camera), camera)[1]


def _rasterized(
    item: Drawable, local: NDArray[np.float64], camera: Camera
) -> tuple[Tensor, Raster]:
    clip = _tensor(_clip(local, camera), item.faces.device)[None]
    return clip, rasterize(clip, item.faces, (camera.height, camera.width))


def _to_camera(vertices: NDArray[np.float32], camera: Camera) -> NDArray[np.float64]:
    pose = camera.camera_from_world
    return vertices.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]


def _clip(local: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    # Planes just around the vertices; a camera inside the object still sees what is before it.
    span = float(np.linalg.norm(local.max(axis=0) - local.min(axis=0))) or 1.0
    near = max(float(local[:, 2].min()) - 0.01 * span, 1e-3 * span)
    far = max(float(local[:, 2].max()), near) + 0.01 * span
    homogeneous = np.column_stack([local, np.ones(len(local))])
    projection = clip_from_camera(
        size=(camera.height, camera.width),
        focal=(camera.fx, camera.fy),
        principal=(camera.cx, camera.cy),
        near=near,
        far=far,
    )
    clip: NDArray[np.float64] = homogeneous @ projection.numpy().T
    return clip


def _shade(
    item: Drawable, raster: Raster, depth: Tensor, camera: Camera, style: Style
) -> tuple[Tensor, bool]:
    # Returns (1, h, w, 3) in 0..1 and whether that is linear light or already display values.
    if style == "depth":
        seen = depth[raster.face[0] >= 0]
        low, high = (seen.min(), seen.max()) if len(seen) else (depth.new_zeros(()),) * 2
        near = 1 - 0.85 * (depth - low) / (high - low).clamp(min=1e-12)
        return near[None, ..., None].expand(1, *depth.shape, 3), False
    if style == "color" and item.lit is not None:
        return item.lit.seen(raster, camera), True
    if style in ("color", "base_color") and item.texture is not None:
        assert item.uvs is not None
        assert item.uv_faces is not None
        uv, slopes = interpolate_with_slopes(item.uvs, raster, item.uv_faces)
        return texture(item.texture, uv, slopes, raster.face), True
    if style in ("color", "base_color") and item.colors is not None:
        return interpolate(item.colors, raster, item.faces), True
    normals = _facing_normals(item, raster, camera)
    if style == "normal":
        return normals * normals.new_tensor([0.5, -0.5, -0.5]) + 0.5, False  # +Y up, +Z to us
    key = (normals @ normals.new_tensor(_KEY)).clamp(min=0)
    light = _AMBIENT + _HEAD_SHARE * -normals[..., 2] + _KEY_SHARE * key
    return (_CLAY * light)[..., None].expand(*light.shape, 3), True


def _facing_normals(item: Drawable, raster: Raster, camera: Camera) -> Tensor:
    turned = item.normals @ camera.camera_from_world[:3, :3].T
    normals = interpolate(_tensor(turned, item.faces.device), raster, item.faces)
    normals = torch.nn.functional.normalize(normals, dim=-1)
    # Both sides are drawn; the back of a face is lit as if it were a front.
    return torch.where(normals[..., 2:] > 0, -normals, normals)


def _box(image: Tensor, factor: int) -> Tensor:
    return torch.stack(_samples(image, factor)).mean(dim=0)


def _nearest(depth: Tensor, factor: int) -> Tensor:
    far = torch.where(depth > 0, depth, torch.inf)
    nearest = torch.stack(_samples(far, factor)).amin(dim=0)
    return torch.where(nearest.isinf(), 0.0, nearest)


def _samples(image: Tensor, factor: int) -> list[Tensor]:
    # The factor² pictures that each take one sample of every pixel.
    return [image[y::factor, x::factor] for y in range(factor) for x in range(factor)]


def _developed(premultiplied: Tensor, depth: Tensor, *, linear: bool) -> Rendered:
    alpha = premultiplied[..., 3:].clamp(0, 1)
    straight = torch.where(alpha > 0, premultiplied[..., :3] / alpha.clamp(min=1e-6), 0.0)
    straight = straight.clamp(0, 1)
    if linear:  # as formats.srgb does, where the picture is
        curve = 1.055 * straight ** (1 / 2.4) - 0.055
        straight = torch.where(straight <= 0.0031308, straight * 12.92, curve)
    codes = (torch.cat([straight, alpha], dim=-1) * 255).round().to(torch.uint8).cpu().numpy()
    rgb, coverage = np.ascontiguousarray(codes[..., :3]), np.ascontiguousarray(codes[..., 3])
    return Rendered(rgb, coverage, depth.cpu().numpy())


def _tensor(array: NDArray[Any] | None, device: str | torch.device) -> Tensor:
    assert array is not None
    kind = np.int32 if array.dtype.kind in "iu" else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, dtype=kind).copy()).to(device)
