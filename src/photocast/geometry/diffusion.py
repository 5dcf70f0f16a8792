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
        # G = stiffness adjacency / diagonal: what a Jacobi step mixes in from the neighbours
        self._jacobi = torch.sparse_coo_tensor(
            torch.stack([self._row, self._column]),
            (stiffness * self._inverse_diagonal[:, 0])[self._row],
            (vertex_count, vertex_count),
            check_invariants=False,
        ).coalesce()
        most = stiffness * float(degree.max()) if len(degree) else 0.0
        self._reach = most / (1 + most)
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

    def smooth(self, b: Float[Tensor, "vert c"], steps: int = 16) -> Float[Tensor, "vert c"]:
        """About the x with (I + stiffness L) x = b, without looking at the residual.

        Chebyshev semi-iteration on x = G x + c, c = b / diagonal. All eigenvalues of G lie within
        the largest neighbour sum of a row, so no inner products are needed; at a stiffness of 3,
        16 steps leave less than a hundredth of the error.
        Source: Golub & Van Loan, Matrix Computations, 4th ed., section 11.2.8.
        """
        c = b * self._inverse_diagonal
        before, x, omega = torch.zeros_like(c), c, 1.0
        for step in range(steps):
            omega = 2 / (2 - self._reach**2) if step == 0 else 1 / (1 - self._reach**2 * omega / 4)
            ahead = torch.sparse.addmm(c, self._jacobi, x)
            before, x = x, torch.lerp(before, ahead, omega)
        return x
