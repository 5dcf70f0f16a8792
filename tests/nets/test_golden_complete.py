# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""No reference case is left out."""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def taken_by(path, entries):
    """Names of the cases that the golden tests of one file take, as the marks say."""
    module = {}
    exec(compile(ast.parse(path.read_text(encoding="utf-8")), str(path), "exec"), module)
    taken = set()
    for name, function in module.items():
        for mark in getattr(function, "pytestmark", []) if name.startswith("test_") else []:
            if mark.name == "golden":
                array = mark.kwargs.get("with_array")
                taken |= {
                    entry["name"]
                    for entry in entries
                    if entry["upstream"]["object"] in mark.args
                    and (array is None or array in names_of(entry))
                }
    return taken


def names_of(entry):
    return {array["name"] for array in entry["inputs"] + entry["outputs"]}


def test_golden_every_case_is_taken(golden_cases):
    files = [path for path in sorted(HERE.glob("test_golden_*.py")) if path != Path(__file__)]
    taken = set().union(*(taken_by(path, golden_cases) for path in files))
    assert {entry["name"] for entry in golden_cases} - taken == set()


def test_golden_names_are_unique(golden_cases):
    names = [entry["name"] for entry in golden_cases]
    assert len(names) == len(set(names)) > 0


@pytest.mark.golden("trellis.modules.norm.LayerNorm32")
def test_golden_comparison_sees_an_error_of_twice_the_tolerance(case):
    golden, rule = case["out_y"], case.entry["tolerance"]
    off = rule["atol"] + rule["rtol"] * golden.abs()
    case.compare("out_y", golden + 0.9 * off)
    with pytest.raises(AssertionError, match="of the tolerance"):
        case.compare("out_y", golden + 2 * off)


@pytest.mark.golden("trellis.modules.norm.LayerNorm32")
def test_golden_outputs_cannot_be_left_out(case):
    with pytest.raises(AssertionError):
        case.check()
