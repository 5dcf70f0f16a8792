# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules are read, held against numbers, and refused with file, key and what is allowed."""

from pathlib import Path

import pytest

from photocast.data import Check, Report
from photocast.errors import ConfigError
from photocast.stages.definitions import DEFINITIONS
from photocast.stages.profiles import PROFILES, judged, load_profile, score

HEAD = 'name = "mine"\n'


def profile(tmp_path: Path, text: str):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return load_profile(str(path))


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_of_ours_is_read_and_says_what_it_is_for(name):
    found = load_profile(name)
    assert found.name == name
    assert found.about
    assert set(found.rules) <= set(DEFINITIONS)


@pytest.mark.parametrize(
    ("limit", "value", "holds"),
    [
        ("= 0", 0, True), ("= 0", 1, False), ("= yes", True, True), ("= yes", False, False),
        ("= no", False, True), ("<= 0.5", 0.5, True), ("<= 0.5", 0.6, False), ("< 1", 1, False),
        ("> 0", 0.0, False), ("> 0", 1e-9, True), (">= -1", -1, True),
    ],
)  # fmt: skip
def test_a_limit_holds_up_to_its_number(tmp_path, limit, value, holds):
    rules = profile(tmp_path, f'[rules."mesh.volume"]\nfail = "{limit}"')
    (check,) = judged([Check("mesh.volume", value)], rules)
    assert (check.passed, check.limit) == (holds, limit)


def test_between_both_limits_there_is_a_warning(tmp_path):
    rules = profile(tmp_path, '[rules."uv.overlap"]\nwarn = "<= 0.1"\nfail = "<= 0.5"')
    found = [judged([Check("uv.overlap", v)], rules)[0] for v in (0.05, 0.2, 0.6)]
    assert [check.verdict for check in found] == ["pass", "warn", "fail"]
    assert [check.limit for check in found] == ["<= 0.1", "<= 0.1", "<= 0.5"]
    assert [check.passed for check in found] == [True, True, False]


def test_what_is_unknown_or_has_no_rule_is_not_judged(tmp_path):
    rules = profile(tmp_path, '[rules."uv.overlap"]\nfail = "<= 0.1"')
    found = judged([Check("uv.overlap", None, note="no UVs"), Check("mesh.area", 1.0)], rules)
    assert [check.verdict for check in found] == [None, None]
    assert score(found, rules) is None
    assert Report(found).verdict is None


def test_the_score_weighs_what_could_be_judged(tmp_path):
    text = "".join(
        f'[rules."{name}"]\n{kind} = "= 0"\nweight = {weight}\n'
        for name, kind, weight in (
            ("mesh.boundary_edges", "fail", 3), ("mesh.degenerate_faces", "warn", 1),
            ("mesh.volume", "fail", 2),
        )
    )  # fmt: skip
    rules = profile(tmp_path, text)

    def scored(**values):
        checks = [Check(f"mesh.{name}", value) for name, value in values.items()]
        return score(judged(checks, rules), rules)

    assert scored(boundary_edges=0, degenerate_faces=0, volume=0) == 100
    assert scored(boundary_edges=0, degenerate_faces=9, volume=0) == round(100 * 5.6 / 6, 1)
    assert scored(boundary_edges=0, degenerate_faces=9, volume=None) == 90  # 3.6 of 4
    assert scored(boundary_edges=0, degenerate_faces=0, volume=1) == 49  # 66.7, but it failed
    assert scored(boundary_edges=1, degenerate_faces=9, volume=1) == 10  # 0.6 of 6


def test_the_worst_rule_decides():
    checks = (
        Check("a.b", 1, passed=True), Check("c.d", 1, passed=True, warned=True),
        Check("e.f", 1, passed=False), Check("g.h", 1),
    )  # fmt: skip
    for count, verdict, decided in ((1, "pass", ()), (2, "warn", ("c.d",)), (4, "fail", ("e.f",))):
        report = Report(checks[:count])
        assert (report.verdict, report.decided_by) == (verdict, decided)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[rules]", "no rules"),
        ('[rules."mesh.watertigt"]\nfail = "= yes"', "no check has this name"),
        ('[rules."shape.watertight"]\nfail = "= yes"', "Did you mean mesh.watertight?"),
        ('[rules."mesh.area"]\nmust = "= 0"', "there are fail, warn, weight"),
        ('[rules."mesh.area"]\nweight = 2', "neither fail nor warn"),
        ('[rules."mesh.area"]\nfail = "about 3"', "must be =, <, <=, > or >="),
        ('[rules."mesh.area"]\nfail = "<= lots"', 'rules."mesh.area".fail'),
        ('[rules."mesh.area"]\nfail = "< yes"', "'= yes'"),
        ('[rules."mesh.area"]\nfail = "= nan"', "a number"),
        ('[rules."mesh.area"]\nfail = 3', "must be =, <, <=, > or >="),
        ('[rules."mesh.area"]\nfail = "= 0"\nweight = -1', "from 0 to 1000"),
        ('[rules."mesh.area"]\nfail = "= 0"\nweight = true', "from 0 to 1000"),
        ("[limits]\na = 1", "there are name, about, rules"),
        ('[rules]\n"mesh.area" = 3', "must be a table"),
        ("about = 3\n[rules]", "no rules"),
        ("[rules", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path, text, told):
    with pytest.raises(ConfigError) as caught:
        profile(tmp_path, text)
    assert caught.value.code == "profile.invalid"
    assert "mine.toml" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["pretty", "none.toml", "."])
def test_an_unknown_profile_lists_those_there_are(name):
    with pytest.raises(ConfigError, match="view, print, simulate, result") as caught:
        load_profile(name)
    assert caught.value.code == "profile.unknown"
