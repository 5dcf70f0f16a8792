# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How light from far away reaches each vertex: shadowed by the object, and returned by it.

For a fixed set of directions each vertex knows whether it sees the sky or which face of the
object. Light at the vertices is then linear in the environment: one matrix product.
Source: Sloan, Kautz & Snyder, Precomputed radiance transfer, 2002; bounces as in radiosity.
"""

import torch
from jaxtyping import Float32
from torch import Tensor

from photocast.geometry.environment import (
    COSINE_WEIGHTS,
    VISIBILITY_WEIGHTS,
    harmonics,
    map_directions,
    pool_matrix,
    texel_solid_angles,
)
from photocast.ops.occlusion import OPEN, first_hits
from photocast.ops.pathtrace import RayMesh
from photocast.ops.shade import LOBES, Incident, Layout

__all__ = ["Transport"]

_WAYS = {"cpu": (12, 24), "cuda": (16, 32)}
"""Rows and columns of the directions."""
_LIFT = 0.25
"""Start of rays above the surface, in median edge lengths."""
_CHUNK = 8192  # vertices whose bounced light is gathered at a time


class Transport:
    """The light at the vertices of one shape, for any environment."""

    def __init__(
        self, vertices: Float32[Tensor, "vert 3"], normals: Tensor, layout: Layout
    ) -> None:
        """Trace the rays.

        Args:
            vertices: Positions in the world.
            normals: Unit, per vertex.
            layout: Faces of the same mesh.
        """
        device = vertices.device
        size = _WAYS[device.type]
        corners = vertices[layout.faces.long()]
        edges = (corners - corners.roll(1, 1)).norm(dim=-1)
        ways = map_directions(*size).float().to(device)
        self._hits = first_hits(
            RayMesh(vertices, layout.faces),
            vertices,
            normals,
            ways,
            lift=_LIFT * float(edges.median()),
        )
        solid = texel_solid_angles(*size).float().to(device)
        self._basis = harmonics(ways) * solid[:, None]  # way 9
        self._cosine = torch.tensor(COSINE_WEIGHTS, device=device)
        self._pool = pool_matrix(LOBES[0][1], size).to(device)
        self._sky = (self._hits == OPEN).float()
        hidden = (self._hits >= 0).float() @ self._basis
        full = torch.zeros_like(hidden)
        full[:, 0] = self._basis[:, 0].sum()
        self.open = (full - hidden) * torch.tensor(VISIBILITY_WEIGHTS, device=device)
        # written in place: recorded steps go on reading them
        self._bounced = torch.zeros((len(vertices), 9, 3), device=device)
        self._glow = torch.zeros((1, 3), device=device)

    def incident(self, environment: Float32[Tensor, "h w 3"]) -> Incident:
        """Light at the vertices; gradient reaches the environment."""
        few = self._pool @ environment.reshape(-1, 3)  # way 3
        factors = (self._basis[:, :, None] * few[:, None]).flatten(1)  # way 27
        light = (self._sky @ factors).view(-1, 9, 3) + self._bounced
        return Incident(light * self._cosine[:, None], self.open, self._glow)

    @torch.no_grad()
    def bounce(self, radiance: Float32[Tensor, "face 3"], vertices: Tensor, layout: Layout) -> None:
        """Let the object light itself: what each face sends out reaches the vertices it hides from.

        Args:
            radiance: Leaving each face.
            vertices: Of the same mesh; a mean by area stands for the object in mirror directions.
            layout: Of the same mesh.
        """
        corners = vertices[layout.faces.long()]
        cross = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas = cross.norm(dim=1)
        for hits, bounced in zip(
            self._hits.split(_CHUNK), self._bounced.split(_CHUNK), strict=True
        ):
            seen = radiance[hits.clamp(min=0).long()] * (hits >= 0)[..., None]
            bounced.copy_(torch.einsum("vwc,wk->vkc", seen, self._basis))
        self._glow.copy_((radiance * areas[:, None]).sum(0) / areas.sum().clamp(min=1e-12))
