# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract of an engine, and the table of those that come with Photocast."""

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol

from photocast.data import Capture, Photo, Scene
from photocast.errors import ConfigError
from photocast.progress import Progress

__all__ = ["BUILT_IN", "WITHOUT_CAMERAS", "Engine", "engine_names", "load_engine"]

# Strings, so that listing the engines imports none of them.
BUILT_IN = {"optimize": "photocast.engines.optimize:Optimize"}
WITHOUT_CAMERAS = ("generate",)
"""Engines that take pictures instead of posed photos; see :mod:`photocast.unposed`."""


class Engine(Protocol):
    """Turns photographs into a Scene."""

    needs_cameras: ClassVar[bool]
    """True: the pipeline must have a camera for every view."""
    config_type: ClassVar[type]

    def check(self, capture: Capture) -> None:
        """Raise ``UnsuitableInput``, with what would help, before any heavy work."""

    def run(
        self,
        photos: Sequence[Photo],
        capture: Capture,
        config: Any,
        cache: Path,
        progress: Progress,
    ) -> Scene:
        """Reconstruct.

        Args:
            photos: Decoded training views; held-out photos never reach an engine.
            capture: Where the photos came from: up direction, box, unit.
            config: An instance of ``config_type``.
            cache: Folder for finished stages; a second run with the same inputs resumes from it.
            progress: Called at safe points; may raise ``Cancelled``.
        """


def engine_names() -> tuple[str, ...]:
    """Names of all engines, built in and installed."""
    others = {point.name for point in entry_points(group="photocast.engines")}
    return tuple(sorted({*BUILT_IN, *others}))


def load_engine(name: str) -> Engine:
    """Import and construct one engine by name.

    Raises:
        ConfigError: No engine has that name.
    """
    if name in BUILT_IN:
        module, attribute = BUILT_IN[name].split(":")
        engine: Engine = getattr(import_module(module), attribute)()
        return engine
    for point in entry_points(group="photocast.engines", name=name):
        found: Engine = point.load()()
        return found
    raise ConfigError(
        f"No engine is called {name!r}; there are: "
        f"{', '.join((*engine_names(), *WITHOUT_CAMERAS))}.",
        code="engine.unknown",
    )
