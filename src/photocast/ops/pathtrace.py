# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Path traced photographs of a mesh under an environment light. No gradients.

World: right-handed, +Z up for the environment map. Camera: +X right, +Y down, +Z forward.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from torch import Tensor

from photocast.errors import ConfigError
from photocast.geometry.environment import texel_solid_angles
from photocast.kernels.pathtrace import Lens, Sampling, pathtrace_kernel
from photocast.ops._launch import as_array, launch_parts, part_count

__all__ = ["EnvironmentSampler", "PathtraceOptions", "Pinhole", "RayMesh", "pathtrace"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PathtraceOptions:
    """How carefully to trace."""

    sample_count: int = 32
    """Camera rays per pixel; a power of two."""
    bounce_count: int = 1
    """Reflections between parts of the object; 0 is direct light only."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sample_count < 1 or self.sample_count & (self.sample_count - 1):
            raise ConfigError(
                f"sample_count = {self.sample_count}: must be a power of two, such as 32."
            )
        if self.bounce_count < 0:
            raise ConfigError(f"bounce_count = {self.bounce_count}: must be 0 or more.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pinhole:
    """A camera for this op."""

    width: int
    height: int
    focal: tuple[float, float]
    """Along x and y [px]."""
    center: tuple[float, float]
    """Principal point, continuous pixels."""
    world_from_camera: Tensor
    """Rigid, (4, 4)."""


class RayMesh:
    """A mesh ready to be hit by rays: vertices (v, 3) float32, faces (f, 3), copied."""

    def __init__(self, vertices: Tensor, faces: Tensor) -> None:
        self.device = vertices.device
        points = vertices.detach().clone().contiguous()
        indices = faces.detach().to(self.device, torch.int32).reshape(-1).clone()
        with _torch_stream(self.device):
            # Warp keeps the arrays, which keep the tensors.
            self._mesh = wp.Mesh(points=as_array(points, wp.vec3), indices=as_array(indices))
        extent = vertices.amax(dim=0) - vertices.amin(dim=0)
        self.diagonal = float(extent.norm())

    @property
    def id(self) -> wp.uint64:
        """The handle kernels take."""
        return wp.uint64(self._mesh.id)


class EnvironmentSampler:
    """An environment map (h, w, 3) with the tables that find its bright places.

    Radiance is constant within a texel. The density is proportional to brightness, plus a tenth
    spread evenly so that dark places are found too.
    """

    def __init__(self, radiance: Tensor) -> None:
        rows, columns = radiance.shape[:2]
        solid = texel_solid_angles(rows, columns).view(rows, columns)[:, :1].to(radiance.device)
        power = radiance.double().mean(dim=-1) * solid  # h w
        even = (solid / (4 * math.pi)).expand(rows, columns)
        share = 0.9 * power / power.sum().clamp_min(1e-30) + 0.1 * even
        share = share / share.sum()
        row_share = share.sum(dim=1)
        self.radiance = radiance.contiguous()
        self.density = (share / solid).float().contiguous()
        self.row_cumulative = row_share.cumsum(0)[None].float().contiguous()  # 1 h
        self.column_cumulative = (share / row_share[:, None]).cumsum(1).float().contiguous()


def pathtrace(
    mesh: RayMesh,
    light: EnvironmentSampler,
    camera: Pinhole,
    *,
    surface_at: Any,
    options: PathtraceOptions,
) -> tuple[Tensor, Tensor]:
    """Take one picture.

    Args:
        mesh: The object.
        light: Environment, on the mesh's device.
        camera: Where from; the object must lie in front of it.
        surface_at: Warp function from position and outward normal to ``Surface``.
        options: Samples, bounces and seed.

    Returns:
        Linear radiance and coverage (h, w, 4), straight (the colour is the mean over the samples
        that met the object), and the distance along the viewing axis at each pixel's centre
        (h, w), 0 where there is none.
    """
    device = mesh.device
    color = torch.empty(camera.height, camera.width, 4, device=device)
    depth = torch.empty(camera.height, camera.width, device=device)
    sampling = Sampling()
    sampling.seed = options.seed & 0x3FFFFFFF
    sampling.count_log2 = options.sample_count.bit_length() - 1
    sampling.bounces = options.bounce_count
    sampling.offset = 1e-5 * mesh.diagonal
    count = min(part_count(device), camera.height)
    parts = []
    for part in range(count):
        rows = len(range(part, camera.height, count))
        inputs = [
            mesh.id, _lens(camera, part, count), sampling, (light.radiance, wp.vec3),
            light.density, light.row_cumulative, light.column_cumulative, (color, wp.vec4), depth,
        ]  # fmt: skip
        parts.append(((rows, camera.width), inputs))
    launch_parts(pathtrace_kernel(surface_at), parts, device)
    return color, depth


def _torch_stream(device: torch.device) -> AbstractContextManager[Any]:
    """Let Warp build in torch's current stream, after what torch has still to write."""
    if device.type == "cpu":
        return nullcontext()
    scope: AbstractContextManager[Any] = wp.ScopedStream(
        wp.stream_from_torch(torch.cuda.current_stream(device))
    )
    return scope


def _lens(camera: Pinhole, part: int, parts: int) -> Any:
    pose = camera.world_from_camera.double().cpu().numpy()
    lens = Lens()
    lens.focal = wp.vec2(*camera.focal)
    lens.center = wp.vec2(*camera.center)
    lens.rotation = wp.mat33(pose[:3, :3].ravel().tolist())
    lens.position = wp.vec3(*pose[:3, 3].tolist())
    lens.width, lens.part, lens.parts = camera.width, part, parts
    return lens
