# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Watching tells every event once and in order, however often the stream breaks."""

from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.client.errors import ClientError
from photocast.client.retry import Retry
from photocast.client.steps import Answer, Ask, Broken, Item, Open, Pause, Read
from photocast.client.watch import follow, settle
from photocast.wire import JobProgress, JobUrls, JobView

URLS = dict.fromkeys(JobUrls.model_fields, "")


def job(state: str) -> JobView:
    return JobView(
        id="job_1",
        kind="reconstruct",
        state=state,
        created_at=datetime(2026, 1, 1, tzinfo=timezone.utc),
        started_at=None,
        finished_at=None,
        progress=JobProgress(),
        inputs={},
        options={},
        labels={},
        attempt=1,
        cancel_requested_at=None,
        parent_id=None,
        verdict=None,
        warnings=[],
        artifacts_state="none",
        expires_at=None,
        error=None,
        urls=JobUrls(**URLS),
    )


class World:
    """A service with one job that has ``count`` events and then ends."""

    def __init__(self, count: int, cuts, *, streams: bool = True) -> None:
        self.count, self.cuts, self.streams = count, list(cuts), streams
        self.now, self.pauses, self.looks = 0.0, [], 0
        self._stream, self._waits = b"", []
        self.refusal = Answer(503, {"retry-after": "5"})

    def events(self, plan):
        heard, told = None, []
        while True:
            try:
                step = plan.send(heard)
            except StopIteration as end:
                return told, end.value
            heard = None
            if isinstance(step, Item):
                told.append(step.value)
            else:
                heard = self._do(step)

    def _do(self, step):
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now += step.seconds
            return None
        if isinstance(step, Open):
            return self._open(step.ask)
        if isinstance(step, Read):
            return self._read()
        return self._look(step)

    def _open(self, ask: Ask):
        if not self.streams:
            return self.refusal
        self._stream = self._written(int(ask.headers.get("Last-Event-ID", "0")))
        if self.cuts:
            cut = self.cuts.pop(0)
            if cut < 0:
                return Broken("refused")
            self._stream = self._stream[:cut] + b"!"  # stands for the break
        return Answer(200, {})

    def _read(self):
        if self._stream.startswith(b"!"):
            return Broken("reset")
        whole = len(self._stream) - self._stream.endswith(b"!")
        piece, self._stream = self._stream[: min(11, whole)], self._stream[min(11, whole) :]
        return piece

    def _written(self, last: int) -> bytes:
        first = b"" if last else b"event: snapshot\nid: 1\ndata: {}\n\n"
        rest = range(max(last, 1) + 1, self.count + 2)
        events = [f"event: log\nid: {n}\ndata: {{}}\n\n".encode() for n in rest]
        end = f"event: end\nid: {self.count + 1}\ndata: {{}}\n\n".encode()
        return first + b"".join(events) + end

    def _look(self, ask: Ask):
        self.looks += 1
        self._waits.append(ask.headers.get("Prefer"))
        if self.looks < 3:
            seen = ask.headers.get("If-None-Match")
            self.now += 20.0 if seen else 0.0
            running = Answer(200, {"etag": '"1"'}, job("running").model_dump_json().encode())
            return Answer(304, {}) if seen == '"1"' else running
        return Answer(200, {"etag": '"2"'}, job("succeeded").model_dump_json().encode())


@settings(deadline=None)
@given(count=st.integers(0, 12), cuts=st.lists(st.integers(-1, 300), max_size=2))
def test_every_event_is_told_once_and_in_order(count, cuts):
    world = World(count, cuts)
    told, _ = world.events(follow("/v1/jobs/1", Retry(draw=lambda: 0.5), lambda: world.now))
    logs = [int(event.id) for event in told if event.type == "log"]
    assert logs == list(range(2, count + 2))
    assert [event.type for event in told].count("end") == 1
    assert told[-1].type == "end"


def test_where_no_stream_gets_through_the_job_is_looked_at():
    world = World(3, [], streams=False)
    told, _ = world.events(follow("/v1/jobs/1", Retry(), lambda: world.now))
    assert [event.type for event in told] == ["snapshot", "snapshot", "end"]
    assert told[-1].data == {"state": "succeeded"}
    assert world._waits == [None, "wait=20", "wait=20"]


def test_watching_a_job_that_is_not_there_is_refused():
    world = World(3, [], streams=False)
    world.refusal = Answer(404, {}, b"")
    with pytest.raises(ClientError) as caught:
        world.events(follow("/v1/jobs/1", Retry(), lambda: world.now))
    assert caught.value.status == 404


def test_waiting_ends_with_the_job():
    world = World(0, [])
    _, ended = world.events(settle("/v1/jobs/1", Retry(), None, lambda: world.now))
    assert ended.state == "succeeded"


def test_waiting_ends_with_the_time():
    world = World(0, [])
    with pytest.raises(ClientError, match="10 s") as caught:
        world.events(settle("/v1/jobs/1", Retry(), 10.0, lambda: world.now))
    assert caught.value.code == "client.timeout"
    assert world._waits == [None, "wait=10"]
