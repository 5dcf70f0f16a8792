# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The job ``mesh_report``: check a mesh that somebody sent, as ``photocast check`` does."""

from pathlib import Path
from typing import Any

from photocast.children import CHILDREN
from photocast.errors import MeshError
from photocast.limited import apply_limits
from photocast.progress import Progress

__all__ = ["run_mesh_report"]

_CPU_S = 3600  # the job's own limit in seconds comes first


def run_mesh_report(
    options: dict[str, Any], capture: Path, out: Path, progress: Progress
) -> dict[str, Any]:
    """Write ``report.json``, ``report.html`` and ``faces.pcfl``.

    The mesh may be anything, so this process may take no more than what a check needs.

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
    allowed = CHILDREN["mesh_report"]
    apply_limits(
        memory_bytes=allowed.memory_bytes, cpu_seconds=_CPU_S, file_bytes=allowed.file_bytes
    )
    from photocast.worker.mesh_report import mesh_report

    sources = [path for path in sorted(capture.rglob("*")) if path.is_file()]
    if not sources:
        raise MeshError("The job has no mesh. Send one.", code="mesh.missing")
    progress("check", 0, 1)
    made = mesh_report(sources[0], str(options.get("profile", "view")), out)
    progress("check", 1, 1)
    return {"verdict": made["verdict"], "warnings": list(made.get("warnings", ()))}
