# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Analytic antialiasing of silhouettes: what makes visibility differentiable.

Source of the idea: Laine et al., Modular primitives for high-performance differentiable rendering,
2020, section 3.5; see also Pidhorskyi et al., Rasterized edge gradients, 2024.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakIdKeyDictionary

from photocast.kernels.antialias import (
    antialias_backward_kernel,
    blend_kernel,
    pairs_kernel,
)
from photocast.kernels.antialias_listed import (
    LISTED_ROWS,
    blend_listed_kernel,
    list_found_kernel,
    list_open_kernel,
    pull_clip_listed_kernel,
    pull_color_listed_kernel,
)
from photocast.ops._check import check_faces, check_tensor, version_of
from photocast.ops._launch import GradientSums, aligned, grid_of, launch, launch_rows
from photocast.ops.rasterize import Raster

__all__ = ["EdgeTopology", "antialias", "antialias_twin", "edge_topology"]


MOST_STEPS = 64
REACHED = -2  # the surface connects both centres
WALKERS = 2**18  # threads that share the pairs to walk: about what a large GPU holds at once
BLENDERS = 2**16  # and the pairs found
_topologies: Any = WeakIdKeyDictionary()  # index buffer: its version and topology


@dataclass(frozen=True, eq=False)
class EdgeTopology:
    """Which faces meet at each side of a face."""

    twins: Tensor
    """Int32 (face, 3): side k of a face is opposite to its corner k; here is the side on the other
    face as 3 * face + k, or -1 if there is none or more than one."""


def edge_topology(faces: Tensor) -> EdgeTopology:
    """Pair the sides of a mesh.

    Args:
        faces: Int32 (face, 3), indices of welded positions: where a texture seam doubles vertices,
            pass the index buffer from before, or every seam counts as a silhouette.

    Raises:
        ValueError: Wrong dtype or shape.
    """
    check_tensor("faces", faces, (None, 3), dtype=torch.int32)
    ends = faces.long()[:, [[1, 2], [2, 0], [0, 1]]].reshape(-1, 2)
    low, high = ends.amin(1), ends.amax(1)
    keys, order = torch.sort(low * (int(high.max()) + 1 if len(high) else 1) + high, stable=True)
    same = keys[1:] == keys[:-1]
    no = same.new_zeros(1)
    before, after = torch.cat([no, same]), torch.cat([same, no])
    # A run of exactly two equal keys: its first has one after it, and that one none.
    first = torch.nonzero(after & ~before & ~torch.cat([after[1:], no])[: len(after)])[:, 0]
    one, other = order[first], order[first + 1]
    twins = torch.full((len(ends),), -1, dtype=torch.int32, device=faces.device)
    twins[one], twins[other] = other.int(), one.int()
    return EdgeTopology(twins.view(-1, 3))


def antialias(
    color: Tensor,
    raster: Raster,
    clip: Tensor,
    faces: Tensor,
    topology: EdgeTopology | None = None,
) -> Tensor:
    """Blend colours across silhouettes by how far they reach into the next pixel.

    Looks at each pair of pixels side by side that see different faces. From the nearer one the
    surface is followed, face by face, towards the other centre; if it ends or folds back at a side
    in between, that side crosses the pair at an exact place, and the colour of the pixel that holds
    more than its half is blended into the other one. The result is an average of a pixel and its
    neighbours. Over a straight silhouette it sums up to the covered area.

    Gradient reaches ``color`` and, through the place of the crossing, ``clip``: this is what moves
    vertices at silhouettes. It compares the colours at the two centres, so it is off by what they
    change over half a pixel, and exact where they do not. Not found: surfaces that cover no pixel
    centre, intersections of surfaces, and silhouettes more than 64 faces away from the centre.

    Args:
        color: Float32 (view, h, w, c), background included.
        raster: What :func:`photocast.ops.rasterize.rasterize` made of ``clip`` and ``faces``.
        clip: Float32 (view, vert, 4).
        faces: Int32 (face, 3).
        topology: Of the welded faces, in the same order; made from ``faces`` if not given.

    Returns:
        The blended colours, like ``color``.

    Raises:
        ValueError: A shape, dtype, device or index does not fit.
    """
    shape, device = raster.face.shape, raster.face.device
    check_tensor("raster.face", raster.face, (None, None, None), dtype=torch.int32)
    check_tensor("raster.depth", raster.depth, tuple(shape), device=device)
    check_tensor("color", color, (*shape, None), device=device)
    check_tensor("clip", clip, (shape[0], None, 4), device=device)
    check_faces("faces", faces, clip.shape[1], device=device)
    topology = _topology_of(faces) if topology is None else topology
    check_tensor(
        "topology.twins", topology.twins, (len(faces), 3), dtype=torch.int32, device=device
    )
    result: Tensor = _Antialias.apply(
        color.contiguous(),
        aligned(clip),
        faces.contiguous(),
        topology.twins.contiguous(),
        raster.face.contiguous(),
        raster.depth.detach().contiguous(),
    )
    return result


