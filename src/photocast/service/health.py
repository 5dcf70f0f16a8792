# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Is the process alive, and can the service take and do work?"""

import shutil

from fastapi import APIRouter, Response

from photocast.errors import StorageError
from photocast.jobs.database import DatabaseDown
from photocast.jobs.presence import Presence
from photocast.service.context import Context, ContextOf

__all__ = ["router"]

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers; nothing else is looked at."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Something is missing; see `problems`."}})
def readyz(response: Response, context: ContextOf) -> dict[str, object]:
    """Whether database, files, disk, bell and at least one worker are there."""
    problems = {name: text for name, text in _looked(context).items() if text is not None}
    if problems:
        response.status_code = 503
    return {"ready": not problems, "problems": problems}


def _looked(context: Context) -> dict[str, str | None]:
    return {
        "database": _database(context),
        "files": _files(context),
        "disk": _disk(context),
        "bell": context.bell.problem(),
        "workers": _workers(context),
    }


def _database(context: Context) -> str | None:
    try:
        context.jobs.versions(["none"])
    except DatabaseDown:
        return "It does not answer."
    return None


def _files(context: Context) -> str | None:
    try:
        context.files.check()
    except StorageError as error:
        return error.code
    return None


def _disk(context: Context) -> str | None:
    free, reserve = shutil.disk_usage(context.settings.data).free, context.settings
    if free < reserve.disk_reserve_bytes:
        return f"{free:,} bytes are free; at least {reserve.disk_reserve_bytes:,} must be."
    return None


def _workers(context: Context) -> str | None:
    try:
        seen = Presence(context.database).seen()
    except DatabaseDown:
        return "Unknown without the database."
    return None if seen else "No worker was seen in the last minute."
