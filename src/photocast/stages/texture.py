# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Paint a mesh from the photos that see it.

Geometry and cameras are fixed, so every pixel is a linear function of the texels (up to the sRGB
curve): its mip-mapped texture look-up. Texels are found by simultaneous iterative reconstruction,
x += A'r / A'1 (Gilbert 1972), from a start that already has a colour everywhere: vertex colours,
averaged over the photos and spread over the surface to where no photo looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from photocast.config import TextureConfig
from photocast.data import Mesh, Photo
from photocast.errors import MeshError
from photocast.geometry.srgb import linear_from_srgb, srgb_from_linear
from photocast.geometry.vertex_normals import vertex_normals
from photocast.ops.interpolate import interpolate, interpolate_with_slopes
from photocast.ops.rasterize import rasterize
from photocast.ops.texture import mip_pyramid
from photocast.ops.texture import texture as look_up
from photocast.progress import Progress
from photocast.stages.render import draw_raster, drawable

__all__ = ["texture", "texture_size"]


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """The pixels of one photo that show the surface well."""

    uv: Tensor
    """(1, 1, n, 2)."""
    slopes: Tensor
    """(1, 1, n, 2, 2)."""
    color: Tensor
    """(1, 1, n, 3), sRGB."""
    weight: Tensor
    """(1, 1, n, 1)."""


def texture_size(mesh: Mesh, photos: Sequence[Photo], config: TextureConfig) -> int:
    """Side of the texture at which a texel is about as large as a pixel on the surface [px].

    A power of two between 256 and the configured limit.
    """
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * float(np.linalg.norm(normal, axis=1).sum())
    center = mesh.vertices.mean(axis=0, keepdims=True)
    pixel = [float(photo.camera.project(center)[1][0]) / photo.camera.fx for photo in photos]
    wide = float(np.median([size for size in pixel if size > 0] or [1.0]))
    side = np.sqrt(area / wide**2 / config.fill)
    power = 2 ** int(np.ceil(np.log2(max(side, 1.0)) - 0.25))
    return int(np.clip(power, 256, config.max_size))


def texture(
    mesh: Mesh,
    photos: Sequence[Photo],
    config: TextureConfig,
    *,
    size: int,
    device: torch.device,
    progress: Progress,
) -> Mesh:
    """Find the base colour that makes the mesh look like its photos.

    Args:
        mesh: With UVs.
        photos: With cameras; masks are used where there are any.
        config: Passes and weights.
        size: Side of the square texture [px].
        device: Where to compute.
        progress: Told after each view and pass; gets ``psnr`` of the used pixels [dB].

    Returns:
        The mesh with an unlit base colour, without vertex colours.

    Raises:
        MeshError: The mesh has no UVs.
    """
    if mesh.uvs is None or mesh.uv_faces is None:
        raise MeshError("The mesh has no UVs; unwrap it first.", code="mesh.no_uvs")
    sights, colors = _look(mesh, photos, device, progress)
    start = _painted(mesh, colors, size, device)
    texels = linear_from_srgb(start)
    for step in range(config.passes):
        texels, error = _improve(texels, sights)
        psnr = float(-10 * np.log10(max(error, 1e-9)))
        progress("texture", step + 1, config.passes, psnr=psnr)
    # Beyond the footprints of the photos, gutters repeat the nearest texel of their chart.
    final = _extended(texels, _covered(mesh, size, device))
    material = replace(mesh.material, base_color=final.cpu().numpy(), unlit=True)
    return replace(mesh, material=material, colors=None)


def _look(
    mesh: Mesh, photos: Sequence[Photo], device: torch.device, progress: Progress
) -> tuple[list[_Sight], Tensor]:
    """Find the useful pixels of each photo, and average them onto the vertices (sRGB)."""
    item = drawable(mesh, device)
    uvs = torch.from_numpy(mesh.uvs).to(device)
    uv_faces = torch.from_numpy(mesh.uv_faces).to(device)
    normals = torch.from_numpy(vertex_normals(mesh.vertices, mesh.faces)).to(device)
    positions = torch.from_numpy(mesh.vertices).to(device)
    total = torch.zeros(len(mesh.vertices), 4, device=device)
    sights = []
    for done, photo in enumerate(photos, 1):
        raster = draw_raster(item, photo.camera)
        uv, slopes = interpolate_with_slopes(uvs, raster, uv_faces)
        surface = interpolate(torch.cat([positions, normals], 1), raster, item.faces)
        weight = _weights(photo, raster.face[0], surface[0])
        used = weight > 0
        rgb = torch.from_numpy(photo.rgb).to(device)[used].float() / 255
        sights.append(
            _Sight(
                uv[0][used][None, None].contiguous(),
                slopes[0][used][None, None].contiguous(),
                rgb[None, None].contiguous(),
                weight[used][None, None, :, None].contiguous(),
            )
        )
        corner = item.faces[raster.face[0][used].long()]  # the corner nearest to the pixel
        bary = raster.bary[0][used]
        nearest = torch.cat([bary, 1 - bary.sum(1, keepdim=True)], 1).argmax(1, keepdim=True)
        vertex = corner.long().gather(1, nearest)[:, 0]
        w = weight[used][:, None]
        total.index_add_(0, vertex, torch.cat([rgb * w, w], 1))
        progress("look", done, len(photos))
    return sights, _spread(total, item.faces)