def _topology_of(faces: Tensor) -> EdgeTopology:
    # Kept while the faces live: to make it takes longer than a step, and waits for the device.
    version = version_of(faces)
    known = _topologies.get(faces)
    if known is None or known[0] != version or version is None:
        known = _topologies[faces] = (version, edge_topology(faces))
    topology: EdgeTopology = known[1]
    return topology


class _Scene(NamedTuple):
    """What the kernels walk over."""

    clip: Tensor
    faces: Tensor
    twins: Tensor
    shape: tuple[int, int, int]  # views, height, width


class _Silhouettes(NamedTuple):
    """The pairs with a silhouette; pair = 2 * pixel + axis."""

    marks: Tensor  # row w 2: one byte per pair; the next two are written only where it is set
    sides: Tensor  # row w 2: half-edge
    shifts: Tensor  # row w 2: m
    counts: Tensor  # length of the list of pairs to walk, and of the next one
    found: Tensor  # the pairs, if they are listed


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        color: Tensor,
        clip: Tensor,
        faces: Tensor,
        twins: Tensor,
        face: Tensor,
        depth: Tensor,
    ) -> Tensor:
        views, height, width = face.shape
        scene = _Scene(clip, faces, twins, (views, height, width))
        find, blend = _find, _blend
        if _lists_pairs(clip.device):
            find, blend = _find_listed, _blend_listed
        found = find(scene, face, depth)
        blended = blend(scene, color, found)
        ctx.save_for_backward(color, clip, faces, twins, blended, *found)
        return blended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None, None, None]:
        color, clip, faces, twins, blended, *kept = ctx.saved_tensors
        views, height, width = color.shape[:3]
        scene = _Scene(clip, faces, twins, (views, height, width))
        wants_clip = bool(ctx.needs_input_grad[1])
        grad = grad.contiguous()
        count = clip.shape[0] * clip.shape[1] if wants_clip else 0
        sums = GradientSums(count, 4, [grad], shared=False)
        pull = _pull_listed if _lists_pairs(clip.device) else _pull
        images = (color, blended, grad)
        grad_color = pull(scene, images, _Silhouettes(*kept), (sums, wants_clip))
        return grad_color, sums.total(clip.shape) if wants_clip else None, None, None, None, None


def _lists_pairs(device: torch.device) -> bool:
    return device.type != "cpu"


def _find(scene: _Scene, face: Tensor, depth: Tensor) -> _Silhouettes:
    views, height, width = scene.shape
    device, size = face.device, (views * height, width, 2)
    none = torch.empty(0, dtype=torch.int32, device=device)
    found = _Silhouettes(
        torch.empty(size, dtype=torch.uint8, device=device),
        torch.empty(size, dtype=torch.int32, device=device),
        torch.empty(size, dtype=torch.float32, device=device),
        none,
        none,
    )
    launch_rows(
        pairs_kernel,
        scene.shape,
        lambda grid: [*scene[:3], grid, face, depth, *found[:3]],
        device,
    )
    return found


