# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Removes the folders of jobs that ended elsewhere, or while nobody could write that down here."""

import shutil
from pathlib import Path

from photocast.jobs.ids import is_id
from photocast.jobs.store import JobStore

__all__ = ["sweep_work"]


def sweep_work(work: Path, jobs: JobStore) -> list[str]:
    """Remove what jobs that have ended, or are gone, left in the work folder.

    What open jobs have made stays: the next attempt goes on from there, if it comes here.

    Returns:
        The jobs whose folders were removed.
    """
    if not work.is_dir():
        return []
    names = sorted(path.name for path in work.iterdir() if is_id(path.name, "job"))
    still_open = jobs.open_of(names)
    over = [name for name in names if name not in still_open]
    for name in over:
        shutil.rmtree(work / name, ignore_errors=True)
    return over
