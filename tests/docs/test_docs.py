# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The pages name everything there is, and nothing that is not there."""

import ast
import importlib.util
import json
import re
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest
import typer

from photocast import errors
from photocast.cli.app import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = sorted((ROOT / "src").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def all_commands(group, prefix: str = "") -> dict[str, object]:
    """Commands by name; those of a group as well, with its name before theirs."""
    found: dict[str, object] = {}
    for name, command in group.commands.items():
        found[prefix + name] = command
        if hasattr(command, "commands"):
            found |= all_commands(command, f"{prefix}{name} ")
    return found


def all_callbacks(typer_app) -> list[tuple[str, object]]:
    """The functions behind the commands, by the name of the command."""
    own = [(entry.callback.__name__, entry.callback) for entry in typer_app.registered_commands]
    for group in typer_app.registered_groups:
        inner = all_callbacks(group.typer_instance)
        own += [(f"{group.name} {name}", callback) for name, callback in inner]
    return own


COMMANDS = all_commands(typer.main.get_command(app))


def script(path: Path) -> ModuleType:
    """Import a script that is in no package."""
    name = f"photocast_script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(page: str, title: str) -> str:
    """The text between a second-level heading and the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert found, f"docs/commands.md has no section '## {title}'"
    return found[1]


def documented_names(text: str) -> set[str]:
    """What stands in code marks in the first column of the tables."""
    firsts = re.findall(r"^\| (`[^|]*`) \|", text, re.M)
    return {name for cell in firsts for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_section_lists_exactly_its_arguments_and_options(name):
    text = section((DOCS / "commands.md").read_text(encoding="utf-8"), f"photocast {name}")
    wanted: set[str] = set()
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            wanted.add((parameter.metavar or parameter.name).strip("{}").upper())
        else:
            wanted |= {*parameter.opts, *parameter.secondary_opts}
    assert documented_names(text) == wanted - {"--help"}


CHOICES = [
    (name, hint)
    for name, callback in all_callbacks(app)
    for hint in get_type_hints(callback).values()
    if isinstance(hint, type) and issubclass(hint, Enum)
]


@pytest.mark.parametrize(("name", "choices"), CHOICES)
def test_a_commands_section_lists_every_choice(name, choices):
    text = section((DOCS / "commands.md").read_text(encoding="utf-8"), f"photocast {name}")
    assert [choice.value for choice in choices if f"`{choice.value}`" not in text] == []


def test_every_command_is_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in COMMANDS if f"`photocast {name} " not in readme} == set()


def test_every_make_target_is_in_the_reference():
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert "demo" in targets, "the pattern above no longer fits the Makefile"
    assert [target for target in targets if f"| `make {target}` |" not in page] == []


def used_codes() -> set[str]:
    """Every literal code in the source: arguments, defaults, what jobs end with, refusals."""
    codes: set[str] = set()
    for path in SOURCE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code":
                codes |= _texts(node.value)
            elif isinstance(node, ast.Call):
                codes |= _texts_of_call(node)
            elif isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                codes |= {t for key, value in pairs if _is(key, "code") for t in _texts(value)}
            elif isinstance(node, ast.arguments):
                for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
                    if argument.arg == "code" and default is not None:
                        codes |= _texts(default)
    return codes


def _is(node: ast.expr | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _texts_of_call(node: ast.Call) -> set[str]:
    """The code in ``ServiceError(status, code, …)``, and in ``error_of(code, …)`` of a job."""
    name, place = ast.unparse(node.func), {"ServiceError": 1, "error_of": 0}
    if name not in place or len(node.args) <= place[name]:
        return set()
    return _texts(node.args[place[name]])


def _texts(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.JoinedStr):
        pattern = "".join(v.value if isinstance(v, ast.Constant) else "*" for v in node.values)
        assert pattern == "capture.*_missing", f"say in this test what {pattern} stands for"
        return {f"capture.{kind}_missing" for kind in ("mask", "depth", "confidence")}
    return set()


def test_the_error_page_lists_exactly_the_codes_in_use():
    listed = re.findall(
        r"^\| `([a-z_.]+)` \|", (DOCS / "errors.md").read_text(encoding="utf-8"), re.M
    )
    assert len(listed) == len(set(listed)), "a code is listed twice"
    assert set(listed) == used_codes()


def test_every_exit_code_is_on_the_error_page():
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    kinds = [getattr(errors, name) for name in errors.__all__]
    codes = {kind.exit_code for kind in kinds}
    assert {code for code in codes if f"\n| {code} |" not in page} == set()


def test_the_settings_page_is_what_its_script_makes():
    made = script(DOCS / "make_settings.py").page()
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == made, (
        "run: python docs/make_settings.py"
    )


def test_the_table_of_presets_is_what_its_script_makes():
    made = script(DOCS / "make_settings.py").commands_page()
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == made, (
        "run: python docs/make_settings.py"
    )
    assert "| `appearance.size` |" in section(made, "Presets")


def test_every_setting_has_a_sentence():
    module = script(DOCS / "make_settings.py")
    bare = [
        f"{name}.{ast.unparse(field.target)}"
        for name, node in module.classes().items()
        for field, sentence in module.fields(node)
        if not sentence and not ast.unparse(field.annotation).endswith("Config")
    ]
    assert bare == []


def test_the_readmes_numbers_are_those_measured():
    module = script(ROOT / "benchmarks" / "table.py")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    made = module.with_table(readme, module.table(module.load_results()))
    assert readme == made, "run: python benchmarks/table.py"


def test_every_row_of_the_table_has_a_command_and_labels_for_its_targets():
    captures, table = (script(ROOT / "benchmarks" / f"{n}.py") for n in ("captures", "table"))
    assert tuple(captures.ROWS) == table.ORDER
    keys = {target.key for row in captures.ROWS.values() for target in row.targets}
    assert keys <= set(table.LABELS)


@pytest.mark.parametrize(
    ("rule", "limit", "value", "met"),
    [
        ("<=", 4.0, 4.0, True),
        ("<=", 4.0, 4.1, False),
        (">=", 28.0, 28.0, True),
        (">=", 28.0, 27.9, False),
        ("=", 1.0, 1, True),
        ("=", 1.0, 2, False),
        (">=", 28.0, None, False),
    ],
)
def test_a_target_is_met_up_to_its_limit_and_missed_without_a_value(rule, limit, value, met):
    target = script(ROOT / "benchmarks" / "captures.py").Target("psnr_white", rule, limit)
    assert target.judge({"psnr_white": value})["met"] is met


def test_a_missed_target_is_marked_in_the_table():
    module = script(ROOT / "benchmarks" / "table.py")
    result = {
        "seconds": 250.0,
        "peak_rss_mb": 1200,
        "commit": "abc",
        "date": "2026-11-24",
        "machine": {"cpu": "a CPU", "cores": 2, "gpu": None, "os": "Linux"},
        "targets": {
            "seconds": {"limit": "<= 240", "value": 250.0, "met": False},
            "psnr_white": {"limit": ">= 30", "value": 33.12, "met": True},
        },
    }
    text = module.table({"spot": json.loads(json.dumps(result))})
    (row,) = [line for line in text.splitlines() if line.startswith("| `spot`")]
    assert row == (
        "| `spot` | **250 s, missed** | 1.2 GB | PSNR 33.1 dB | time ≤ 240 s, PSNR ≥ 30.0 dB |"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [t.partition("#")[0] for t in targets if not re.match(r"[a-z]+:|#", t)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_pictures_in_the_pages_are_small():
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert {name: size for name, size in sizes.items() if size > 1_500_000} == {}


def test_decisions_are_numbered_without_gaps_and_listed():
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert [path.name for path in DECISIONS if f"({path.name})" not in index] == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem[:4])
def test_a_decision_has_its_five_parts_in_order(path):
    text = path.read_text(encoding="utf-8")
    parts = ("Status", "Context", "Decision", "Consequences", "What would change our mind")
    places = [text.find(f"\n**{part}.**") for part in parts]
    assert min(places) > 0, f"parts not found: {places}"
    assert places == sorted(places)


def test_every_dependency_has_its_reason_in_the_decisions():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    users = project.partition("dev = [")[0]
    names = set(re.findall(r'^\s+"([A-Za-z0-9-]+)>=', users, re.M))
    reasons = (DOCS / "decisions" / "0008-dependencies.md").read_text(encoding="utf-8")
    assert "numpy" in names, "the pattern above no longer fits pyproject.toml"
    assert {name for name in names if f"\n| {name} |" not in reasons} == set()


def test_changelog_fragments_are_named_by_issue_and_kind_and_hold_one_line():
    for path in (ROOT / "changelog.d").iterdir():
        assert re.fullmatch(r"\d+\.(added|changed|deprecated|removed|fixed)\.md", path.name)
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1, (
            f"{path.name}: one sentence, one line"
        )