def _weights(photo: Photo, face: Tensor, surface: Tensor) -> Tensor:
    """How well each pixel shows the surface, (h, w): frontal, inside the mask, off the edges."""
    device = face.device
    center = torch.from_numpy(photo.camera.center).float().to(device)
    to_camera = torch.nn.functional.normalize(center - surface[..., :3], dim=-1)
    normal = torch.nn.functional.normalize(surface[..., 3:], dim=-1)
    frontal = (to_camera * normal).sum(-1).clamp(0, 1)
    good = face >= 0
    if photo.mask is not None:
        # a pixel beside the mask's edge is mixed with the background
        inside = cv2.erode((photo.mask > 250).astype(np.uint8), np.ones((3, 3), np.uint8))
        good = good & torch.from_numpy(inside > 0).to(device)
    # so is one beside a place where the surface jumps
    depth = (surface[..., :3] - center).norm(dim=-1)
    depth = torch.where(face >= 0, depth, depth.new_tensor(float("inf")))[None, None]
    farthest = torch.nn.functional.max_pool2d(depth, 3, 1, 1)[0, 0]
    jump = farthest > depth[0, 0] * 1.02
    return torch.where(good & (frontal > 0.1), frontal.square() * torch.where(jump, 0.1, 1.0), 0.0)


def _spread(total: Tensor, faces: Tensor) -> Tensor:
    """Average colours, carried over edges to vertices that no photo sees."""
    known = total[:, 3:] > 0
    colors = torch.where(known, total[:, :3] / total[:, 3:].clamp(min=1e-8), 0.0)
    value, weight = colors.clone(), known.float()
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).long()
    ends = torch.cat([edges, edges.flip(1)])
    for _ in range(200):
        missing = weight[:, 0] == 0
        if not bool(missing.any()):
            break
        into = ends[missing[ends[:, 0]] & ~missing[ends[:, 1]]]
        if not len(into):
            break  # a part that nothing sees
        summed = torch.zeros_like(total)
        ones = torch.ones(len(into), 1, device=total.device)
        summed.index_add_(0, into[:, 0], torch.cat([value[into[:, 1]], ones], 1))
        reached = summed[:, 3] > 0
        value[reached] = summed[reached, :3] / summed[reached, 3:]
        weight[reached] = 1
    mean = colors[known[:, 0]].mean(0) if bool(known.any()) else colors.new_full((3,), 0.5)
    return torch.where(weight > 0, value, mean)


def _painted(mesh: Mesh, colors: Tensor, size: int, device: torch.device) -> Tensor:
    """Vertex colours drawn into the atlas, gutters filled from the nearest chart, (h, w, c)."""
    raster = _atlas(mesh, size, device)
    faces = torch.from_numpy(mesh.faces).to(device)
    image = interpolate(colors.contiguous(), raster, faces)[0]
    return _extended(image, raster.face[0] >= 0)


def _covered(mesh: Mesh, size: int, device: torch.device) -> Tensor:
    covered = (_atlas(mesh, size, device).face[0] >= 0).float()[None, None]
    # one texel more: bilinear look-ups at a chart's border were fitted to the photos too
    return torch.nn.functional.max_pool2d(covered, 3, 1, 1)[0, 0] > 0


def _atlas(mesh: Mesh, size: int, device: torch.device):  # type: ignore[no-untyped-def]
    assert mesh.uvs is not None
    flat = torch.from_numpy(mesh.uvs).to(device) * 2 - 1
    depth = torch.tensor([[0.0, 1.0]], device=device).expand(len(flat), 2)
    clip = torch.cat([flat, depth], 1)[None].contiguous()
    return rasterize(clip, torch.from_numpy(mesh.uv_faces).to(device), (size, size))


def _extended(image: Tensor, known: Tensor) -> Tensor:
    """Give every texel the value of the nearest known one."""
    from scipy.ndimage import distance_transform_edt

    if not bool(known.any()):
        return image
    rows, columns = distance_transform_edt(
        ~known.cpu().numpy(), return_distances=False, return_indices=True
    )
    index = torch.from_numpy(rows * image.shape[1] + columns).long().to(image.device)
    return image.reshape(-1, image.shape[2])[index.view(-1)].view(image.shape)


def _improve(texels: Tensor, sights: Sequence[_Sight]) -> tuple[Tensor, float]:
    """One pass over all photos; returns the new texels and the mean squared sRGB error."""
    leaf = texels.clone().requires_grad_()
    share = torch.zeros_like(texels[..., :1]).requires_grad_()
    square, count = 0.0, 0
    for sight in sights:
        if not sight.uv.shape[2]:
            continue
        seen = look_up(mip_pyramid(torch.cat([leaf, share], -1)), sight.uv, sight.slopes)
        color = srgb_from_linear(seen[..., :3].detach().clamp(0, 1))
        residual = sight.color - color
        # back to linear light: the residual there is what texels must change by
        linear = linear_from_srgb(sight.color) - seen[..., :3].detach()
        upstream = torch.cat([linear * sight.weight, sight.weight], -1)
        seen.backward(upstream)
        square += float(residual.square().sum())
        count += residual.numel()
    gradient, reach = leaf.grad, share.grad
    assert gradient is not None
    assert reach is not None
    step = gradient / reach.clamp(min=1e-3)
    return (texels + step).clamp(0, 1), square / max(count, 1)