def _find_listed(scene: _Scene, face: Tensor, depth: Tensor) -> _Silhouettes:
    views, height, width = scene.shape
    device, size = face.device, (views * height, width, 2)
    pairs = math.prod(size)
    blank = torch.zeros(8 + pairs, dtype=torch.uint8, device=device)  # one fill for both
    open_pairs = torch.empty(pairs, dtype=torch.int32, device=device)
    found = _Silhouettes(
        blank[8:].view(size),
        torch.empty(size, dtype=torch.int32, device=device),
        torch.empty(size, dtype=torch.float32, device=device),
        blank[:8].view(torch.int32),
        torch.empty_like(open_pairs),
    )
    grid = grid_of(height, width)
    launch(
        list_open_kernel,
        (-(-size[0] // LISTED_ROWS), width),
        [scene.twins, grid, face, found.counts, open_pairs],
        device,
    )
    threads = min(pairs, WALKERS)
    walked = [face, depth, found.counts, open_pairs, threads, found.found, *found[:3]]
    launch(list_found_kernel, threads, [*scene[:3], grid, *walked], device)
    return found


def _blend(scene: _Scene, color: Tensor, found: _Silhouettes) -> Tensor:
    blended = torch.empty_like(color)
    launch_rows(
        blend_kernel,
        scene.shape,
        lambda grid: [color, grid, found.marks, found.shifts, blended],
        color.device,
    )
    return blended


def _blend_listed(scene: _Scene, color: Tensor, found: _Silhouettes) -> Tensor:
    blended = color.clone()
    threads = min(found.marks.numel(), BLENDERS)
    grid = grid_of(*scene.shape[1:])
    listed = [found.counts, found.found, threads, found.marks, found.shifts]
    launch(blend_listed_kernel, threads, [color, grid, *listed, blended], color.device)
    return blended


_Images = tuple[Tensor, Tensor, Tensor]  # colours, blended, upstream gradient


def _pull(
    scene: _Scene, images: _Images, found: _Silhouettes, clip_sums: tuple[GradientSums, bool]
) -> Tensor:
    color, blended, grad = images
    sums, wants_clip = clip_sums
    grad_color = torch.empty_like(grad)
    launch_rows(
        antialias_backward_kernel,
        scene.shape,
        lambda grid: [
            *scene[:3],
            grid,
            color,
            blended,
            *found[:3],
            grad,
            int(wants_clip),
            grad_color,
            *sums.arguments,
        ],
        grad.device,
    )
    return grad_color


def _pull_listed(
    scene: _Scene, images: _Images, found: _Silhouettes, clip_sums: tuple[GradientSums, bool]
) -> Tensor:
    color, blended, grad = images
    sums, wants_clip = clip_sums
    grad_color = grad.clone()
    threads = min(2 * found.marks.numel(), BLENDERS)
    grid = grid_of(*scene.shape[1:])
    listed = [found.counts, found.found, threads]
    arguments = [grid, *listed, found.marks, found.shifts, grad, grad_color]
    launch(pull_color_listed_kernel, threads, arguments, grad.device)
    if wants_clip:
        arguments = [*scene[:3], grid, color, blended, *listed, *found[:3], grad, *sums.arguments]
        launch(pull_clip_listed_kernel, threads, arguments, grad.device)
    return grad_color


def antialias_twin(
    color: Tensor,
    raster: Raster,
    clip: Tensor,
    faces: Tensor,
    topology: EdgeTopology | None = None,
) -> Tensor:
    """The specification: plain torch and Python, pair by pair, any precision."""
    twins = (edge_topology(faces) if topology is None else topology).twins.flatten().tolist()
    views, height, width = raster.face.shape
    inflow: dict[tuple[int, int, int], list[tuple[Tensor, tuple[int, int, int]]]] = {}
    for view, row, column, axis in itertools.product(
        range(views), range(height), range(width), range(2)
    ):
        p, q = (view, row, column), (view, row + axis, column + 1 - axis)
        if q[1] < height and q[2] < width:
            pair = _TwinPair(raster, clip[view], faces.tolist(), twins, p, q)
            shift = pair.shift(axis)
            if shift is not None:
                to, source = (q, p) if shift >= 0 else (p, q)
                inflow.setdefault(to, []).append((shift.abs(), source))
    blended = color.clone()
    for to, sources in inflow.items():
        full = torch.stack([depth for depth, _ in sources]).sum().clamp(min=1)
        mix = sum(depth * (color[source] - color[to]) for depth, source in sources)
        blended[to] = color[to] + mix / full
    return blended


class _TwinPair:
    """The search for the silhouette between two pixels, as kernels/antialias.py explains it."""

    def __init__(
        self,
        raster: Raster,
        clip: Tensor,
        faces: list[list[int]],
        twins: list[int],
        p: tuple[int, int, int],
        q: tuple[int, int, int],
    ) -> None:
        self.height, self.width = raster.face.shape[1:]
        self.points, self.faces, self.twins = clip[:, [0, 1, 3]], faces, twins
        self.face_p, self.face_q = int(raster.face[p]), int(raster.face[q])
        self.p_first = self.face_q < 0 or (
            self.face_p >= 0 and bool(raster.depth[p] <= raster.depth[q])
        )
        self.p, self.q = self.ray(p), self.ray(q)

    def ray(self, pixel: tuple[int, int, int]) -> Tensor:
        x, y = (2 * pixel[2] + 1) / self.width - 1, (2 * pixel[1] + 1) / self.height - 1
        return self.points.new_tensor([x, y, 1])

    def line(self, half: int) -> Tensor:
        face, k = divmod(half, 3)
        a, b = self.faces[face][(k + 1) % 3], self.faces[face][(k + 2) % 3]
        through: Tensor = torch.linalg.cross(self.points[a], self.points[b])
        return through

    def corner(self, half: int) -> Tensor:
        return self.points[self.faces[half // 3][half % 3]]

    def shift(self, axis: int) -> Tensor | None:
        """Where the pair is crossed, from its middle; None if it is not, or not along ``axis``."""
        f, g = self.face_p, self.face_q
        if f == g or (f >= 0 and g in [t // 3 for t in self.twins[3 * f : 3 * f + 3] if t >= 0]):
            return None
        tries = [(f, g, self.p, self.q), (g, f, self.q, self.p)]
        for start, goal, here, there in tries if self.p_first else tries[::-1]:
            half = self.silhouette(start, goal, here, there) if start >= 0 else None
            if half == REACHED:
                return None
            if half is not None:
                line = self.line(half)
                steep = abs(line[0]) * self.height >= abs(line[1]) * self.width
                at_p, at_q = line @ self.p, line @ self.q
                place: Tensor = at_p / (at_p - at_q)
                return place - 0.5 if bool(steep) == (axis == 0) else None
        return None

    def silhouette(self, face: int, goal: int, here: Tensor, there: Tensor) -> int | None:
        entry = -1
        for _ in range(MOST_STEPS):
            crossed = []
            sign = (self.line(3 * face) @ self.corner(3 * face)).sign()
            for half in range(3 * face, 3 * face + 3):
                at_here, at_there = self.line(half) @ here * sign, self.line(half) @ there * sign
                if half != entry and at_there <= 0 and at_here > at_there:
                    crossed.append(((at_here / (at_here - at_there)).item(), half))
            if not crossed:
                return None
            half = min(crossed)[1]
            entry = self.twins[half]
            if entry < 0:
                return half
            line = self.line(half)
            if (line @ self.corner(half) > 0) == (line @ self.corner(entry) > 0):
                return half
            face = entry // 3
            if face == goal:
                return REACHED
        return None
