# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The one way in to Open3D: absent, it is no error; present, it says nothing of its own."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any

__all__ = ["NO_OPEN3D", "open3d", "silenced"]

NO_OPEN3D = "Open3D is not installed: pip install 'photocast[open3d]'"
"""Why what needs it is not run."""


def open3d() -> Any | None:
    """The package, or ``None`` if it is not installed or a library that it needs is missing."""
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module("open3d")
    except (ImportError, OSError):
        return None


@contextmanager
def silenced(tool: Any) -> Iterator[None]:
    """Keep its remarks from standard output, where a report may go."""
    level = tool.utility.VerbosityLevel.Error
    with redirect_stdout(StringIO()), tool.utility.VerbosityContextManager(level):
        yield
