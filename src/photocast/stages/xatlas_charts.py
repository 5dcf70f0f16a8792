# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Charts by xatlas instead of our own: cut where the surface bends, with hardly any stretch.

Only its charts are taken. Packing, gaps and the search for overlaps stay ours, so every promise of
our atlas holds; faces that xatlas mirrors, drops or lays on others go into charts of their own.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from photocast.geometry.face_pairs import pieces
from photocast.limited import LimitedResult, run_limited
from photocast.stages.charts import Surface, recount
from photocast.stages.flatten import Flat, flatten_again, turned
from photocast.stages.xatlas_child import MISSING
from photocast.threads import cpu_threads

__all__ = ["NO_XATLAS", "NoCharts", "seconds_for", "xatlas_flat"]

NO_XATLAS = "xatlas is not installed: pip install 'photocast[xatlas]'"
_SECONDS, _SECONDS_PER_FACE = 60.0, 0.002
_BYTES, _BYTES_PER_FACE = 4 << 30, 20_000  # of addresses; threads take most of them
_DENSEST = 4.0  # a chart keeps its size on the surface up to this factor


class NoCharts(Exception):
    """xatlas gave no charts; the message says why, as the end of a sentence."""


def seconds_for(face_count: int) -> float:
    """How long xatlas may take: about five times what it takes on a free machine."""
    return _SECONDS + _SECONDS_PER_FACE * face_count


def xatlas_flat(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    surface: Surface,
    texel: float,
    *,
    seconds: float,
    device: torch.device,
) -> Flat:
    """Ask xatlas for charts.

    Args:
        vertices: (v, 3).
        faces: (f, 3).
        surface: The same faces, measured.
        texel: See ``flatten``.
        seconds: It is stopped after this time.
        device: See ``flatten``.

    Raises:
        NoCharts: It is not installed, failed, or took too long.
    """
    uvs, corners = _asked(vertices, faces, seconds)
    flat, odd = _flat(uvs, corners, surface)
    if odd.any():
        whole = vertices, faces, surface
        flat = flatten_again(flat, odd, whole, texel, alone=True, device=device)
    return flat


def _asked(
    vertices: NDArray[np.float64], faces: NDArray[np.int32], seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    with tempfile.TemporaryDirectory(prefix="photocast-xatlas-") as folder:
        source, target = Path(folder) / "mesh.npz", Path(folder) / "atlas.npz"
        np.savez(source, vertices=vertices, faces=faces)
        done = run_limited(
            [sys.executable, "-m", "photocast.stages.xatlas_child", str(source), str(target)],
            memory_bytes=_BYTES + _BYTES_PER_FACE * len(faces),
            cpu_seconds=int(seconds * cpu_threads()) + 1,
            wall_seconds=seconds,
            file_bytes=1 << 30,
        )
        if done.why:
            raise NoCharts(_reason(done, seconds))
        with np.load(target) as found:
            uvs, corners = found["uvs"], found["faces"]
    if corners.shape != faces.shape or not np.isfinite(uvs).all():
        raise NoCharts("it gave UVs of other faces")
    return uvs, corners


def _reason(done: LimitedResult, seconds: float) -> str:
    if done.rc == MISSING:
        return NO_XATLAS
    if done.why in ("wall", "cpu"):
        return f"xatlas took more than {seconds:.0f} s and was stopped"
    return f"xatlas failed (code {done.rc})"


def _flat(
    uvs: NDArray[np.float64], corners: NDArray[np.int64], surface: Surface
) -> tuple[Flat, NDArray[np.bool_]]:
    """Charts at the surface's scale, and the faces that must leave theirs."""
    chart = _charts(corners, len(uvs))
    double = _double_areas(uvs[corners])
    # Most faces of most charts look as from outside; what xatlas mirrors as a whole is turned back.
    sums = np.bincount(chart, double)
    sign = np.where(sums < 0, -1.0, 1.0)
    areas = np.bincount(chart, surface.areas)
    scale = np.sqrt(2 * areas / np.maximum(np.abs(sums), 1e-300))
    usual = float(np.median(scale[np.abs(sums) > 0])) if np.abs(sums).any() else 1.0
    scale = np.clip(scale, usual / _DENSEST, usual * _DENSEST)
    odd = (double * sign[chart] <= 0) | (sums[chart] == 0)
    chart = recount(np.where(odd, len(sums) + np.arange(len(chart)), chart))
    old = np.zeros(int(chart.max()) + 1, np.int64)
    old[chart] = _charts(corners, len(uvs))
    unique, index = np.unique(chart[:, None] * len(uvs) + corners, return_inverse=True)
    owner, place = unique // len(uvs), unique % len(uvs)
    points = uvs[place] * scale[old[owner]][:, None]
    points[:, 0] *= sign[old[owner]]
    flat = Flat(chart, points, index.reshape(-1, 3), owner, np.zeros(len(chart)))
    return turned(flat), odd


def _charts(corners: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Faces that share a corner are one chart."""
    sides = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]]])
    return recount(pieces(count, sides)[1][corners[:, 0]])


def _double_areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas: NDArray[np.float64] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    return areas
