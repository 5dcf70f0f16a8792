# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A job's options as a run of the pipeline. Only this module and its kin import the engines."""

import json
from pathlib import Path
from typing import Any

from photocast.config import ReconstructConfig
from photocast.progress import Progress

__all__ = ["run_real"]

_ABSENT = {"fake", "max_size_halved"}
_TUPLES = ("formats",)


def run_real(
    options: dict[str, Any], capture: Path, out: Path, progress: Progress
) -> dict[str, Any]:
    """Reconstruct.

    Args:
        options: Fields of ``ReconstructConfig``.
        capture: The job's files.
        out: Result folder; finished stages of an earlier attempt are taken from it.
        progress: Told of every stage.

    Returns:
        ``verdict`` and ``warnings``.
    """
    from photocast import pipeline

    fields = {name: value for name, value in options.items() if name not in _ABSENT}
    for name in _TUPLES:
        if name in fields:
            fields[name] = tuple(fields[name])
    result = pipeline.reconstruct(capture, out, ReconstructConfig(**fields), progress)
    verdict = json.loads((out / "report.json").read_text(encoding="utf-8"))["verdict"]
    return {"verdict": verdict, "warnings": list(result.report.warnings)}
