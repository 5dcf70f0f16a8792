# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: devices, the larger captures, one thread of torch."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from photocast.data import Material, Mesh

DATA = Path(os.environ.get("PHOTOCAST_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device of this machine in turn."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return torch.device(request.param)


@pytest.fixture
def capture_folder():
    """Find one of the larger captures by name, or skip with the reason."""

    def find(name: str) -> Path:
        folder = (DATA / name).resolve()
        if not folder.is_dir():
            pytest.skip(f"capture {name!r} is not in {DATA} (set PHOTOCAST_DATA)")
        return folder

    return find


@pytest.fixture(scope="session")
def textured_sphere() -> Mesh:
    """A closed unit sphere with a UV seam and a coloured chequered texture; poles at ±Y."""
    rings, segments = 16, 24
    theta = np.pi * np.arange(1, rings) / rings
    phi = 2 * np.pi * np.arange(segments) / segments
    ring = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.cos(theta), np.ones(segments)),
            np.outer(np.sin(theta), np.sin(phi)),
        ],
        axis=-1,
    )
    vertices = np.concatenate([[[0, 1, 0]], ring.reshape(-1, 3), [[0, -1, 0]]])
    across, down = np.meshgrid(np.arange(segments + 1), np.arange(rings + 1))
    uvs = np.stack([across / segments, down / rings], axis=-1).reshape(-1, 2)

    def vertex(row: int, column: int) -> int:
        if row in (0, rings):
            return 0 if row == 0 else len(vertices) - 1
        return 1 + (row - 1) * segments + column % segments

    def corner(row: int, column: int) -> tuple[int, int]:
        return vertex(row, column), row * (segments + 1) + column

    triangles = []
    for row in range(rings):
        for column in range(segments):
            a, b = corner(row, column), corner(row, column + 1)
            c, d = corner(row + 1, column + 1), corner(row + 1, column)
            triangles += [(a, b, c)] * (row > 0) + [(a, c, d)] * (row < rings - 1)
    table = np.array(triangles, dtype=np.int32)
    y, x = np.mgrid[0:64, 0:128]
    tile = ((x // 16 + y // 16) % 2).astype(np.uint8)
    codes = np.stack([60 + 160 * tile, x * 2, 255 - y * 3], axis=-1).astype(np.uint8)
    linear = np.where(codes <= 10, codes / 255 / 12.92, ((codes / 255 + 0.055) / 1.055) ** 2.4)
    return Mesh(
        vertices=vertices.astype(np.float32),
        faces=np.ascontiguousarray(table[..., 0]),
        uvs=uvs.astype(np.float32),
        uv_faces=np.ascontiguousarray(table[..., 1]),
        material=Material(base_color=linear.astype(np.float32)),
    )
