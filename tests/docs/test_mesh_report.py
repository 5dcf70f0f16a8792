# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The report's page and schema are those of the code, and every definition link leads somewhere."""

import ast
import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import pytest

from photocast.data import Check, Report
from photocast.stages.definitions import DEFINITIONS, GROUPS
from photocast.stages.profiles import PROFILES
from photocast.stages.report import report_document
from photocast.stages.report_schema import report_schema
from photocast.stages.second_opinions import TOOLS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "mesh-report.md").read_text(encoding="utf-8")
ANCHORS = re.findall(r'<a id="([^"]+)"></a>', PAGE)


@pytest.fixture(scope="module")
def maker():
    path = DOCS / "make_mesh_report.py"
    spec = importlib.util.spec_from_file_location("photocast_make_mesh_report", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_definitions_of_the_code(maker):
    assert maker.page() == PAGE, "run: python docs/make_mesh_report.py"


def test_the_schema_is_that_of_the_code(maker):
    kept = (DOCS / "report.schema.json").read_text(encoding="utf-8")
    assert kept == maker.schema(), "run: python docs/make_mesh_report.py"
    jsonschema.Draft202012Validator.check_schema(json.loads(kept))


def test_every_definition_has_an_anchor_of_its_own(maker):
    assert len(ANCHORS) == len(set(ANCHORS))
    assert set(ANCHORS) == {maker.anchor(name) for name in DEFINITIONS}
    assert {name.partition(".")[0] for name in DEFINITIONS} == set(GROUPS)


def test_every_check_that_a_report_may_hold_leads_to_an_anchor():
    names = [name.replace("*", "mesh.glb") for name in DEFINITIONS]
    document = report_document(Report(tuple(Check(name, 1.0) for name in names)))
    links = [check["definition"] for check in document["checks"]]
    assert [link for link in links if link is None] == []
    assert {link.partition("#")[0] for link in links} == {"docs/mesh-report.md"}
    assert {link.partition("#")[2] for link in links} == set(ANCHORS)
    assert [check["name"] for check in document["checks"] if not check["unit"]] == [
        name for name in names if name != "file.mesh.glb" and not DEFINITIONS[name].unit
    ]


def test_no_check_of_a_run_is_without_a_definition():
    files = ("pipeline.py", "unposed.py", "stages/photo_scores.py", "stages/photo_coverage.py")
    texts = [(ROOT / "src/photocast" / file).read_text(encoding="utf-8") for file in files]
    names = {
        node.args[0].value
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Check"
        and isinstance(node.args[0], ast.Constant)
    }
    assert "image.psnr" in names, "the search above no longer fits the sources"
    assert names - set(DEFINITIONS) == set()


def test_every_profile_and_tool_is_on_the_page():
    assert [name for name in PROFILES if f"\n| `{name}` |" not in PAGE] == []
    assert [tool for tool in TOOLS if f"\n| {tool} |" not in PAGE] == []


def test_the_snippet_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) == 1
    exec(compile(blocks[0], "mesh-report.md", "exec"), {"__name__": "snippet"})


def test_the_profile_of_the_page_is_a_good_one(tmp_path):
    from photocast.stages.profiles import load_profile

    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    assert len(load_profile(str(tmp_path / "mine.toml")).rules) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1}, {"verdict": "good"}, {"score": 101}, {"checks": [{"name": "mesh.area"}]},
        {"photos": 3},
    ],
)  # fmt: skip
def test_the_schema_refuses_what_is_no_report(change):
    document = report_document(Report((Check("mesh.area", 1.0),)))
    validator = jsonschema.Draft202012Validator(report_schema())
    validator.validate(document)
    assert not validator.is_valid({**document, **change})


def test_the_schema_asks_for_a_unit_and_for_a_reason():
    document = report_document(Report((Check("mesh.area", 1.0), Check("mesh.volume", None))))
    validator = jsonschema.Draft202012Validator(report_schema())
    validator.validate(document)
    for index, key in ((0, "unit"), (1, "note")):
        broken = json.loads(json.dumps(document))
        broken["checks"][index][key] = ""
        assert not validator.is_valid(broken)
