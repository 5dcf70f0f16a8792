# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``report.html``: one page for people, readable offline and without scripts.

Images are inside the page; everything that comes from files or options is escaped.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from photocast.data import Check, Report
from photocast.stages.definitions import COUNTED, DEFINITIONS, GROUPS
from photocast.stages.report_findings import (
    VERDICT_WORDS,
    alignment,
    glossary,
    histograms,
    issues,
    opinions,
    verdict,
)
from photocast.stages.report_style import REPORT_STYLE

__all__ = ["ReportImage", "check_label", "report_page", "value_text"]

_LONG = 20
"""A table of more views starts folded."""

_HEADLINES = (
    ("mesh.faces", "Triangles"),
    ("mesh.watertight", "Watertight"),
    ("image.psnr", "PSNR"),
    ("image.ssim", "SSIM"),
    ("file.mesh.glb", "mesh.glb"),
)
_VIEWS_NOTE = (
    "One row for each photo. PSNR is in dB, the higher the better; SSIM and mask IoU, the overlap "
    "of outlines, are 1 at best. White and black are what photo and render are laid over; inside "
    "is within the mask. A photo that was held out played no part in the reconstruction."
)
_SMALL_WORDS = {"uv": "UV", "psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "iou": "IoU"}


@dataclass(frozen=True, slots=True)
class ReportImage:
    """One image of the page."""

    data: bytes
    media_type: str
    """Such as ``image/png``."""
    alt: str
    """What it shows, for those who cannot see it."""
    caption: str
    kind: str = ""
    """CSS class of the figure: ``turntable`` or none."""


def report_page(
    report: Report,
    *,
    title: str,
    images: Sequence[ReportImage] = (),
    issue_images: Mapping[str, ReportImage] | None = None,
) -> bytes:
    """Write the page.

    Args:
        report: ``run["views"]`` (a list of equal dictionaries) becomes the per-view table,
            ``run["seconds"]`` the timings, the rest of ``run`` folds away at the end.
        title: Name of the result.
        images: Shown in order under the summary.
        issue_images: Shown with the issues, by the name of their check.
    """
    shown = {name: _figure(image) for name, image in (issue_images or {}).items()}
    sections = [
        _headlines(report.checks),
        _warnings(report.warnings),
        _figures(images),
        issues(report.issues, shown),
        _checks(report.checks),
        alignment(report.reference_from_mesh),
        histograms(report.histograms),
        _views(report.run.get("views", ())),
        opinions(report.opinions),
        _seconds(report.run.get("seconds", {})),
        _run(report.run),
        glossary(report.checks),
    ]
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} – Photocast report</title>
<style>{REPORT_STYLE}</style>
</head>
<body>
<main>
{_header(report, title)}
{"".join(section for section in sections if section)}
<footer>Written by Photocast {escape(_version(report))}. The same facts for machines are in
report.json and run.json.</footer>
</main>
</body>
</html>
"""
    return page.encode()


def _header(report: Report, title: str) -> str:
    failed = [check for check in report.checks if check.passed is False]
    judged = [check for check in report.checks if check.passed is not None]
    if not judged:
        return f"<header><h1>{escape(title)}</h1></header>"
    if report.profile and report.verdict:
        word = report.verdict
        return (
            f'<header><h1>{escape(title)}</h1><span class="badge {word}">{VERDICT_WORDS[word]}'
            f'</span></header><p class="summary">{escape(verdict(report))}</p>'
        )
    badge = f"✗ {len(failed)} failed" if failed else "✓ all passed"
    state = "failed" if failed else "passed"
    text = f"{len(judged) - len(failed)} of {len(judged)} checks passed."
    if failed:
        text += f" Failed: {', '.join(check_label(check.name) for check in failed)}."
    return (
        f'<header><h1>{escape(title)}</h1><span class="badge {state}">{badge}</span></header>'
        f'<p class="summary">{escape(text)}</p>'
    )


def _headlines(checks: Sequence[Check]) -> str:
    by_name = {check.name: check for check in checks}
    found = [(by_name[name], label) for name, label in _HEADLINES if name in by_name]
    facts = "".join(
        f"<div><dt>{escape(label)}{', held out' if 'held-out' in check.note else ''}</dt>"
        f"<dd>{escape(value_text(check))}</dd></div>"
        for check, label in found
        if check.value is not None
    )
    return facts and f'<section aria-label="Summary"><dl class="facts">{facts}</dl></section>'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<section class="warnings"><h2>Worth knowing</h2><ul>{items}</ul></section>'


def _figures(images: Sequence[ReportImage]) -> str:
    figures = "".join(map(_figure, images))
    return figures and f"<section><h2>Result</h2>{figures}</section>"


def _figure(image: ReportImage) -> str:
    return (
        f'<figure class="{escape(image.kind)}">'
        f'<img src="data:{escape(image.media_type)};base64,'
        f'{base64.b64encode(image.data).decode()}" alt="{escape(image.alt)}">'
        f"<figcaption>{escape(image.caption)}</figcaption></figure>"
    )


def _checks(checks: Sequence[Check]) -> str:
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.name.partition(".")[0], []).append(check)
    parts = [
        f"<h3>{escape(GROUPS.get(group, check_label('.' + group)))}</h3>"
        f"{_measured(members)}{_unknown(members)}"
        for group, members in groups.items()
    ]
    return f"<section><h2>Checks</h2>{''.join(parts)}</section>" if parts else ""


def _measured(checks: Sequence[Check]) -> str:
    rows = "".join(_check(check) for check in checks if check.value is not None)
    return rows and (
        '<table class="checks"><thead><tr><th scope="col">Check</th>'
        '<th scope="col" class="value">Value</th><th scope="col" class="limit">Limit</th>'
        f'<th scope="col">Result</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _unknown(checks: Sequence[Check]) -> str:
    """What could not be measured, together by the reason."""
    reasons: dict[str, list[str]] = {}
    for check in checks:
        if check.value is None:
            reasons.setdefault(check.note, []).append(_defined(check.name))
    return "".join(
        f'<p class="aside">Not measured: {", ".join(names)}. {escape(_sentence(reason))}</p>'
        for reason, names in reasons.items()
    )


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}." if reason else ""


def _check(check: Check) -> str:
    mark = {
        "pass": f'<span class="mark passed">{VERDICT_WORDS["pass"]}</span>',
        "warn": f'<span class="mark warn">{VERDICT_WORDS["warn"]}</span>',
        "fail": f'<span class="mark failed">{VERDICT_WORDS["fail"]}</span>',
        None: '<span class="mark info">info</span>',
    }[check.verdict]
    note = f'<span class="aside">{escape(check.note)}</span>' if check.note else ""
    return (
        f'<tr><th scope="row">{_defined(check.name)}{note}</th>'
        f"<td>{escape(value_text(check))}</td><td>{escape(_limit(check))}</td><td>{mark}</td></tr>"
    )


def _defined(name: str) -> str:
    label = escape(check_label(name))
    return f'<a href="#def-{escape(name)}">{label}</a>' if name in DEFINITIONS else label


def _views(views: Sequence[Mapping[str, Any]]) -> str:
    if not views:
        return ""
    keys = list(dict.fromkeys(key for view in views for key in view))
    head = "".join(
        f'<th scope="col"{_number_class(views[0].get(key))}>{escape(check_label("." + key))}</th>'
        for key in keys
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<{_cell(key, keys)}{_number_class(view.get(key))}>"
            f"{escape(_score(view.get(key)))}</{_cell(key, keys)[:2]}>"
            for key in keys
        )
        + "</tr>"
        for view in views
    )
    table = f'<table class="views"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    if len(views) > _LONG:
        table = f"<details><summary>{len(views)} views</summary>{table}</details>"
    return f'<section><h2>Views</h2>{table}<p class="aside">{_VIEWS_NOTE}</p></section>'


def _cell(key: str, keys: Sequence[str]) -> str:
    # The first column names the row.
    return 'th scope="row"' if key == keys[0] else "td"


def _seconds(seconds: Mapping[str, float]) -> str:
    if not seconds:
        return ""
    longest = max(*seconds.values(), 1e-9)
    rows = "".join(
        f'<tr><th scope="row">{escape(stage)}</th><td class="number">{_duration(value)}</td>'
        f'<td class="bar"><span class="fill" style="width:{100 * value / longest:.1f}%"></span>'
        "</td></tr>"
        for stage, value in seconds.items()
    )
    return (
        f'<section><h2>Time</h2><p class="summary">{_duration(sum(seconds.values()))} in all.</p>'
        f'<table class="time"><tbody>{rows}</tbody></table></section>'
    )


def _run(run: Mapping[str, Any]) -> str:
    shown = {key: value for key, value in run.items() if key not in ("views", "seconds")}
    parts = [
        f"<h3>{escape(check_label('.' + key))}</h3>{_facts(value)}" for key, value in shown.items()
    ]
    if not parts:
        return ""
    return (
        f"<section><details><summary>How it was made</summary>{''.join(parts)}</details></section>"
    )


def _facts(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"<p>{escape(_number(value))}</p>"
    rows = "".join(
        f'<tr><th scope="row">{escape(str(key))}</th><td><code>{escape(str(item))}</code></td></tr>'
        for key, item in value.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def check_label(name: str) -> str:
    """Write a check's name as people read it."""
    group, _, rest = name.partition(".")
    if name in DEFINITIONS:
        return DEFINITIONS[name].title
    if group == "file":
        return rest
    words = [_SMALL_WORDS.get(word, word) for word in rest.replace(".", " ").split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def value_text(check: Check) -> str:
    """Write a check's value as people read it: ``yes``, ``27.3 dB``, ``4.1 MB``."""
    definition = DEFINITIONS.get(check.name)
    unit = check.unit or (definition.unit if definition else "")
    if unit == "bytes" and isinstance(check.value, int):
        return _size(check.value)
    if unit in ("1", *COUNTED) or check.value is None:
        unit = ""  # the label says what is counted
    return f"{_number(check.value)} {unit}".strip()


def _limit(check: Check) -> str:
    return check.limit.replace("<=", "≤").replace(">=", "≥")


def _size(size_bytes: int) -> str:
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.3g} kB"
    return f"{size_bytes / 1e6:.3g} MB" if size_bytes < 1e9 else f"{size_bytes / 1e9:.3g} GB"


def _number(value: Any) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")  # narrow no-break space between thousands
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _score(value: Any) -> str:
    # As many digits in every row, so that the points stand under each other.
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 2 else f"{value:.4f}"
    return _number(value)


def _number_class(value: Any) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return ' class="number"' if number else ""


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def _version(report: Report) -> str:
    return str(report.run.get("versions", {}).get("photocast", ""))
