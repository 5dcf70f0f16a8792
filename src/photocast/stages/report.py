# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``report.json`` and ``run.json``: what was made and how, for machines.

The layout is that of ``docs/report.schema.json``; see ``report_schema``.
"""

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np

from photocast.data import Camera, Check, Issue, Report
from photocast.stages.definitions import definition_of

__all__ = ["DEFINITIONS_PAGE", "REPORT_VERSION", "report_document", "report_json", "run_json"]

REPORT_VERSION = 2
"""Raised when a field changes its meaning or goes away; new fields do not raise it."""
RUN_VERSION = 1
DEFINITIONS_PAGE = "docs/mesh-report.md"
"""Where every check is defined; the name of the check is the anchor."""

_RUN_KEYS = ("versions", "machine", "seconds", "peak_memory_bytes", "seconds_total")
_NO_PHOTOS = "no photos were compared with this mesh"
_NO_RUN = "nothing is known of the run that made this file"


def report_json(report: Report) -> bytes:
    """Encode the checks, what they found, and the warnings.

    ``passed`` of a check is ``null`` if it is informative or could not be measured; ``value`` is
    ``null`` if it could not be measured, and ``note`` then says why.
    """
    return _encoded(report_document(report))


def report_document(report: Report) -> dict[str, Any]:
    """The contents of ``report.json`` as plain values."""
    views = report.run.get("views") or None
    run = {key: report.run[key] for key in _RUN_KEYS if key in report.run}
    document = {
        "format": "photocast-report",
        "version": REPORT_VERSION,
        "profile": report.profile or None,
        "verdict": report.verdict,
        "passed": report.passed,
        "decided_by": list(report.decided_by),
        "score": report.score,
        "checks": [_check(check) for check in report.checks],
        "issues": [_issue(issue) for issue in report.issues],
        "histograms": [asdict(found) for found in report.histograms],
        "photos": views,
        "photos_note": "" if views else _NO_PHOTOS,
        "opinions": [asdict(opinion) for opinion in report.opinions],
        "reference_from_mesh": report.reference_from_mesh,
        "run": run or None,
        "run_note": "" if run else _NO_RUN,
        "warnings": list(report.warnings),
    }
    plain: dict[str, Any] = _plain(document)
    return plain


def run_json(report: Report) -> bytes:
    """Encode the facts of the run."""
    return _encoded(_plain({"format": "photocast-run", "version": RUN_VERSION, **report.run}))


def _check(check: Check) -> dict[str, Any]:
    definition = definition_of(check.name)
    number = isinstance(check.value, (int, float)) and not isinstance(check.value, bool)
    unit = check.unit or (definition.unit if definition else "1" if number else "")
    value = _plain(check.value)
    return {
        "name": check.name,
        "value": value,
        "unit": unit,
        "limit": check.limit,
        "passed": check.passed,
        "verdict": check.verdict,
        "note": check.note or ("it could not be measured" if value is None else ""),
        "definition": f"{DEFINITIONS_PAGE}#{_anchor(check.name)}" if definition else None,
    }


def _anchor(name: str) -> str:
    # All files of a result folder share one definition.
    known = definition_of(name)
    return "file." if known is not None and known is definition_of("file.*") else name


def _issue(issue: Issue) -> dict[str, Any]:
    return {
        "check": issue.check,
        "verdict": issue.verdict,
        "text": issue.text,
        "face_count": issue.face_count,
        "faces": list(issue.faces),
        "camera": None if issue.camera is None else _camera(issue.camera),
    }


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "width": camera.width,
        "height": camera.height,
        "fx": camera.fx,
        "fy": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "camera_from_world": camera.camera_from_world,
    }


def _encoded(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    # JSON has no NaN, no infinity and no NumPy: a number that is not one becomes null.
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
