# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether weights still make what they made: the same photos, seed and settings, and a comparison.

What somebody once looked at and found good is written down as numbers beside the weights. A later
run on another version, driver or card must come near them. Devices draw other random numbers, and
precisions round otherwise, so there are expectations for each pair of them.
"""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import torch

from photocast.config import GenerateConfig, SampleConfig
from photocast.data import Picture
from photocast.engines.generate import Generate
from photocast.engines.generate.engine import Generated
from photocast.errors import WeightsError
from photocast.formats.meshes import save_mesh
from photocast.nets.gaussian_decoder import Gaussians
from photocast.progress import Progress
from photocast.stages.pictures import decode_pictures, find_pictures
from photocast.stages.sample import make_sample

__all__ = ["EXPECTED", "Measures", "compare", "read_expected", "try_weights", "write_expected"]

EXPECTED = "expected.json"
Measures = dict[str, float]
"""Numbers by name; lengths in the cube of side 1 that holds the object, colours from 0 to 1."""
_PHOTOS, _SIZE, _RAYS = 4, 256, 8
_COUNTS = ("voxels", "gaussians", "faces_decoded")
_SH = 0.5 / math.sqrt(math.pi)  # the constant spherical harmonic, in which colours are stored
_COUNT_SHARE, _DISTANCE = 0.03, 0.015
"""How far a count may be off, as a share of it, and how far anything else."""


def try_weights(
    weights: Path,
    device: torch.device,
    progress: Progress,
    *,
    mesh: Path | None = None,
    low_memory: bool = False,
) -> tuple[str, Measures]:
    """Generate from four photos of the built-in sample object.

    Args:
        weights: Folder of weights.
        device: Where to compute.
        progress: Told about every stage.
        mesh: File for the result, to look at; none is written by default.
        low_memory: As in :class:`~photocast.config.GenerateConfig`.

    Returns:
        Device and precision, such as ``cuda bfloat16``, and what was made in numbers.

    Raises:
        WeightsError: Weights are missing or do not fit.
        PhotocastError: Nothing came out.
    """
    config = GenerateConfig(
        weights=str(weights), device=str(device), texture=512, low_memory=low_memory
    )
    made = Generate().run(_known_photos(device, progress), config, progress)
    if mesh is not None:
        save_mesh(mesh, made.scene.mesh)
    return f"{device.type} {made.scene.facts['precision']}", _measures(made)


def read_expected(path: Path) -> dict[str, Measures]:
    """Expectations by device and precision; none where there is no file.

    Raises:
        WeightsError: The file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        found: dict[str, Measures] = json.loads(path.read_text(encoding="utf-8"))["measures"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} is damaged: {error}. Write it again: photocast weights verify --record",
            code="weights.damaged",
        ) from error
    return found


def write_expected(path: Path, where: str, measured: Measures) -> None:
    """Expect this from now on; what is expected of other devices stays."""
    known = {**read_expected(path), where: measured}
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps({"measures": known}, indent=2) + "\n", encoding="utf-8")
    new.replace(path)


def compare(expected: Measures, measured: Measures) -> list[str]:
    """A sentence for each number that is further off than rounding explains."""
    return [
        f"{name} is {measured.get(name, float('nan')):.6g}, expected {value:.6g}"
        for name, value in expected.items()
        if not abs(measured.get(name, float("nan")) - value) <= _allowed(name, value)
    ]


def _allowed(name: str, value: float) -> float:
    return _COUNT_SHARE * abs(value) if name in _COUNTS else _DISTANCE


def _known_photos(device: torch.device, progress: Progress) -> tuple[Picture, ...]:
    config = SampleConfig(view_count=_PHOTOS, test_view_count=0, size=_SIZE, sample_count=_RAYS)
    with tempfile.TemporaryDirectory() as folder:
        make_sample(Path(folder), config, device=device, progress=progress)
        return decode_pictures(find_pictures(Path(folder)), progress)


def _measures(made: Generated) -> Measures:
    mesh, facts = made.scene.mesh, made.scene.facts
    assert mesh.material is not None
    assert mesh.material.base_color is not None
    low, high = mesh.bounds
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    colours = mesh.material.base_color.reshape(-1, 3).mean(axis=0)
    found = {name: float(facts[name]) for name in _COUNTS}
    found["area"] = 0.5 * float(np.linalg.norm(cross, axis=1).sum())
    for axis, name in enumerate("xyz"):
        found[f"lowest_{name}"], found[f"highest_{name}"] = float(low[axis]), float(high[axis])
    found |= {name: float(colours[i]) for i, name in enumerate(("red", "green", "blue"))}
    found |= _gaussian_measures(made.gaussians)
    return {name: round(value, 6) for name, value in found.items()}


def _gaussian_measures(gaussians: Gaussians) -> Measures:
    """Where they are, and the mean brightness of each eighth of the cube, which tells of a turn."""
    places = gaussians.xyz.float()
    brightness = (0.5 + _SH * gaussians.features_dc.float()).reshape(len(places), 3).mean(1)
    eighth = (places > 0).long() @ places.new_tensor([1, 2, 4]).long()
    sums = torch.zeros(8, device=places.device).index_add_(0, eighth, brightness)
    counts = torch.bincount(eighth, minlength=8).clamp(min=1)
    means = (sums / counts).tolist()
    found = {f"brightness_{number}": means[number] for number in range(8)}
    centre = places.mean(0).tolist()
    return found | {f"gaussians_{axis}": centre[i] for i, axis in enumerate("xyz")}
