# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Light that leaves a textured surface towards the camera; the model is in kernels/shade.py.

The mesh lies in the world; directions are unit vectors there. UV (0, 0) is the top-left corner.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import warp as wp
from jaxtyping import Float32, Int32
from torch import Tensor
from torch.autograd.function import once_differentiable

from photocast.geometry.environment import lobe_filter, split_sum_table
from photocast.kernels import shade as kernels
from photocast.kernels.seen import seen_kernel
from photocast.kernels.shade_lookup import Lobes, Material
from photocast.ops._launch import aligned, as_array, launch_parts, part_count, split
from photocast.ops.rasterize import Raster
from photocast.ops.texture import MipPyramid

__all__ = [
    "LOBES",
    "Incident",
    "Layout",
    "LobeStack",
    "Points",
    "filter_lobes",
    "footprint",
    "seen_points",
    "shade",
]

LOBES = (
    (0.1, (32, 64)),
    (0.3, (32, 64)),
    (0.45, (16, 32)),
    (0.6, (16, 32)),
    (0.8, (16, 32)),
    (1.0, (16, 32)),
)
"""Roughness and size of each filtered environment; the first is the environment itself."""
_MOST_PARTS = 4  # each has its own copy of the textures' gradient


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A mesh with UVs, on its device."""

    faces: Int32[Tensor, "face 3"]
    uv_faces: Int32[Tensor, "face 3"]
    uvs: Float32[Tensor, "spot 2"]
    tangents: Float32[Tensor, "spot 4"]
    """Direction of growing u, and the handedness of the frame (glTF 2.0)."""


@dataclass(frozen=True, slots=True, eq=False)
class Incident:
    """What light reaches the vertices."""

    light: Float32[Tensor, "vert 9 3"]
    """Weights of the polynomials of ``geometry.environment.harmonics`` in E / pi."""
    open: Float32[Tensor, "vert 9"]
    """The same for the share of each direction that is not occluded; carries no gradient."""
    glow: Float32[Tensor, "1 3"]
    """Radiance of the object itself, seen where it occludes a mirror direction."""


@dataclass(frozen=True, slots=True, eq=False)
class LobeStack:
    """The environment as mirrors of growing roughness see it."""

    texels: Float32[Tensor, "texel 3"]
    """The maps of :data:`LOBES`, one after another."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Places that cameras see, one per sample."""

    face: Int32[Tensor, " sample"]
    """-1 where nothing is."""
    bary: Float32[Tensor, "sample 2"]
    level: Float32[Tensor, " sample"]
    """log2 of the pixel's footprint in uv units; see :func:`footprint`."""
    view: Float32[Tensor, "sample 3"]
    """Unit vectors towards the camera."""


def footprint(bary_da: Tensor, face: Tensor, layout: Layout) -> Tensor:
    """log2 of a pixel's longest axis in uv units; no gradient.

    Args:
        bary_da: (n, 4), as in ``Raster``.
        face: (n,) int32; -1 gives an arbitrary finite number.
        layout: The mesh.
    """
    with torch.no_grad():
        corners = layout.uvs[layout.uv_faces[face.clamp(min=0).long()].long()]  # n 3 2
        u, v = corners[:, 0] - corners[:, 2], corners[:, 1] - corners[:, 2]  # n 2
        dx = bary_da[:, 0:1] * u + bary_da[:, 2:3] * v
        dy = bary_da[:, 1:2] * u + bary_da[:, 3:4] * v
        half = 0.5 * (dx.square().sum(1) + dy.square().sum(1))
        area = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
        square = half + (half.square() - area.square()).clamp(min=0).sqrt()
        return 0.5 * square.clamp(min=1e-24).log2()


