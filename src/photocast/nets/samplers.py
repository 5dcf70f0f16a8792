# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From noise to a sample: Euler steps along a rectified flow, with guidance.

Time runs from 1 (noise) to 0. x_t = (1 - t) x_0 + (s + (1 - s) t) eps with a small s, and a network
predicts the velocity. Times are float64: whether a step is guided hangs on exact comparisons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from photocast.errors import ConfigError
from photocast.progress import Progress, silent

__all__ = [
    "Correction",
    "FlowState",
    "Guidance",
    "GuidanceStyle",
    "SamplerConfig",
    "Trajectory",
    "guided_velocity",
    "sample",
    "times",
]

Velocity = Callable[[Tensor, Float[Tensor, "1"], bool], Tensor]
"""velocity(x, 1000 t, conditional); False asks for the unconditional pass."""


class GuidanceStyle(str, Enum):
    """What a strength w means. The same w is stronger by one in the first."""

    added = "added"
    """(1 + w) conditional - w unconditional: TRELLIS and the first release of ReconViaGen."""
    mixed = "mixed"
    """w conditional + (1 - w) unconditional: the official repository."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guidance:
    """How much further than the condition alone to go."""

    style: GuidanceStyle
    """Which of the two conventions ``strength`` follows."""
    strength: float
    """w; see the style."""
    interval: tuple[float, float] = (0.5, 1.0)
    """Times, ends included, at which steps are guided; others take one conditional pass."""
    rescale: float = 0.0
    """Share in which the clean estimate's spread is brought back to the conditional one's."""

    def __post_init__(self) -> None:
        if not 0 <= self.interval[0] <= self.interval[1] <= 1:
            raise ConfigError(f"guidance.interval = {self.interval}: must rise within 0 to 1.")
        if not 0 <= self.rescale <= 1:
            raise ConfigError(f"guidance.rescale = {self.rescale}: must be from 0 to 1.")

    @property
    def conditional_weight(self) -> float:
        """Weight of the conditional velocity; the other has one minus it."""
        return self.strength + (1 if self.style is GuidanceStyle.added else 0)

    def covers(self, t: float) -> bool:
        """Whether the step at ``t`` is guided."""
        return self.interval[0] <= t <= self.interval[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplerConfig:
    """How a sample is drawn."""

    steps: int = 25
    """Euler steps."""
    rescale_t: float = 3.0
    """Above 1, more steps near the noise."""
    sigma_min: float = 1e-5
    """Noise that remains at time 0."""
    guidance: Guidance | None = None
    """None: one conditional pass per step."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"sampler.steps = {self.steps}: must be at least 1.")
        if self.rescale_t <= 0:
            raise ConfigError(f"sampler.rescale_t = {self.rescale_t}: must be positive.")


class Trajectory(NamedTuple):
    """What came of sampling."""

    sample: Tensor
    states: list[Tensor]
    """State after each step, if asked for."""
    clean: list[Tensor]
    """Estimate of the clean sample before each step, if asked for."""


@dataclass(frozen=True, slots=True)
class FlowState:
    """Conversions at one time."""

    t: float
    sigma_min: float = 1e-5

    @property
    def _spread(self) -> float:
        return self.sigma_min + (1 - self.sigma_min) * self.t

    def clean(self, x: Tensor, v: Tensor) -> Tensor:
        """x_0 from state and velocity."""
        return (1 - self.sigma_min) * x - self._spread * v

    def noise(self, x: Tensor, v: Tensor) -> Tensor:
        """eps from state and velocity."""
        return (1 - self.t) * v + x

    def velocity(self, x: Tensor, clean: Tensor, *, exact: bool = True) -> Tensor:
        """v from state and x_0; not exactly so in the first release, which never used it."""
        if exact:
            return ((1 - self.sigma_min) * x - clean) / self._spread
        return (x - (1 - self.sigma_min) * clean) / self._spread

    def mix(self, clean: Tensor, noise: Tensor) -> Tensor:
        """State from x_0 and eps."""
        return (1 - self.t) * clean + self._spread * noise

    def clean_from_noise(self, x: Tensor, noise: Tensor) -> Tensor:
        """x_0 from state and eps."""
        return (x - self._spread * noise) / (1 - self.t)

    def noise_from_clean(self, x: Tensor, clean: Tensor) -> Tensor:
        """eps from state and x_0."""
        return (x - (1 - self.t) * clean) / self._spread


Correction = Callable[[Tensor, Tensor, FlowState], Tensor]
"""correct(x, v, state) gives another v."""


def times(steps: int, rescale_t: float) -> NDArray[np.float64]:
    """The steps + 1 times from 1 to 0."""
    even = np.linspace(1, 0, steps + 1)
    return rescale_t * even / (1 + (rescale_t - 1) * even)


def guided_velocity(velocity: Velocity, x: Tensor, t: float, config: SamplerConfig) -> Tensor:
    """Velocity at one state, guided if the time lies in the interval."""
    scaled = torch.tensor([1000 * t], dtype=torch.float32, device=x.device)
    guidance = config.guidance
    if guidance is None or not guidance.covers(t) or guidance.conditional_weight == 1:
        return velocity(x, scaled, True)
    weight = guidance.conditional_weight
    if weight == 0:
        return velocity(x, scaled, False)
    conditional, plain = velocity(x, scaled, True), velocity(x, scaled, False)
    v = weight * conditional + (1 - weight) * plain
    if guidance.rescale == 0:
        return v
    state = FlowState(t, config.sigma_min)
    clean = state.clean(x, v)
    ratio = state.clean(x, conditional).std() / clean.std()
    return state.velocity(x, clean * (guidance.rescale * ratio + 1 - guidance.rescale))


def sample(
    velocity: Velocity,
    noise: Tensor,
    config: SamplerConfig,
    *,
    keep: bool = False,
    progress: Progress = silent,
    stage: str = "sample",
    correct: Correction | None = None,
) -> Trajectory:
    """Walk from noise to a sample.

    Args:
        velocity: The network with its condition.
        noise: Standard normal start; any shape, one sample.
        config: Steps and guidance.
        keep: Also return what lies on the way.
        progress: Told after each step.
        stage: Name under which progress is told.
        correct: Changes the guided velocity of a state before it is followed.
    """
    schedule = times(config.steps, config.rescale_t)
    x, states, cleans = noise, [], []
    for step, (t, after) in enumerate(pairwise(schedule)):
        v = guided_velocity(velocity, x, float(t), config)
        state = FlowState(float(t), config.sigma_min)
        if correct is not None:
            v = correct(x, v, state)
        if keep:
            cleans.append(state.clean(x, v))
        x = x - float(t - after) * v
        if keep:
            states.append(x)
        progress(stage, step + 1, config.steps)
    return Trajectory(x, states, cleans)
