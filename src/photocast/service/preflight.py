# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``validate_only``: whether a capture can be reconstructed, told before anything is stored."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from photocast.config import engine_to_ask
from photocast.jobs.names import place
from photocast.jobs.record import Input
from photocast.service.auth import Caller
from photocast.service.context import Context
from photocast.service.incoming import Incoming
from photocast.service.looking import ask
from photocast.service.making import check_files, check_options, resolved
from photocast.service.problems import ServiceError
from photocast.settings import Settings
from photocast.wire import JobRequest, Options

__all__ = ["preflight"]

_AT_ONCE = 2
_OPTIONS = {"engine", "preset", "max_size", "max_seconds", "poses", "reference", "holdout_every"}


async def preflight(
    request: Request, context: Context, caller: Caller, wanted: JobRequest, incoming: Incoming
) -> dict[str, Any]:
    """Look at what would be the inputs of a job.

    Returns:
        What the worker's ``preflight`` says.

    Raises:
        ServiceError: Others are being looked at, or these cannot be.
    """
    check_options(context, wanted.options)
    given = await run_in_threadpool(resolved, context, caller.owner, wanted.inputs)
    check_files(context, [*given, *incoming.files])
    slots = _slots(request)
    if slots.locked():
        raise ServiceError(
            503, "preflight.busy", f"{_AT_ONCE} captures are being looked at.", retry_after=10
        )
    async with slots:
        folder = await run_in_threadpool(_laid_out, context, given, incoming)
        words = [str(folder), "--options", json.dumps(_options(context.settings, wanted.options))]
        return await ask("preflight", words)


def _slots(request: Request) -> asyncio.Semaphore:
    """Of the process; made when first needed, inside its loop."""
    state = request.app.state
    if not hasattr(state, "preflights"):
        state.preflights = asyncio.Semaphore(_AT_ONCE)
    slots: asyncio.Semaphore = state.preflights
    return slots


def _laid_out(context: Context, given: list[Input], incoming: Incoming) -> Path:
    """The files as a capture folder."""
    folder = incoming.folder / "capture"
    folder.mkdir()
    for one in given:
        target = folder / place(one.role, one.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        context.files.fetch(one.key, target)
    for came in incoming.files:
        target = folder / place(came.role, came.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(came.path, target)
    return folder


def _options(settings: Settings, options: Options) -> dict[str, Any]:
    chosen = options.model_dump(mode="json", include=_OPTIONS, exclude_none=True)
    engine = "auto" if options.engine == "fake" else options.engine
    return {**chosen, "engine": engine_to_ask(engine, weights=settings.weights is not None)}
