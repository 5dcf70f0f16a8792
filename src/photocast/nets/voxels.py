# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where sparse features lie, and the tables that convolution and attention need, built once.

Features are plain ``[voxel, channel]`` tensors beside a :class:`Voxels`. A table is made when it is
first asked for and kept: every step of sampling reuses it.
"""

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from photocast.nets.attention import Groups, group_tokens

__all__ = ["Voxels", "gather_fine", "mean_of_fine", "split_in_eight"]

Rows = Float[Tensor, "voxel channel"]


class Voxels:
    """Integer places (batch, x, y, z), none twice, in any order."""

    def __init__(self, coords: Int[Tensor, "voxel 4"]) -> None:
        """Keep the places; nothing is computed yet."""
        self.coords = coords
        self._windows: dict[tuple[int, int], Groups] = {}
        self._coarse: dict[int, tuple[Voxels, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.coords)

    @cached_property
    def neighbors(self) -> Int[Tensor, "27 voxel"]:
        """Row of the neighbour at (dx, dy, dz), each -1..1, dz fastest; ``len(self)`` if absent."""
        places = self.coords.long()
        side = int(places.max()) + 3 if len(places) else 1
        keys, order = torch.sort(_keys(places, side, margin=1))
        count = len(keys)
        table = torch.full((27, count), count, dtype=torch.long, device=keys.device)
        table[13] = torch.arange(count, device=keys.device)
        for tap in range(13):  # the other half is its mirror image
            dx, dy, dz = tap // 9 - 1, tap // 3 % 3 - 1, tap % 3 - 1
            wanted = keys + (dx * side + dy) * side + dz
            found = torch.searchsorted(keys, wanted).clamp(max=count - 1)
            hit = keys[found] == wanted
            here, there = order[hit], order[found[hit]]
            table[tap, here], table[26 - tap, there] = there, here
        return table.int()

    @cached_property
    def batches(self) -> Groups:
        """Voxels of one batch item see each other."""
        batch = self.coords[:, 0].long()
        return group_tokens(batch, int(batch.max()) + 1)

    def window_of_voxel(
        self, size: int, shift: int
    ) -> tuple[Int[Tensor, "voxel"], Int[Tensor, "window 4"]]:
        """Which window each voxel falls in, and (batch, x, y, z) of the windows, in that order.

        A window holds ``size`` voxels along each axis; ``shift`` moves the windows back [voxel].
        """
        moved = self.coords.long() + self.coords.new_tensor([0, shift, shift, shift])
        windows, index = _unique(_floor(moved, size))
        return index, windows

    def windows(self, size: int, shift: int) -> Groups:
        """Voxels of one window see each other."""
        if (size, shift) not in self._windows:
            index, windows = self.window_of_voxel(size, shift)
            self._windows[size, shift] = group_tokens(index, len(windows))
        return self._windows[size, shift]

    def coarse(self, factor: int = 2) -> "tuple[Voxels, Int[Tensor, 'voxel']]":
        """The voxels ``factor`` times larger that hold these, sorted, and which one each is in."""
        if factor not in self._coarse:
            coords, index = _unique(_floor(self.coords.long(), factor))
            self._coarse[factor] = Voxels(coords.to(self.coords.dtype)), index
        return self._coarse[factor]

    @cached_property
    def children(self) -> "Voxels":
        """Each voxel split in eight: parent by parent, (dx, dy, dz) in binary order."""
        return _Children(self)


class _Children(Voxels):
    """Knows that all eight children of each parent are there."""

    def __init__(self, parents: Voxels) -> None:
        offsets = torch.cartesian_prod(*[torch.arange(2, device=parents.coords.device)] * 3)
        offsets = torch.nn.functional.pad(offsets, (1, 0)).to(parents.coords.dtype)
        doubled = parents.coords * parents.coords.new_tensor([1, 2, 2, 2])
        super().__init__((doubled[:, None] + offsets).flatten(0, 1))
        self._parents = parents

    @cached_property
    def neighbors(self) -> Int[Tensor, "27 voxel"]:
        """From the table of the parents, without a search."""
        parents = self._parents.neighbors
        count, device = parents.shape[1], parents.device
        step = torch.arange(3, device=device)[None] - 1 + torch.arange(2, device=device)[:, None]
        parent, bit = step.div(2, rounding_mode="floor") + 1, step % 2  # child tap
        axes = torch.cartesian_prod(*[torch.arange(2, device=device)] * 3)  # child axis
        x, y, z = (parent[axes[:, axis]] for axis in range(3))  # child tap
        tap = (9 * x[:, :, None, None] + 3 * y[:, None, :, None] + z[:, None, None, :]).flatten(1)
        x, y, z = (bit[axes[:, axis]] for axis in range(3))
        child = (4 * x[:, :, None, None] + 2 * y[:, None, :, None] + z[:, None, None, :]).flatten(1)
        table = torch.empty(27, count, 8, dtype=parents.dtype, device=device)
        for k in range(27):
            # an absent parent has number ``count``: its children would start at 8 * count
            rows = 8 * parents[tap[:, k]] + child[:, k, None].to(parents.dtype)
            table[k] = rows.clamp(max=8 * count).T
        return table.flatten(1)


def mean_of_fine(
    fine: Rows, index: Int[Tensor, "voxel"], count: int
) -> Float[Tensor, "{count} channel"]:
    """Reduce to coarse voxels: the sum over those inside, divided by one more than their number.

    One more, because the weights were trained with a reduction that counted its initial zero.
    """
    total = torch.zeros(count, fine.shape[1], device=fine.device).index_add_(0, index, fine.float())
    members = torch.bincount(index, minlength=count)[:, None]
    return (total / (members + 1)).to(fine.dtype)


def gather_fine(coarse: Rows, index: Int[Tensor, "fine"]) -> Float[Tensor, "fine channel"]:
    """Give each fine voxel the features of the coarse one that it lies in."""
    return coarse[index]


def split_in_eight(rows: Rows) -> Float[Tensor, "child channel"]:
    """Repeat the features of each parent for its eight children."""
    return rows.repeat_interleave(8, dim=0)


def _floor(coords: Int[Tensor, "voxel 4"], size: int) -> Int[Tensor, "voxel 4"]:
    divisor = coords.new_tensor([1, size, size, size])
    return coords.div(divisor, rounding_mode="floor")


def _keys(coords: Int[Tensor, "voxel 4"], side: int, margin: int = 0) -> Int[Tensor, "voxel"]:
    batch, x, y, z = coords.unbind(1)
    return ((batch * side + x + margin) * side + y + margin) * side + z + margin


def _unique(coords: Int[Tensor, "voxel 4"]) -> tuple[Int[Tensor, "unique 4"], Int[Tensor, "voxel"]]:
    """Distinct places in lexicographic order, and which one each is; faster than by rows."""
    side = int(coords.max()) + 1 if len(coords) else 1
    keys, index = torch.unique(_keys(coords, side), return_inverse=True)
    rest, z = keys.div(side, rounding_mode="floor"), keys % side
    rest, y = rest.div(side, rounding_mode="floor"), rest % side
    batch, x = rest.div(side, rounding_mode="floor"), rest % side
    return torch.stack([batch, x, y, z], dim=1), index