def seen_points(
    raster: Raster,
    vertices: Float32[Tensor, "vert 3"],
    centers: Float32[Tensor, "view 3"],
    layout: Layout,
) -> Points:
    """What every pixel of a raster sees, view by view and row by row.

    Gradient reaches ``bary`` alone. Footprints and directions are 0 where nothing is seen.

    Args:
        raster: Of the mesh, with slopes.
        vertices: Positions in the world.
        centers: Of the cameras, in the world.
        layout: The mesh.
    """
    face, bary = raster.face.flatten(), raster.bary.flatten(0, 2)
    count, device = len(face), face.device
    level = torch.empty(count, device=device)
    view = torch.empty((count, 3), device=device)
    inputs = [
        face,
        (bary, wp.vec2),
        (raster.bary_da.flatten(0, 2), wp.vec4),
        (layout.faces, wp.vec3i),
        (vertices.contiguous(), wp.vec3),
        (layout.uv_faces, wp.vec3i),
        (layout.uvs, wp.vec2),
        (centers.contiguous(), wp.vec3),
        raster.face[0].numel(),
    ]
    parts = split(count, part_count(device))
    launch_parts(
        seen_kernel, [(b - a, [*inputs, a, level, (view, wp.vec3)]) for a, b in parts], device
    )
    return Points(face, bary, level, view)


def filter_lobes(environment: Float32[Tensor, "32 64 3"]) -> LobeStack:
    """Filter an environment for every roughness; gradient reaches it."""
    flat = environment.reshape(-1, 3)
    # with colours as rows, the product and that of its gradient are both fast on a processor
    return LobeStack(torch.cat([flat, (flat.t() @ _filters(environment.device)).t()]))


@lru_cache(maxsize=4)
def _filters(device: torch.device) -> Tensor:
    size = LOBES[0][1]
    rows = torch.cat([lobe_filter(size, out, rough) for rough, out in LOBES[1:]])
    return rows.t().contiguous().to(device)


