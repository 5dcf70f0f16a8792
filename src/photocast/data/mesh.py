# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A triangle mesh with UVs and glTF 2.0 material maps.

Positions are welded: a UV seam splits ``uvs``, never ``vertices``, so topology stays readable.
UV (0, 0) is the top-left corner of a map's first row, as in glTF.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photocast.errors import MeshError

__all__ = ["Material", "Mesh"]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """glTF 2.0 metallic-roughness, every map linear float32 in 0..1."""

    base_color: NDArray[np.float32] | None = None
    """(h, w, 3), linear light; files store it as sRGB."""
    roughness: NDArray[np.float32] | None = None
    """(h, w)."""
    metallic: NDArray[np.float32] | None = None
    """(h, w)."""
    normal: NDArray[np.float32] | None = None
    """(h, w, 3), tangent space, components in -1..1, +Y up in the map (glTF)."""
    unlit: bool = True
    """The base colour is the light that left the surface, shadows and all: show it as it is."""
    sources: int = 1
    """How many materials of a file these maps were laid side by side from."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles, counter-clockwise seen from outside."""

    vertices: NDArray[np.float32]
    """(v, 3), in the capture's own world frame and unit."""
    faces: NDArray[np.int32]
    """(f, 3), indices into ``vertices``."""
    uvs: NDArray[np.float32] | None = None
    """(t, 2)."""
    uv_faces: NDArray[np.int32] | None = None
    """(f, 3), indices into ``uvs``; present exactly if ``uvs`` is."""
    colors: NDArray[np.float32] | None = None
    """Per-vertex linear RGB (v, 3), for meshes without a texture."""
    material: Material = field(default_factory=Material)

    def __post_init__(self) -> None:
        arrays = {
            "vertices": (self.vertices, np.float32, 3, None),
            "faces": (self.faces, np.int32, 3, len(self.vertices)),
            "uvs": (self.uvs, np.float32, 2, None),
            "uv_faces": (self.uv_faces, np.int32, 3, 0 if self.uvs is None else len(self.uvs)),
            "colors": (self.colors, np.float32, 3, None),
        }
        for name, (array, dtype, columns, limit) in arrays.items():
            if array is None:
                continue
            if array.ndim != 2 or array.shape[1] != columns or array.dtype != dtype:
                raise MeshError(
                    f"mesh.{name} is {array.dtype} {array.shape}; {np.dtype(dtype)} "
                    f"(n, {columns}) is needed.",
                    code="mesh.shape",
                )
            if limit is None:
                bad = ~np.isfinite(array)
                if bad.any():
                    rows = int(bad.any(axis=1).sum())
                    raise MeshError(
                        f"{rows:,} of {len(array):,} rows of mesh.{name} have NaN or infinite "
                        "numbers. Repair them in a mesh editor.",
                        code="mesh.not_finite",
                        count=int(bad.sum()),
                    )
            elif array.size and not (array.min() >= 0 and array.max() < limit):
                raise MeshError(
                    f"mesh.{name} points at {array.min()}..{array.max()} of {limit} entries.",
                    code="mesh.index",
                )
        if (self.uvs is None) != (self.uv_faces is None):
            raise MeshError("A mesh needs both uvs and uv_faces, or neither.", code="mesh.shape")
        if self.uv_faces is not None and len(self.uv_faces) != len(self.faces):
            raise MeshError(
                f"{len(self.faces)} faces but {len(self.uv_faces)} uv_faces.", code="mesh.shape"
            )
        if self.colors is not None and len(self.colors) != len(self.vertices):
            raise MeshError(
                f"{len(self.vertices)} vertices but {len(self.colors)} colors.", code="mesh.shape"
            )

    @property
    def bounds(self) -> NDArray[np.float32]:
        """Smallest and largest corner, (2, 3)."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])
