# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of ``report.json``, published as ``docs/report.schema.json``.

Source: JSON Schema, draft 2020-12.
"""

from typing import Any

from photocast.stages.report import REPORT_VERSION

__all__ = ["report_schema"]

_VERDICT = {"enum": ["pass", "warn", "fail", None]}
_SCALAR = {"type": ["number", "boolean", "string", "null"]}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = {"type": "number"}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_ROW = {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4}
_MATRIX = {"type": "array", "items": _ROW, "minItems": 4, "maxItems": 4}


def report_schema() -> dict[str, Any]:
    """Make the schema; new fields may come without a new version."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Photocast mesh report",
        "version": REPORT_VERSION,
        **_object(
            format={"const": "photocast-report"},
            version={"const": REPORT_VERSION},
            profile={
                "type": ["string", "null"],
                "description": "Name of the rules that judged; null if nothing did.",
            },
            verdict={**_VERDICT, "description": "The worst of the checks' verdicts."},
            passed={"type": "boolean", "description": "No rule that must hold is broken."},
            decided_by={
                "type": "array",
                "items": _TEXT,
                "description": "Names of the checks that made the verdict; empty if all passed.",
            },
            score={"type": ["number", "null"], "minimum": 0, "maximum": 100},
            checks={"type": "array", "items": _check()},
            issues={"type": "array", "items": _issue()},
            histograms={"type": "array", "items": _histogram()},
            photos={
                "type": ["array", "null"],
                "items": {"type": "object", "additionalProperties": _SCALAR},
                "description": "Scores of each photo; null if unknown, see photos_note.",
            },
            photos_note=_TEXT,
            opinions={"type": "array", "items": _opinion()},
            reference_from_mesh={
                **_MATRIX,
                "type": ["array", "null"],
                "description": "How the mesh was laid onto a reference; null if it was not.",
            },
            run={"type": ["object", "null"]},
            run_note=_TEXT,
            warnings={"type": "array", "items": _TEXT},
        ),
    }


def _check() -> dict[str, Any]:
    check = _object(
        name={"type": "string", "pattern": r"^[a-z_]+(\.[A-Za-z0-9_.-]+)+$"},
        value={**_SCALAR, "description": "null if it could not be measured; note says why."},
        unit={"type": "string", "description": "Empty for a yes or no, or a word; 1 is a number."},
        limit={"type": "string", "description": "The rule; empty if there is none."},
        passed={"type": ["boolean", "null"]},
        verdict=_VERDICT,
        note=_TEXT,
        definition={"type": ["string", "null"], "pattern": r"^docs/mesh-report\.md#."},
    )
    unknown = {"properties": {"value": {"type": "null"}}}
    number = {"properties": {"value": {"type": "number"}}}
    check["allOf"] = [
        {
            "if": unknown,
            "then": {"properties": {"note": {"minLength": 1}, "verdict": {"type": "null"}}},
        },
        {"if": number, "then": {"properties": {"unit": {"minLength": 1}}}},
    ]
    return check


def _issue() -> dict[str, Any]:
    return _object(
        check=_TEXT,
        verdict={"enum": ["warn", "fail"]},
        text=_TEXT,
        face_count={**_COUNT, "description": "All of them; faces may name fewer."},
        faces={"type": "array", "items": _COUNT},
        camera={"anyOf": [{"type": "null"}, _camera()]},
    )


def _camera() -> dict[str, Any]:
    return _object(
        width={"type": "integer", "minimum": 1},
        height={"type": "integer", "minimum": 1},
        fx=_POSITIVE,
        fy=_POSITIVE,
        cx=_NUMBER,
        cy=_NUMBER,
        camera_from_world=_MATRIX,
    )


def _histogram() -> dict[str, Any]:
    return _object(
        name=_TEXT,
        unit={"type": "string", "minLength": 1},
        edges={"type": "array", "items": _NUMBER, "minItems": 2},
        counts={"type": "array", "items": _COUNT, "minItems": 1},
    )


def _opinion() -> dict[str, Any]:
    return _object(
        tool=_TEXT,
        version={"type": ["string", "null"]},
        status={"enum": ["ran", "not run", "not applicable"]},
        reason=_TEXT,
        answers={"type": "object", "additionalProperties": _SCALAR},
        seconds={"type": ["number", "null"]},
    )


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}
