# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of ``report.html`` about findings: verdict, issues, distributions, what checks mean."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from photocast.data import Check, Histogram, Issue, Report, SecondOpinion
from photocast.stages.definitions import DEFINITIONS, definition_of

__all__ = ["VERDICT_WORDS", "alignment", "glossary", "histograms", "issues", "opinions", "verdict"]

VERDICT_WORDS = {"pass": "✓ pass", "warn": "! warn", "fail": "✗ fail"}
"""A sign and a word: colour alone tells nobody anything."""

_HISTOGRAMS = {
    "min_angle": ("Smallest angle of each triangle", "60° is the best there is"),
    "aspect": ("Aspect of each triangle", "1 is the best there is; on a logarithmic scale"),
    "area_ratio": ("Area against the most different neighbour", "1 is even; logarithmic scale"),
    "thickness": ("Thickness under each triangle measured", "in the unit of the file"),
    "stretch": ("Stretch of the UV map", "1 keeps shapes; on a logarithmic scale"),
}
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 320, 130, 8, 22


def verdict(report: Report) -> str:
    """The score, and the rules that decided, in a sentence or two."""
    judged = [check for check in report.checks if check.verdict is not None]
    held = sum(check.verdict == "pass" for check in judged)
    named = [_title(name) for name in report.decided_by]
    why = f" Decided by: {', '.join(named)}." if named else ""
    score = "" if report.score is None else f"Score {report.score:g} of 100. "
    rules = f"{held} of {len(judged)} rules of the profile “{report.profile}” hold."
    return f"{score}{rules}{why}"


def issues(found: Sequence[Issue], pictures: Mapping[str, str]) -> str:
    """The list of problems.

    Args:
        found: In order.
        pictures: HTML of a figure, by the name of the check.
    """
    if not found:
        return ""
    items = "".join(
        f'<article><h3><span class="badge {issue.verdict}">{VERDICT_WORDS[issue.verdict]}</span> '
        f"{escape(_title(issue.check))}</h3><p>{escape(issue.text)}</p>"
        f"{_faces(issue)}{pictures.get(issue.check, '')}</article>"
        for issue in found
    )
    return f'<section class="issues"><h2>Issues</h2>{items}</section>'


def histograms(found: Sequence[Histogram]) -> str:
    """Bars for each histogram, with a sentence for those who cannot see them."""
    if not found:
        return ""
    figures = "".join(_histogram(histogram) for histogram in found)
    return f'<section><h2>Distributions</h2><div class="charts">{figures}</div></section>'


def opinions(found: Sequence[SecondOpinion]) -> str:
    """A table of what other programs say."""
    if not found:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(opinion.tool)}</th>'
        f"<td>{escape(opinion.version or '–')}</td><td>{escape(opinion.status)}</td>"
        f"<td>{escape(_answers(opinion) or opinion.reason)}</td></tr>"
        for opinion in found
    )
    return (
        '<section><h2>Second opinions</h2><table><thead><tr><th scope="col">Program</th>'
        '<th scope="col">Version</th><th scope="col">Status</th><th scope="col">Answers</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></section>"
    )


def alignment(matrix: Sequence[Sequence[float]] | None) -> str:
    """How the mesh was laid onto a reference."""
    if matrix is None:
        return ""
    rows = "".join(
        f"<tr>{''.join(f'<td><code>{number:.6g}</code></td>' for number in row)}</tr>"
        for row in matrix
    )
    return (
        "<section><h2>Alignment</h2><p>The mesh was laid onto the reference before they were "
        "compared. This matrix takes its points there.</p>"
        f"<table><tbody>{rows}</tbody></table></section>"
    )


def glossary(checks: Sequence[Check]) -> str:
    """What each check of the page means; their names link here."""
    known = [name for name in DEFINITIONS if name in {check.name for check in checks}]
    if not known:
        return ""
    entries = "".join(
        f'<dt id="def-{escape(name)}">{escape(DEFINITIONS[name].title)} '
        f"<code>{escape(name)}</code>{_unit(DEFINITIONS[name].unit)}</dt>"
        f"<dd>{escape(DEFINITIONS[name].meaning)}</dd>"
        for name in known
    )
    return f'<section class="glossary"><h2>What the checks mean</h2><dl>{entries}</dl></section>'


def _title(name: str) -> str:
    definition = definition_of(name)
    return definition.title if definition else name


def _unit(unit: str) -> str:
    return f" [{escape(unit)}]" if unit else ""


def _faces(issue: Issue) -> str:
    if not issue.faces:
        return ""
    shown = ", ".join(str(face) for face in issue.faces[:12])
    more = f" and {issue.face_count - 12} more" if issue.face_count > 12 else ""
    return f'<p class="aside">Triangles {shown}{more}.</p>'


def _answers(opinion: SecondOpinion) -> str:
    def text(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    return ", ".join(
        f"{_title(name)}: {text(value)}"
        for name, value in opinion.answers.items()
        if value is not None
    )


def _histogram(found: Histogram) -> str:
    title, note = _HISTOGRAMS.get(found.name, (found.name, ""))
    total, most = sum(found.counts), max(found.counts)
    if not total:
        return ""
    step = (_WIDTH - 2 * _LEFT) / len(found.counts)
    room = _HEIGHT - _BOTTOM
    bars = "".join(
        f'<rect x="{_LEFT + i * step:.1f}" y="{room - room * count / most:.1f}" '
        f'width="{max(step - 1, 1):.1f}" height="{room * count / most:.1f}"/>'
        for i, count in enumerate(found.counts)
        if count
    )
    low, high = found.edges[0], found.edges[-1]
    unit = "" if found.unit == "1" else f" {found.unit}"
    middle = _median(found)
    told = f"{title}: from {low:.3g} to {high:.3g}{unit}, median about {middle:.3g}{unit}."
    labels = (
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">{low:.3g}{escape(unit)}</text>'
        f'<text x="{_WIDTH - _LEFT}" y="{_HEIGHT - 6}" text-anchor="end">'
        f"{high:.3g}{escape(unit)}</text>"
    )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(told)}">'
        f'{bars}<line x1="{_LEFT}" x2="{_WIDTH - _LEFT}" y1="{room}" y2="{room}"/>{labels}</svg>'
        f"<figcaption>{escape(title)}: median about {middle:.3g}{escape(unit)}. "
        f"{escape(note)}.</figcaption></figure>"
    )


def _median(found: Histogram) -> float:
    """The middle of the bar that holds the median."""
    reached, half = 0, sum(found.counts) / 2
    for i, count in enumerate(found.counts):
        reached += count
        if reached >= half:
            a, b = found.edges[i], found.edges[i + 1]
            even = abs((found.edges[-1] - found.edges[0]) / len(found.counts) - (b - a))
            logarithmic = a > 0 and even > 1e-9 * abs(found.edges[-1])
            return math.sqrt(a * b) if logarithmic else (a + b) / 2
    return found.edges[-1]
