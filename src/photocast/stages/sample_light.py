# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Built-in lights for the sample capture, as environment maps.

Latitude-longitude, linear radiance. World +Z up: row 0 looks along +Z; column 0 starts at +X and
columns run towards +Y. Each light is a vertical gradient plus a few soft lamps, exposed so
that a diffuse surface of reflectance 0.8 turned to the brightest side has radiance 1.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photocast.config import SampleLight

__all__ = ["ROWS", "light_directions", "sample_light"]

ROWS = 64
_BRIGHTEST = 1.25  # so that a diffuse surface of reflectance 0.8 just reaches white

Color = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Lamp:
    """A soft round light: ``color * exp(sharpness * (cos angle - 1))``."""

    toward: tuple[float, float, float]
    sharpness: float
    color: Color


@dataclass(frozen=True, slots=True)
class _Design:
    zenith: Color
    horizon: Color
    nadir: Color
    lamps: tuple[_Lamp, ...]


_DESIGNS: dict[SampleLight, _Design] = {
    # Key light front left, cool fill front right, rim light behind, bright floor.
    "studio": _Design(
        zenith=(0.55, 0.56, 0.60),
        horizon=(0.42, 0.43, 0.45),
        nadir=(0.40, 0.38, 0.36),
        lamps=(
            _Lamp((-0.8, -1.2, 1.0), 8.0, (3.4, 3.15, 2.8)),
            _Lamp((1.4, -0.6, 0.3), 5.0, (0.55, 0.70, 0.95)),
            _Lamp((0.5, 1.3, 0.7), 10.0, (2.0, 2.0, 2.1)),
        ),
    ),
    # A hazy noon: a wide sun in a blue dome over warm ground.
    "sky": _Design(
        zenith=(0.35, 0.60, 1.05),
        horizon=(0.80, 0.88, 1.00),
        nadir=(0.36, 0.32, 0.26),
        lamps=(_Lamp((0.7, -0.9, 1.3), 40.0, (12.0, 11.0, 9.4)),),
    ),
    # A low orange sun, violet above, and its glow along the horizon.
    "sunset": _Design(
        zenith=(0.26, 0.28, 0.52),
        horizon=(0.85, 0.56, 0.50),
        nadir=(0.28, 0.22, 0.22),
        lamps=(
            _Lamp((-1.2, -0.8, 0.35), 25.0, (9.0, 5.0, 2.4)),
            _Lamp((1.0, 1.0, 0.5), 3.0, (0.20, 0.26, 0.50)),
        ),
    ),
}


def light_directions(rows: int = ROWS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit direction (h, w, 3) and solid angle (h, w) [sr] of each texel of a map of ``2 rows``."""
    polar = (np.arange(rows) + 0.5) / rows * math.pi
    turn = (np.arange(2 * rows) + 0.5) / rows * math.pi
    radial = np.sin(polar)[:, None]
    up = np.broadcast_to(np.cos(polar)[:, None], (rows, 2 * rows))
    directions = np.stack([radial * np.cos(turn), radial * np.sin(turn), up], axis=-1)
    edges = np.cos(np.arange(rows + 1) / rows * math.pi)
    solid = np.repeat((edges[:-1] - edges[1:])[:, None] * (math.pi / rows), 2 * rows, axis=1)
    return directions, solid


def sample_light(name: SampleLight) -> NDArray[np.float32]:
    """Draw a built-in light as an environment map, (h, 2 h, 3)."""
    design = _DESIGNS[name]
    directions, solid = light_directions()
    up = directions[..., 2:]
    away = np.where(up > 0, np.array(design.zenith), np.array(design.nadir))
    share = np.abs(up) ** 0.7
    radiance = np.array(design.horizon) * (1 - share) + away * share
    for lamp in design.lamps:
        toward = np.array(lamp.toward) / np.linalg.norm(lamp.toward)
        glow = np.exp(lamp.sharpness * (directions @ toward - 1))
        radiance = radiance + glow[..., None] * np.array(lamp.color)
    # Radiance of a perfectly white diffuse surface, for each direction a surface may face.
    flat = directions.reshape(-1, 3)
    facing = flat[:: len(flat) // 500]
    weight = np.maximum(facing @ flat.T, 0) * solid.ravel() / math.pi
    brightest = (weight @ radiance.mean(axis=-1).ravel()).max()
    scaled: NDArray[np.float32] = (radiance * (_BRIGHTEST / brightest)).astype(np.float32)
    return scaled
