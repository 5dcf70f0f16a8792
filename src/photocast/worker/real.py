# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A job's options as a run of the pipeline. Only this module and its kin import the engines."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from photocast.config import ReconstructConfig, engine_to_ask
from photocast.progress import Progress

__all__ = ["config_of", "run_real"]


def config_of(options: dict[str, Any], weights: str | None = None) -> ReconstructConfig:
    """The settings of a run among a job's options; the others are for other kinds of jobs.

    Raises:
        ConfigError: A setting is outside its limits.
    """
    known = {field.name for field in dataclasses.fields(ReconstructConfig)}
    chosen = {name: value for name, value in options.items() if name in known}
    if "formats" in chosen:
        chosen["formats"] = tuple(chosen["formats"])
    if "engine" in chosen:
        chosen["engine"] = engine_to_ask(chosen["engine"], weights=weights is not None)
    return ReconstructConfig(**chosen, weights=weights or "")


def run_real(
    options: dict[str, Any],
    capture: Path,
    out: Path,
    progress: Progress,
    *,
    weights: str | None = None,
) -> dict[str, Any]:
    """Reconstruct.

    Args:
        options: The job's.
        capture: The job's files.
        out: Result folder; finished stages of an earlier attempt are taken from it.
        progress: Told of every stage.
        weights: Folder of weights, if this worker has any.

    Returns:
        ``verdict`` and ``warnings``.
    """
    from photocast import pipeline

    result = pipeline.reconstruct(capture, out, config_of(options, weights), progress)
    verdict = json.loads((out / "report.json").read_text(encoding="utf-8"))["verdict"]
    return {"verdict": verdict, "warnings": list(result.report.warnings)}
