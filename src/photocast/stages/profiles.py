# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules that turn numbers into a verdict, as TOML files that a user can copy and edit.

Verdict: the worst of all rules. Score: 100 times the weighted mean of the rules that could be
judged, where a rule that holds counts 1, a warning 0.6 and a failure 0; at most 49 if any failed.
"""

import operator
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photocast.data import Check
from photocast.errors import ConfigError
from photocast.stages.definitions import DEFINITIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["PROFILES", "Limit", "Profile", "Rule", "judged", "load_profile", "score"]

PROFILES = ("view", "print", "simulate", "result")
"""The profiles that come with the package."""

_FOLDER = Path(__file__).parents[1] / "profiles"
_OPERATORS = {
    "=": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_KEYS = ("fail", "warn", "weight")
_WORTH = {"pass": 1.0, "warn": 0.6, "fail": 0.0}
_MOST_IF_FAILED = 49.0


@dataclass(frozen=True, slots=True)
class Limit:
    """One comparison, such as ``<= 0.02`` or ``= yes``."""

    text: str
    sign: str
    value: float | bool

    def holds(self, value: float | int | bool | str) -> bool:
        """Whether a measured value keeps to it."""
        return bool(_OPERATORS[self.sign](value, self.value))


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of one check."""

    check: str
    fail: Limit | None = None
    """Must hold."""
    warn: Limit | None = None
    """Should hold."""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of rules."""

    name: str
    about: str
    rules: Mapping[str, Rule]
    """By the name of the check."""


def load_profile(source: str) -> Profile:
    """Read a profile.

    Args:
        source: One of ``PROFILES``, or the path of a TOML file.

    Raises:
        ConfigError: There is no such profile, or a rule is wrong; the message names file and key.
    """
    own = source in PROFILES
    path = _FOLDER / f"{source}.toml" if own else Path(source)
    if not own and not (path.suffix.lower() == ".toml" and path.is_file()):
        raise ConfigError(
            f"There is no profile {source!r}. Use {', '.join(PROFILES)}, or the path of a TOML "
            "file with rules.",
            code="profile.unknown",
        )
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(path, f"cannot be read as TOML ({error}). Correct it there") from error
    _known_keys(path, "the file", document, ("name", "about", "rules"))
    rules = document.get("rules")
    if not isinstance(rules, dict) or not rules:
        raise _wrong(path, 'has no rules. Add at least one, such as [rules."mesh.watertight"]')
    for key in ("name", "about"):
        if not isinstance(document.get(key, ""), str):
            raise _wrong(path, f"{key} = {document[key]!r}: must be text in quotes")
    return Profile(
        name=document.get("name", path.stem),
        about=document.get("about", ""),
        rules={check: _rule(path, check, rules[check]) for check in rules},
    )


def judged(checks: Iterable[Check], profile: Profile) -> tuple[Check, ...]:
    """Hold every check against its rule; checks without one stay informative.

    A check that another authority has judged already keeps that judgement.
    """
    return tuple(_judge(check, profile.rules.get(check.name)) for check in checks)


def score(checks: Iterable[Check], profile: Profile) -> float | None:
    """Weigh the judged checks into one number 0..100; ``None`` if none was judged."""
    found = [
        (profile.rules[check.name].weight, check.verdict)
        for check in checks
        if check.name in profile.rules and check.verdict is not None
    ]
    total = sum(weight for weight, _ in found)
    if not total:
        return None
    value = 100 * sum(weight * _WORTH[verdict] for weight, verdict in found) / total
    failed = any(verdict == "fail" for _, verdict in found)
    return round(min(value, _MOST_IF_FAILED) if failed else value, 1)


def _judge(check: Check, rule: Rule | None) -> Check:
    if rule is None or check.value is None:
        return check
    if rule.fail and not rule.fail.holds(check.value):
        return replace(check, limit=rule.fail.text, passed=False)
    warned = rule.warn is not None and not rule.warn.holds(check.value)
    limit = rule.warn or rule.fail
    return replace(check, limit=limit.text if limit else "", passed=True, warned=warned)


def _rule(path: Path, check: str, table: Any) -> Rule:
    where = f'rules."{check}"'
    if check not in DEFINITIONS:
        near = [name for name in DEFINITIONS if name.partition(".")[2] == check.partition(".")[2]]
        like = near or [n for n in DEFINITIONS if n.startswith(check.partition(".")[0] + ".")]
        raise _wrong(
            path,
            f"{where}: no check has this name. "
            + (f"Did you mean {', '.join(like[:6])}? " if like else "")
            + "All names are in docs/mesh-report.md",
        )
    if not isinstance(table, dict):
        raise _wrong(path, f'{where} = {table!r}: must be a table, such as fail = "= 0"')
    _known_keys(path, where, table, _KEYS)
    limits = {k: _limit(path, f"{where}.{k}", table[k]) for k in ("fail", "warn") if k in table}
    if not limits:
        raise _wrong(path, f"{where} has neither fail nor warn. Give it one of them")
    weight = table.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1000:
        raise _wrong(path, f"{where}.weight = {weight!r}: must be a number from 0 to 1000")
    return Rule(check, limits.get("fail"), limits.get("warn"), float(weight))


def _limit(path: Path, where: str, text: Any) -> Limit:
    sign, _, word = str(text).strip().partition(" ")
    word = word.strip()
    known = isinstance(text, str) and sign in _OPERATORS
    if known and sign == "=" and word in ("yes", "no"):
        return Limit(f"= {word}", sign, word == "yes")
    try:
        value = float(word) if known else float("nan")
    except ValueError:
        value = float("nan")
    if value != value:
        raise _wrong(
            path,
            f"{where} = {text!r}: must be =, <, <=, > or >=, a space and a number, or '= yes', or "
            "'= no'",
        )
    return Limit(f"{sign} {word}", sign, value)


def _known_keys(path: Path, where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := [key for key in table if key not in known]:
        raise _wrong(path, f"{where} has {unknown[0]!r}; there are {', '.join(known)}")


def _wrong(path: Path, message: str) -> ConfigError:
    return ConfigError(f"{path}: {message}.", code="profile.invalid")
