# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Asking the worker's small programs what files are; nothing is decoded in this process."""

from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool

from photocast import children
from photocast.service.problems import ServiceError

__all__ = ["ask"]


async def ask(child: str, words: Sequence[str]) -> dict[str, Any]:
    """Run a program with limits; see :func:`photocast.children.ask`.

    Raises:
        ServiceError: It refused the files, or went beyond its limits.
    """
    document = await run_in_threadpool(children.ask, child, words)
    if document.pop("ok"):
        return document
    error = document["error"]
    ours = error["exit_code"] == 1 and not error["code"].startswith("upload.")
    raise ServiceError(500 if ours else 422, error["code"], error["message"])
