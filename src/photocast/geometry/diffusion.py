# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Spread values over a mesh: (I + stiffness L) x = b with the uniform Laplacian L.

Source: Nicolet et al., Large Steps in Inverse Rendering of Geometry, 2021, section 3.2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Diffusion"]


class Diffusion:
    """The operator I + stiffness L of one mesh, L = degree - adjacency."""

    def __init__(self, faces: Int[Tensor, "face 3"], vertex_count: int, stiffness: float) -> None:
        """Count each neighbour once, however many faces share the edge."""
        directed = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).long()
        both = torch.cat([directed, directed.flip(1)])
        ends = torch.unique(both, dim=0)
        self._row, self._column = ends[:, 0], ends[:, 1]
        ones = torch.ones(len(ends), device=faces.device)
        degree = torch.zeros(vertex_count, device=faces.device).index_add_(0, self._row, ones)
        self.stiffness = stiffness
        # diagonal and neighbours in one sparse matrix: a product is one call
        diagonal = torch.arange(vertex_count, device=faces.device)
        self._matrix = torch.sparse_coo_tensor(
            torch.stack([torch.cat([diagonal, self._row]), torch.cat([diagonal, self._column])]),
            torch.cat([1 + stiffness * degree, -stiffness * ones]),
            (vertex_count, vertex_count),
            check_invariants=False,
        ).coalesce()
        self._inverse_diagonal = 1 / (1 + stiffness * degree)[:, None]
        self._inverse_degree = 1 / degree.clamp(min=1)[:, None]

    def apply(self, x: Float[Tensor, "vert c"]) -> Float[Tensor, "vert c"]:
        """(I + stiffness L) x."""
        result: Tensor = torch.sparse.mm(self._matrix, x)
        return result

    def roughness(self, x: Float[Tensor, "vert c"]) -> Float[Tensor, "vert c"]:
        """How far each value lies from the mean of its neighbours: L x / degree."""
        if self.stiffness == 0:
            return torch.zeros_like(x)
        return (self.apply(x) - x) / self.stiffness * self._inverse_degree

    def solve(
        self,
        b: Float[Tensor, "vert c"],
        *,
        start: Float[Tensor, "vert c"] | None = None,
        tolerance: float | None = 1e-3,
        most_steps: int = 60,
    ) -> Float[Tensor, "vert c"]:
        """x with (I + stiffness L) x = b, by conjugate gradients with a diagonal preconditioner.

        Args:
            b: Right-hand sides.
            start: Where to begin; zero if not given.
            tolerance: Of the residual, relative to b; None takes all the steps and never looks,
                which on a GPU would mean to wait for it.
            most_steps: Stops there even if the tolerance is not met.
        """
        x = torch.zeros_like(b) if start is None else start.clone()
        residual = b - self.apply(x)
        z = self._inverse_diagonal * residual
        direction = z.clone()
        old = (residual * z).sum(0)
        goal = None if tolerance is None else tolerance * b.norm()
        for step in range(most_steps):
            # looked at now and then only: on a GPU each look waits for the device
            if goal is not None and step % 8 == 0 and bool(residual.norm() <= goal):
                break
            ahead = self.apply(direction)
            size = old / (direction * ahead).sum(0).clamp(min=1e-30)
            x += size * direction
            residual -= size * ahead
            z = self._inverse_diagonal * residual
            new = (residual * z).sum(0)
            direction = z + new / old.clamp(min=1e-30) * direction
            old = new
        return x
