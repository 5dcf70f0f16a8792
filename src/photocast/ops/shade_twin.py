# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The specification of :func:`photocast.ops.shade.shade`: plain torch, any precision."""

import math

import torch
from torch import Tensor

from photocast.geometry.environment import harmonics, split_sum_table
from photocast.ops.shade import LOBES, Incident, Layout, LobeStack, Points
from photocast.ops.texture import MipPyramid, texture_twin

__all__ = ["shade_twin"]


def shade_twin(
    layout: Layout,
    normals: Tensor,
    incident: Incident,
    lobes: LobeStack,
    material: tuple[MipPyramid, MipPyramid],
    points: Points,
) -> Tensor:
    """Linear radiance (sample, 3) of samples that all lie on the surface."""
    kind = normals.dtype
    weights = torch.cat([points.bary, 1 - points.bary.sum(1, keepdim=True)], 1)
    corners, spots = (f.long()[points.face.long()] for f in (layout.faces, layout.uv_faces))

    def spread(values: Tensor, index: Tensor, w: Tensor = weights) -> Tensor:
        mixed: Tensor = torch.einsum("sk,sk...->s...", w, values.to(kind)[index])
        return mixed

    uv = spread(layout.uvs, spots)
    tangent = spread(layout.tangents, spots, weights.detach())
    smooth = torch.nn.functional.normalize(spread(normals, corners), dim=-1)
    base, gloss = (_looked_up(m, uv, points.level) for m in material)
    base, rough, metallic = base[:, :3], gloss[:, 0:1], gloss[:, 1:2]
    normal = _bent(smooth, tangent, gloss[:, 2:])
    view = points.view.to(kind)
    cosine = (normal * view).sum(1, keepdim=True)
    mirror = 2 * cosine * normal - view
    diffuse = (spread(incident.light, corners) * harmonics(normal)[..., None]).sum(1).clamp(min=0)
    share = (spread(incident.open, corners) * harmonics(mirror)).sum(1, keepdim=True)
    share = share.clamp(0, 1).detach()
    glow = incident.glow.to(kind)
    incoming = _lobe(lobes, mirror, rough) * share + glow * (1 - share)
    a, b = _table(rough, cosine.detach().clamp(min=0.02)).unbind(-1)
    a, b = a[:, None], b[:, None]
    f0 = 0.04 * (1 - metallic) + base * metallic
    specular = (f0 * a + b) * (1 + f0 * (1 / (a + b) - 1))
    return base * diffuse * (1 - metallic) * (1 - 0.04 * a - b) + incoming * specular


def _looked_up(pyramid: MipPyramid, uv: Tensor, level: Tensor) -> Tensor:
    # texture_twin takes a Jacobian: an isotropic one of the wanted footprint
    size = pyramid.sizes[0]
    side = torch.exp2(level.to(uv.dtype))[:, None, None] * max(size)
    scale = 1 / torch.tensor([size[1], size[0]], dtype=uv.dtype)  # uv per texel
    slopes = torch.eye(2, dtype=uv.dtype) * side * scale[:, None]
    return texture_twin(pyramid.levels, uv[None, None], slopes[None, None])[0, 0]


def _bent(smooth: Tensor, tangent: Tensor, xy: Tensor) -> Tensor:
    # The frame follows the smooth normal rigidly: its derivative is that of a rotation.
    with torch.no_grad():
        along = tangent[:, :3] - smooth * (tangent[:, :3] * smooth).sum(1, keepdim=True)
        t = torch.nn.functional.normalize(along, dim=-1)
        b = torch.linalg.cross(smooth, t) * tangent[:, 3:].sign()
    fixed = smooth.detach()
    z = (1 - xy.square().sum(1, keepdim=True)).clamp(min=0.04).sqrt()
    bent = torch.nn.functional.normalize(fixed * z + t * xy[:, :1] + b * xy[:, 1:], dim=-1)
    turn = torch.linalg.cross(fixed, smooth)  # zero, but its derivative is not
    result: Tensor = bent + torch.linalg.cross(turn, bent.detach())
    return result


def _lobe(lobes: LobeStack, direction: Tensor, rough: Tensor) -> Tensor:
    maps, first = [], 0
    for _, (height, width) in LOBES:
        maps.append(lobes.texels[first : first + height * width].view(height, width, 3))
        first += height * width
    nodes = [r for r, _ in LOBES]
    r = rough.clamp(nodes[0], nodes[-1])
    total = torch.zeros_like(direction)
    for k, image in enumerate(maps):
        share = torch.zeros_like(r)
        if k:
            rise = (r - nodes[k - 1]) / (nodes[k] - nodes[k - 1])
            share = torch.where((r > nodes[k - 1]) & (r <= nodes[k]), rise, share)
        if k + 1 < len(nodes):
            fall = (nodes[k + 1] - r) / (nodes[k + 1] - nodes[k])
            share = torch.where((r > nodes[k]) & (r < nodes[k + 1]), fall, share)
        if k == 0:
            share = torch.where(r == nodes[0], torch.ones_like(r), share)
        total = total + share * _on_map(image.to(direction.dtype), direction)
    return total


def _on_map(image: Tensor, d: Tensor) -> Tensor:
    height, width = image.shape[:2]
    y = (d[:, 2].clamp(-1, 1).acos() / math.pi * height - 0.5).clamp(0, height - 1)
    x = torch.remainder(torch.atan2(d[:, 1], d[:, 0]) / (2 * math.pi) * width - 0.5, width)
    top, left = y.detach().floor().clamp(max=height - 2), x.detach().floor()
    fy, fx = (y - top)[:, None], (x - left)[:, None]
    i, j = top.long(), left.long() % width
    k = (j + 1) % width
    upper = image[i, j] * (1 - fx) + image[i, k] * fx
    return upper * (1 - fy) + (image[i + 1, j] * (1 - fx) + image[i + 1, k] * fx) * fy


def _table(rough: Tensor, cosine: Tensor) -> Tensor:
    table = split_sum_table().to(rough.dtype)
    steps = len(table) - 1
    y, x = rough[:, 0].clamp(0, 1) * steps, cosine[:, 0].clamp(0, 1) * steps
    i, j = y.detach().long().clamp(max=steps - 1), x.detach().long().clamp(max=steps - 1)
    fy, fx = (y - i)[:, None], (x - j)[:, None]
    upper = table[i, j] * (1 - fx) + table[i, j + 1] * fx
    return upper * (1 - fy) + (table[i + 1, j] * (1 - fx) + table[i + 1, j + 1] * fx) * fy
