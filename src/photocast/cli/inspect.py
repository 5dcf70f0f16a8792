# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast inspect``: what a capture holds and what is suspicious about it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from photocast.stages.inspect import Inspection

__all__ = ["inspect"]


def inspect(
    capture: Annotated[Path, typer.Argument(help="Folder with photos and their cameras.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write a picture (PNG) of cameras, box and masks.")
    ] = None,
) -> None:
    """Show what a capture holds: layout, photos, masks, depth, cameras, and what looks wrong."""
    from photocast.formats.images import write_png
    from photocast.stages.ingest import read_capture
    from photocast.stages.inspect import inspect_capture
    from photocast.stages.inspect_picture import draw_inspection

    found = inspect_capture(read_capture(capture))
    if out is not None:
        write_png(out, draw_inspection(found))
    if as_json:
        typer.echo(json.dumps(_facts(found), indent=2))
    else:
        _show_table(found)


def _facts(found: "Inspection") -> dict[str, object]:
    capture = found.capture
    return {
        "capture": str(capture.root),
        "layout": capture.layout,
        "views": [view.name for view in capture.views],
        "test_views": [view.name for view in capture.test_views],
        "mask_source": capture.mask_source,
        "unit": capture.unit,
        "up": capture.up.tolist(),
        "box": None if found.box is None else found.box.tolist(),
        "checks": [asdict(check) for check in found.report.checks],
        "warnings": list(found.report.warnings),
    }


def _show_table(found: "Inspection") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(str(found.capture.root)), title_justify="left")
    for column in ("what", "value", "unit", "limit", "note"):
        table.add_column(column, no_wrap=column in {"what", "unit", "limit"})
    table.add_row("masks.source", found.capture.mask_source, "", "", "")
    for check in found.report.checks:
        style = "red" if check.passed is False else None
        value = "-" if check.value is None else str(check.value)
        cells = (check.name, value, check.unit, check.limit, check.note)
        table.add_row(*map(escape, cells), style=style)
    console = Console()
    console.print(table)
    for warning in found.report.warnings:
        console.print(f"[yellow]![/yellow] {escape(warning)}")
