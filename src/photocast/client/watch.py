# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Following a job: its events as they come, or, where those do not get through, its state.

A stream that breaks is opened again after the last event that came. Where nothing comes at all, as
behind a proxy that holds streams back, each try is followed by a long poll, whose answer is told
as a ``snapshot``. Either way the last event is ``end``.
"""

import math
import time
from collections.abc import Callable

from photocast.client.errors import ClientError, refusal, retry_after
from photocast.client.retry import PASSING, Retry, asked, read_as
from photocast.client.sse import JobEvent, SseParser
from photocast.client.steps import Answer, Ask, Broken, Item, Open, Pause, Plan, Read
from photocast.wire import JobView

__all__ = ["FINAL", "follow", "settle"]

FINAL = ("succeeded", "failed", "canceled")
_POLL_S = 20.0
_SILENCE_S = 15.0  # the service says something that often
_POLL_AFTER_S = 2.0  # where long polls are answered at once
_ALWAYS = ("snapshot", "end")  # they carry the number of the event before


def follow(path: str, retry: Retry, clock: Callable[[], float] = time.monotonic) -> Plan[None]:
    """Tell every event of a job until it ends.

    Args:
        path: Of the job.
        retry: How often to ask again while nothing comes.
        clock: Tells the time [s].

    Raises:
        ClientError: The job is not there, or the service stays silent.
    """
    events, look = _Events(f"{path}/events", clock), _Look(path, clock)
    while not events.ended:
        if (yield from events.listen(retry)):
            continue
        job = yield from look.again(retry)
        if job is not None:
            yield Item(JobEvent("snapshot", job.model_dump(mode="json"), events.last_id))
            if job.state in FINAL:
                yield Item(JobEvent("end", {"state": job.state}, events.last_id))
                return


def settle(
    path: str, retry: Retry, timeout: float | None, clock: Callable[[], float] = time.monotonic
) -> Plan[JobView]:
    """Wait until a job has ended; long polls are enough for that.

    Raises:
        ClientError: That took too long, or the service does not answer.
    """
    look, end = _Look(path, clock), None if timeout is None else clock() + timeout
    while True:
        left = _POLL_S if end is None else min(_POLL_S, max(end - clock(), 0.0))
        job = yield from look.again(retry, left)
        if job is not None and job.state in FINAL:
            return job
        if end is not None and clock() >= end:
            raise ClientError(
                f"The job has not ended after {timeout:g} s; it goes on. Wait again, or cancel it.",
                code="client.timeout",
            )


class _Events:
    """A stream of events that may break."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._path, self._clock, self._not_before = path, clock, -math.inf
        self.last_id, self.ended = "", False

    def listen(self, retry: Retry) -> Plan[bool]:
        """Tell events until the stream breaks or the job ends; whether any came."""
        if self._clock() < self._not_before:
            return False
        headers = {"Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        ask = Ask(method="GET", path=self._path, headers=headers, patience=_SILENCE_S)
        got: Answer | Broken = yield Open(ask)
        if isinstance(got, Broken):
            return False
        if got.status >= 400:
            self._refused(got)
            return False
        parser = SseParser(self.last_id)
        heard = yield from self._read(parser)
        if not self.ended:
            yield Pause(retry.draw() * (parser.retry_seconds or retry.base))
        return heard

    def _refused(self, answer: Answer) -> None:
        if answer.status not in PASSING:
            raise refusal(answer)
        wanted = retry_after(answer, time.time())
        self._not_before = self._clock() + (_POLL_S if wanted is None else wanted)

    def _read(self, parser: SseParser) -> Plan[bool]:
        heard = False
        while not self.ended:
            chunk: bytes | Broken = yield Read()
            if isinstance(chunk, Broken) or not chunk:
                break
            for event in parser.feed(chunk):
                heard = True
                if event.type in _ALWAYS or _number(event.id) > _number(self.last_id):
                    yield Item(event)
                self.last_id = event.id
                self.ended = self.ended or event.type == "end"
        return heard


class _Look:
    """Looks at a job again when it has changed."""

    def __init__(self, path: str, clock: Callable[[], float]) -> None:
        self._path, self._clock, self._etag = path, clock, ""

    def again(self, retry: Retry, seconds: float = _POLL_S) -> Plan[JobView | None]:
        """The job as it is now; ``None`` if it has not changed in that time."""
        headers, began = {}, self._clock()
        if self._etag:
            wait = max(math.ceil(seconds), 1)
            headers = {"If-None-Match": self._etag, "Prefer": f"wait={wait}"}
        ask = Ask(method="GET", path=self._path, headers=headers, patience=seconds)
        answer = yield from asked(ask, retry)
        if answer.status == 304:
            if self._clock() - began < 1.0:
                yield Pause(_POLL_AFTER_S)
            return None
        self._etag = answer.headers.get("etag", "")
        return read_as(JobView, answer)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
