# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every setting, one frozen dataclass per stage.

The sentence under a field is its help. Changes use ``dataclasses.replace``; every seed is a field.
"""

from dataclasses import dataclass

from photocast.errors import ConfigError

__all__ = ["UnwrapConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnwrapConfig:
    """How a surface is cut and laid flat for a texture."""

    size: int = 1024
    """Side of the square texture the gaps are meant for [px]."""
    padding: int = 4
    """Least gap between two charts [px]."""
    min_chart: int = 12
    """Charts smaller than a square of this side join a neighbour where possible [px]."""

    def __post_init__(self) -> None:
        limits = {"size": (16, 16384), "padding": (0, 64), "min_chart": (0, 1024)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"unwrap.{name} = {value}: must be {low} to {high}.")
        if 4 * self.padding > self.size:
            raise ConfigError(
                f"unwrap.padding = {self.padding}: must be at most a quarter of the size "
                f"({self.size} px)."
            )
