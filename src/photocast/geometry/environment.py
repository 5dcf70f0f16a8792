# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Light from far away: latitude-longitude maps, spherical harmonics, and what a glossy lobe sees.

World: row 0 of a map looks along +Z, the last row along -Z; column 0 starts at +X and columns run
towards +Y. Texel (i, j) covers rows i..i+1 and columns j..j+1 of those angles.

The nine polynomials of the spherical harmonics up to degree 2 are used without their constants:
1, x, y, z, xy, yz, 3z²-1, xz, x²-y². The constants are put into the weights once.
Source: Ramamoorthi & Hanrahan, An efficient representation for irradiance environment maps, 2001.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from photocast.geometry.latlong import PHOTOCAST, directions

__all__ = [
    "COSINE_WEIGHTS",
    "VISIBILITY_WEIGHTS",
    "harmonics",
    "lobe_filter",
    "map_directions",
    "pool_matrix",
    "resize_map",
    "split_sum_table",
    "texel_solid_angles",
]

_SQUARES = [1 / (4 * math.pi), *[3 / (4 * math.pi)] * 3, *[15 / (4 * math.pi)] * 2]
_SQUARES += [5 / (16 * math.pi), 15 / (4 * math.pi), 15 / (16 * math.pi)]

COSINE_WEIGHTS = [s * a for s, a in zip(_SQUARES, [1, *[2 / 3] * 3, *[1 / 4] * 5], strict=True)]
"""Per polynomial: squared constant times the clamped cosine's share of its degree, over pi."""
VISIBILITY_WEIGHTS = [s * a for s, a in zip(_SQUARES, [1, *[0.94] * 3, *[0.77] * 5], strict=True)]
"""The same without a cosine; higher degrees are damped (Hann window of width 5) against ringing."""


def harmonics(direction: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 9"]:
    """The nine polynomials of unit directions."""
    x, y, z = direction.unbind(-1)
    one = torch.ones_like(x)
    return torch.stack([one, x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], -1)


def map_directions(height: int, width: int) -> Float[Tensor, "texel 3"]:
    """Unit direction of each texel's middle, row by row, float64."""
    return torch.from_numpy(directions(PHOTOCAST, height, width)).reshape(-1, 3)


def texel_solid_angles(height: int, width: int) -> Float[Tensor, " texel"]:
    """Steradians of each texel, exact; they sum to 4 pi."""
    return (_row_edges(height).diff() * (4 * math.pi / width)).repeat_interleave(width)


def resize_map(
    image: Float[Tensor, "h w c"], height: int, width: int
) -> Float[Tensor, "height width c"]:
    """Resample a map by solid angle, so that the light's power is kept.

    Args:
        image: Linear radiance.
        height: Rows wanted.
        width: Columns wanted.
    """
    rows = _averaging(_row_edges(image.shape[0]), _row_edges(height))
    columns = _averaging(_column_edges(image.shape[1]), _column_edges(width))
    resized: Tensor = torch.einsum("yh,xw,hwc->yxc", rows.to(image), columns.to(image), image)
    return resized


def _row_edges(count: int) -> Tensor:
    # In shares of the sphere's area: a zone between two latitudes is as large as it is high.
    return (1 - (torch.arange(count + 1, dtype=torch.float64) * (math.pi / count)).cos()) / 2


def _column_edges(count: int) -> Tensor:
    return torch.arange(count + 1, dtype=torch.float64) / count


def _averaging(old: Tensor, new: Tensor) -> Tensor:
    """Means over new cells of values on old ones; both given by their edges, 0..1."""
    low = torch.maximum(new[:-1, None], old[None, :-1])
    high = torch.minimum(new[1:, None], old[None, 1:])
    share = (high - low).clamp(min=0)
    return share / share.sum(1, keepdim=True)


def pool_matrix(size: tuple[int, int], coarse: tuple[int, int]) -> Float[Tensor, "few texel"]:
    """Averages of a map's texels over coarser ones, by solid angle; float32."""
    rows = _averaging(_row_edges(size[0]), _row_edges(coarse[0]))
    columns = _averaging(_column_edges(size[1]), _column_edges(coarse[1]))
    matrix = torch.einsum("yh,xw->yxhw", rows, columns)
    return matrix.reshape(coarse[0] * coarse[1], size[0] * size[1]).float()


def lobe_filter(
    size: tuple[int, int], out: tuple[int, int], roughness: float
) -> Float[Tensor, "out texel"]:
    """What a GGX lobe of one roughness sees of a map, for each mirror direction.

    With the view along the normal, weights are D(h) (n·l). Rows sum to 1; float32.
    Source: Karis, Real shading in Unreal Engine 4, 2013, split-sum, first factor.

    Args:
        size: Height and width of the map.
        out: Height and width of the filtered map.
        roughness: Perceptual; alpha is its square.
    """
    toward, light = map_directions(*out).float(), map_directions(*size).float()
    cosine = (toward @ light.T).clamp(-1, 1)
    # h is halfway: (n·h)² = (1 + n·l) / 2
    half = (1 + cosine) / 2
    square = roughness**4
    density = square / (half * (square - 1) + 1) ** 2
    weight = density * cosine.clamp(min=0) * texel_solid_angles(*size).float()
    return weight / weight.sum(1, keepdim=True)


def split_sum_table(size: int = 32, samples: int = 256) -> Float[Tensor, "size size 2"]:
    """Scale and offset of F0 in the light that a GGX surface reflects; [roughness, n·v].

    Entry i stands for i / (size - 1) on both axes (n·v and roughness at least 0.02).
    Importance sampling of the half vector with height-correlated Smith masking.
    Source: Karis 2013, second factor; Heitz, Understanding the masking-shadowing function, 2014.
    """
    grid = torch.linspace(0, 1, size, dtype=torch.float64).clamp(min=0.02)
    alpha = (grid**2)[:, None, None]
    nv = grid[None, :, None]
    u = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    turn = torch.arange(samples, dtype=torch.float64) * (math.pi * (3 - math.sqrt(5)))
    cos_h = torch.sqrt((1 - u) / (1 + (alpha**2 - 1) * u))
    sin_h = torch.sqrt((1 - cos_h**2).clamp(min=0))
    v_x = torch.sqrt(1 - nv**2)
    vh = (v_x * sin_h * turn.cos() + nv * cos_h).clamp(min=0)
    nl = 2 * vh * cos_h - nv
    lit = nl > 0
    nl = nl.clamp(min=1e-6)
    mask_v = nl * torch.sqrt(nv**2 * (1 - alpha**2) + alpha**2)
    mask_l = nv * torch.sqrt(nl**2 * (1 - alpha**2) + alpha**2)
    weight = torch.where(lit, 2 * nl * vh * nv / (mask_v + mask_l) / (cos_h * nv), 0)
    fresnel = (1 - vh) ** 5
    return torch.stack([(weight * (1 - fresnel)).mean(-1), (weight * fresnel).mean(-1)], -1).float()
