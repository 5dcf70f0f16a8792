# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Write the definitions in ``docs/mesh-report.md``, and ``docs/report.schema.json``, from the code.

    python docs/make_mesh_report.py

Both are committed; tests compare.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from photocast.stages.definitions import DEFINITIONS, GROUPS
from photocast.stages.report_schema import report_schema

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "mesh-report.md"
SCHEMA = ROOT / "docs" / "report.schema.json"
START, END = "<!-- definitions -->\n", "<!-- /definitions -->\n"


def page() -> str:
    """The page with the present definitions."""
    before, start, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    assert start, f"{PAGE.name} has no line {START.strip()}"
    assert end, f"{PAGE.name} has no line {END.strip()}"
    return before + start + "\n".join(_definitions()) + "\n" + end + after


def schema() -> str:
    """The schema as a file."""
    return json.dumps(report_schema(), indent=2) + "\n"


def anchor(name: str) -> str:
    """What a definition link ends in."""
    return name.removesuffix("*")


def _definitions() -> Iterator[str]:
    for group, title in GROUPS.items():
        yield f"\n### {title}\n"
        yield "| check | unit | what it is |\n| --- | --- | --- |"
        for name, definition in DEFINITIONS.items():
            if name.startswith(f"{group}."):
                unit = definition.unit or "–"
                mark = f'<a id="{anchor(name)}"></a>`{name}`'
                yield f"| {mark} | {unit} | **{definition.title}.** {definition.meaning} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