@lru_cache(maxsize=4)
def _tables(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    maps, first = [], 0
    for _, (height, width) in LOBES:
        maps.append((first, height, width))
        first += height * width
    roughness = torch.tensor([rough for rough, _ in LOBES], device=device)
    spots = torch.tensor(maps, dtype=torch.int32, device=device)
    return spots, roughness, split_sum_table().to(device)


def shade(
    layout: Layout,
    normals: Float32[Tensor, "vert 3"],
    incident: Incident,
    lobes: LobeStack,
    material: tuple[MipPyramid, MipPyramid],
    points: Points,
    *,
    light_every: int = 1,
) -> Float32[Tensor, "sample 3"]:
    """Linear radiance towards the camera.

    Gradient reaches ``normals``, ``incident.light``, ``lobes.texels``, the textures and
    ``points.bary``, each only if it wants one. n·v inside the split-sum table, the mip level, the
    occlusion of the mirror direction and the view count as constant.

    Args:
        layout: The mesh.
        normals: Smooth, per vertex; any length but zero.
        incident: Light at the vertices.
        lobes: Light along mirror directions.
        material: Linear base colour with an unused channel, and (roughness, metallic, normal x,
            normal y), both (texel, 4).
        points: Where to look.
        light_every: The light learns from every n-th sample alone, n times as much.

    Raises:
        ValueError: A texture has not four channels.
    """
    for pyramid in material:
        if pyramid.texels.shape[1] != 4:
            raise ValueError(f"A texture has {pyramid.texels.shape[1]} channels; 4 are needed.")
    result: Tensor = _Shade.apply(
        normals.contiguous(),
        incident.light.contiguous(),
        lobes.texels.contiguous(),
        aligned(material[0].texels),
        aligned(material[1].texels),
        points.bary.contiguous(),
        _Fixed(layout, incident, (material[0].sizes, material[1].sizes), points, light_every),
    )
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Fixed:
    """What carries no gradient."""

    layout: Layout
    incident: Incident
    sizes: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
    points: Points
    light_every: int


@lru_cache(maxsize=32)
def _level_table(sizes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    rows, first = [], 0
    for height, width in sizes:
        rows.append((first, height, width))
        first += height * width
    return torch.tensor(rows, dtype=torch.int32, device=device)


def _structs(saved: tuple[Tensor, ...], fixed: _Fixed) -> list[Any]:
    normals, light, texels, base, gloss, bary = saved
    layout, points, device = fixed.layout, fixed.points, normals.device
    surface = kernels.Surface()
    surface.faces = as_array(layout.faces, wp.vec3i)
    surface.uv_faces = as_array(layout.uv_faces, wp.vec3i)
    surface.normals = as_array(normals, wp.vec3)
    surface.tangents = as_array(layout.tangents, wp.vec4)
    surface.uvs = as_array(layout.uvs, wp.vec2)
    surface.light = as_array(light, wp.vec3)
    surface.open = as_array(fixed.incident.open)
    surface.glow = as_array(fixed.incident.glow, wp.vec3)
    material = Material()
    material.base, material.gloss = as_array(base, wp.vec4), as_array(gloss, wp.vec4)
    material.base_levels = as_array(_level_table(fixed.sizes[0], device), wp.vec3i)
    material.gloss_levels = as_array(_level_table(fixed.sizes[1], device), wp.vec3i)
    lobes, (maps, roughness, table) = Lobes(), _tables(device)
    lobes.texels, lobes.maps = as_array(texels, wp.vec3), as_array(maps, wp.vec3i)
    lobes.roughness, lobes.table = as_array(roughness), as_array(table, wp.vec2)
    samples = kernels.Samples()
    samples.face, samples.bary = as_array(points.face), as_array(bary, wp.vec2)
    samples.level, samples.view = as_array(points.level), as_array(points.view, wp.vec3)
    samples.light_every = fixed.light_every
    return [surface, material, lobes, samples]


class _Shade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        saved, fixed = inputs[:-1], inputs[-1]
        count, device = len(fixed.points.face), saved[0].device
        color = torch.empty((count, 3), device=device)
        structs = _structs(saved, fixed)
        parts = split(count, part_count(device))
        launch_parts(
            kernels.shade_kernel,
            [(b - a, [*structs, a, (color, wp.vec3)]) for a, b in parts],
            device,
        )
        ctx.save_for_backward(*saved)
        ctx.fixed = fixed
        return color

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_color: Tensor) -> tuple[Tensor | None, ...]:
        saved, fixed = ctx.saved_tensors, ctx.fixed
        device = grad_color.device
        needs = ctx.needs_input_grad
        wants = {"material": needs[3] or needs[4], "light": needs[1] or needs[2]}
        wants["shape"] = needs[0] or needs[5]
        parts = split(len(grad_color), min(part_count(device), _MOST_PARTS))
        tables = _GradTables(saved, wants, max(len(parts), 1))
        structs = _structs(saved, fixed)
        grad_color = grad_color.contiguous()
        launch_parts(
            kernels.shade_adjoint_kernel,
            [
                (b - a, [*structs, a, (grad_color, wp.vec3), tables.struct(part)])
                for part, (a, b) in enumerate(parts)
            ],
            device,
        )
        grads = tables.totals()
        return (*(grad if need else None for grad, need in zip(grads, needs, strict=False)), None)


class _GradTables:
    """Sums of the adjoint, one set per part; one texel where no gradient is wanted."""

    def __init__(self, saved: tuple[Tensor, ...], wants: dict[str, bool], parts: int) -> None:
        kinds = ("shape", "light", "light", "material", "material", "shape")
        self._shapes = [tensor.shape for tensor in saved]
        self._wants = wants
        self._sums = []
        for tensor, kind in zip(saved, kinds, strict=True):
            shape = tensor.shape if wants[kind] else (1, *tensor.shape[1:])
            private = 1 if tensor is saved[5] else parts  # bary: every sample has its own
            self._sums.append(torch.zeros((private, *shape), device=tensor.device))

    def struct(self, part: int) -> Any:
        """The kernel's view of one set."""
        normals, light, texels, base, gloss = (sums[part] for sums in self._sums[:5])
        grads = kernels.Grads()
        grads.base, grads.gloss = as_array(base, wp.vec4), as_array(gloss, wp.vec4)
        grads.light, grads.lobes = as_array(light, wp.vec3), as_array(texels, wp.vec3)
        grads.normals = as_array(normals, wp.vec3)
        grads.bary = as_array(self._sums[5][0], wp.vec2)
        wants = self._wants
        grads.wants = wp.vec3i(int(wants["material"]), int(wants["light"]), int(wants["shape"]))
        return grads

    def totals(self) -> list[Tensor]:
        """Added up over the parts, in a fixed order."""
        return [sums[0] if len(sums) == 1 else sums.sum(0) for sums in self._sums]
