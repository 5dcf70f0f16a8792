# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The job ``mesh_report``: check a mesh that somebody sent, as ``photocast check`` does."""

from pathlib import Path
from typing import Any

from photocast.errors import MeshError
from photocast.progress import Progress

__all__ = ["run_mesh_report"]


def run_mesh_report(
    options: dict[str, Any], capture: Path, out: Path, progress: Progress
) -> dict[str, Any]:
    """Write ``report.json`` and ``report.html``.

    Args:
        options: ``profile``: the rules.
        capture: Holds the mesh and nothing else.
        out: Result folder.
        progress: Told before and after.

    Returns:
        ``verdict`` and ``warnings``.

    Raises:
        MeshError: There is no mesh that can be read.
    """
    from photocast.stages.check_page import check_page
    from photocast.stages.check_result import check_result
    from photocast.stages.export import place_files
    from photocast.stages.report import report_json

    sources = [path for path in sorted(capture.rglob("*")) if path.is_file()]
    if not sources:
        raise MeshError("The job has no mesh. Send one.", code="mesh.missing")
    progress("check", 0, 2)
    checked = check_result(sources[0], str(options.get("profile", "view")))
    progress("check", 1, 2)
    report = checked.report
    out.mkdir(parents=True, exist_ok=True)
    place_files(out, {"report.json": report_json(report), "report.html": check_page(checked)})
    progress("check", 2, 2)
    return {"verdict": report.verdict, "warnings": list(report.warnings)}
