# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Sends the messages that wait in the database; every web process has one sender."""

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from photocast import __version__
from photocast.jobs.database import DatabaseDown
from photocast.jobs.deliveries import Deliveries, Delivery
from photocast.service.webhooks.guard import WebhookRefused, post
from photocast.service.webhooks.sign import signed_headers

if TYPE_CHECKING:
    import httpx

__all__ = ["WebhookSender"]

_log = logging.getLogger(__name__)
_LOOK_S = 1.0
_AT_ONCE = 16
_WHOLE_S = 15.0  # of one try, from the resolver to the end of the answer
_GONE = 410


class WebhookSender:
    """A task that lives as long as the application."""

    def __init__(self, deliveries: Deliveries, *, private: bool) -> None:
        """Prepare; ``private`` allows addresses that are not public."""
        self._deliveries, self._private = deliveries, private
        self._sending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for messages."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_tell_bug)

    async def close(self) -> None:
        """Send nothing more; what was under way is due again after a while."""
        tasks = [*self._sending, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        await asyncio.sleep(_LOOK_S)  # while the service starts it has no time to load httpx
        async with await run_in_threadpool(_new_client) as client:
            while True:
                with contextlib.suppress(DatabaseDown):  # readiness tells of it
                    await self._look(client)
                await asyncio.sleep(_LOOK_S)

    async def _look(self, client: "httpx.AsyncClient") -> None:
        if room := _AT_ONCE - len(self._sending):
            for sent, webhook in await run_in_threadpool(self._deliveries.claim, room):
                task = asyncio.create_task(self._send(client, sent, webhook))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
                task.add_done_callback(_tell_bug)

    async def _send(
        self, client: "httpx.AsyncClient", sent: Delivery, webhook: dict[str, Any]
    ) -> None:
        began, at = time.monotonic(), time.time()
        status, error = await self._try(client, sent, webhook, int(at))
        facts = {
            "at": at,
            "seconds": round(time.monotonic() - began, 3),
            "status": status,
            "error": error,
        }
        done = status is not None and 200 <= status < 300
        try:
            now = await run_in_threadpool(
                self._deliveries.settle, sent, facts, done=done, gone=status == _GONE
            )
        except DatabaseDown as failure:
            _log.warning("message may be sent again: %s", failure, extra=_named(sent))
        else:
            state = "taken over" if now is None else now.state
            _log.info("message %s", state, extra={**_named(sent), "status": status, "why": error})

    async def _try(
        self, client: "httpx.AsyncClient", sent: Delivery, webhook: dict[str, Any], at: int
    ) -> tuple[int | None, str | None]:
        """The status of the answer, or why there is none."""
        import httpx

        body = sent.body.encode()
        headers = signed_headers(webhook["secret"], sent.id, at, body)
        sending = post(client, webhook["url"], headers, body, private=self._private)
        try:
            return await asyncio.wait_for(sending, _WHOLE_S), None
        except WebhookRefused as error:
            return None, str(error)
        except asyncio.TimeoutError:
            return None, f"No answer within {_WHOLE_S:g} s."
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:  # its text may name addresses
            return None, f"No connection or no answer ({type(error).__name__})."


def _new_client() -> "httpx.AsyncClient":
    import httpx

    headers = {"User-Agent": f"photocast/{__version__}", "Content-Type": "application/json"}
    trusted = httpx.create_ssl_context()
    return httpx.AsyncClient(verify=trusted, trust_env=False, timeout=_WHOLE_S, headers=headers)


def _tell_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("bug while sending", exc_info=error, extra={"event": "webhook.bug"})


def _named(sent: Delivery) -> dict[str, object]:
    return {"event": "webhook.sent", "job": sent.job_id, "message_id": sent.id, "try": sent.tries}
