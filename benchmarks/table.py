# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rewrite the README's table of measured numbers from ``benchmarks/results``; prints it too.

python benchmarks/table.py
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
ORDER = ("sample", "spot", "dino_ring", "lego_400", "gold_cape")
START, END = "<!-- numbers -->", "<!-- /numbers -->"

# name, unit, factor, digits
LABELS: dict[str, tuple[str, str, float, int]] = {
    "seconds": ("time", " s", 1, 0),
    "seconds_to_mesh": ("time to the mesh", " s", 1, 1),
    "seconds_with_evaluate": ("time with evaluation", " s", 1, 0),
    "peak_rss_mb": ("memory", " GB", 1e-3, 1),
    "psnr_white": ("PSNR", " dB", 1, 1),
    "psnr_inside": ("PSNR in the mask", " dB", 1, 1),
    "relit_psnr_white": ("relit PSNR", " dB", 1, 1),
    "albedo_psnr": ("base colour PSNR", " dB", 1, 1),
    "mask_iou": ("mask IoU", "", 1, 3),
    "chamfer": ("Chamfer", " %", 100, 2),
    "f_score_one_percent": ("F(1 %)", "", 1, 3),
    "watertight": ("watertight", "", 1, 0),
    "components": ("components", "", 1, 0),
}
_IN_COLUMNS = ("seconds", "peak_rss_mb")
_SIGNS = {"<=": "≤", ">=": "≥", "=": "="}


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The table as Markdown, with a line for each machine and commit.

    Args:
        results: By row; rows that were not measured say so.
    """
    lines = [
        "| capture | wall time | memory | measured | target |",
        "| --- | --- | --- | --- | --- |",
        *(_row(name, results.get(name)) for name in ORDER),
    ]
    sources = sorted({_source(result) for result in results.values()})
    return "\n".join([*lines, "", *sources])


def shown(key: str, value: float | None) -> str:
    """A number with its unit, as people read it."""
    if value is None:
        return "not measured"
    if key == "watertight":
        return "yes" if value else "no"
    _, unit, factor, digits = LABELS[key]
    return f"{value * factor:.{digits}f}{unit}"


def _row(name: str, result: Mapping[str, Any] | None) -> str:
    if result is None:
        return f"| `{name}` | not measured yet | | | |"
    targets = result["targets"]
    measured = [
        f"{LABELS[key][0]} {_marked(key, target)}"
        for key, target in targets.items()
        if key not in _IN_COLUMNS
    ]
    time, memory = (
        _marked(key, targets.get(key, {"value": result[key], "met": True})) for key in _IN_COLUMNS
    )
    wanted = [f"{LABELS[key][0]} {_limit(key, target['limit'])}" for key, target in targets.items()]
    label = f"`{name}`, first run" if result.get("cold_kernels") else f"`{name}`"
    cells = (label, time, memory, ", ".join(measured), ", ".join(wanted))
    return f"| {' | '.join(cells)} |"


def _marked(key: str, target: Mapping[str, Any]) -> str:
    text = shown(key, target["value"])
    return text if target["met"] else f"**{text}, missed**"


def _limit(key: str, limit: str) -> str:
    rule, number = limit.split()
    if rule == "=":
        return shown(key, float(number))
    return f"{_SIGNS[rule]} {shown(key, float(number))}"


def _source(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['gpu'] or 'no GPU'}"
    return f"Commit {result['commit']}, {result['date']}: {where}, {machine['os']}."


def load_results() -> dict[str, dict[str, Any]]:
    """Every stored row that belongs into the table."""
    paths = {name: RESULTS / f"{name}.json" for name in ORDER}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.is_file()
    }


def with_table(page: str, text: str) -> str:
    """The page with ``text`` between its marks.

    Raises:
        SystemExit: The page has no marks.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise SystemExit(f"README.md has no {START} ... {END}; put both lines back.")
    return f"{before}{START}\n{text}\n{END}{after}"


def main() -> None:
    """Print the table and put it into the README."""
    readme = ROOT / "README.md"
    text = table(load_results())
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), text), encoding="utf-8")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
