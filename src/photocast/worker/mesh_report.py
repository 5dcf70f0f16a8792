# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Check a mesh that somebody sent, as ``photocast check`` does.

    python -m photocast.worker.mesh_report FILE --profile view --out FOLDER

The file should lie in a folder that holds nothing but this upload, since meshes name other files.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from photocast.children import answer
from photocast.errors import ConfigError, MeshError

__all__ = ["mesh_report"]


def mesh_report(source: Path, profile: str, out: Path) -> dict[str, Any]:
    """Write ``report.json``, ``report.html`` and ``faces.pcfl``.

    Args:
        source: A mesh file.
        profile: A name; paths of profiles are not taken from users.
        out: Folder for the three files.

    Returns:
        Verdict, score and names of the files.

    Raises:
        ConfigError: No profile has this name.
        MeshError: There is no mesh in the file.
    """
    from photocast.stages.check_page import check_page
    from photocast.stages.check_result import check_result
    from photocast.stages.export import place_files
    from photocast.stages.profiles import PROFILES
    from photocast.stages.report import report_json

    if profile not in PROFILES:
        raise ConfigError(
            f"profile = {ascii(profile)[:60]}: must be one of {', '.join(PROFILES)}.",
            code="profile.unknown",
        )
    if not source.is_file():
        raise MeshError(f"{source.name} is not there or no file.", code="mesh.missing")
    checked = check_result(source, profile)
    report = checked.report
    files = {
        "report.json": report_json(report),
        "report.html": check_page(checked),
        "faces.pcfl": checked.layers,
    }
    place_files(out, files)
    return {
        "verdict": report.verdict,
        "score": report.score,
        "profile": profile,
        "issues": len(report.issues),
        "files": sorted(files),
    }


def main(words: Sequence[str]) -> int:
    """Check one file; print the verdict, or why there is none."""
    parser = argparse.ArgumentParser(prog="photocast.worker.mesh_report")
    parser.add_argument("file", type=Path)
    parser.add_argument("--profile", default="view")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(words)
    return answer(lambda: mesh_report(given.file, given.profile, given.out))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
