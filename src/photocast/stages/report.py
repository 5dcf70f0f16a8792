# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``report.json`` and ``run.json``: what was made and how, for machines."""

import json
import math
from typing import Any

import numpy as np

from photocast.data import Report

__all__ = ["REPORT_VERSION", "report_json", "run_json"]

REPORT_VERSION = 1
"""Raised when a field changes its meaning or goes away; new fields do not raise it."""


def report_json(report: Report) -> bytes:
    """Encode the checks and warnings.

    ``passed`` of a check is ``null`` if it is informative or could not be measured.
    """
    checks = [
        {
            "name": check.name,
            "value": check.value,
            "unit": check.unit,
            "limit": check.limit,
            "passed": check.passed,
            "note": check.note,
        }
        for check in report.checks
    ]
    return _encoded(
        {
            "format": "photocast-report",
            "version": REPORT_VERSION,
            "passed": report.passed,
            "checks": checks,
            "warnings": list(report.warnings),
        }
    )


def run_json(report: Report) -> bytes:
    """Encode the facts of the run."""
    return _encoded({"format": "photocast-run", "version": REPORT_VERSION, **report.run})


def _encoded(document: dict[str, Any]) -> bytes:
    return (json.dumps(_plain(document), indent=2, allow_nan=False) + "\n").encode()


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
