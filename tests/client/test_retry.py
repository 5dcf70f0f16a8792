# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""When a request is made again, and when it is not."""

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.client.errors import ClientError, retry_after
from photocast.client.retry import Retry, asked
from photocast.client.steps import Answer, Ask, Broken, Pause

GET = Ask(method="GET", path="/v1/jobs")
BARE_POST = Ask(method="POST", path="/v1/jobs")
KEYED_POST = Ask(method="POST", path="/v1/jobs", headers={"Idempotency-Key": "k"})
CANCEL = Ask(method="POST", path="/v1/jobs/x/cancel", harmless=True)


def played(ask: Ask, retry: Retry, answers) -> tuple[object, list[float]]:
    """Run a plan in a world that answers so; what came of it, and its pauses."""
    plan, pauses, rest = asked(ask, retry), [], list(answers)
    heard = None
    try:
        while True:
            step = plan.send(heard)
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                heard = None
            else:
                assert step == ask
                heard = rest.pop(0) if len(rest) > 1 else rest[0]
    except StopIteration as end:
        return end.value, pauses
    except ClientError as error:
        return error, pauses


@settings(deadline=None)
@given(
    tried=st.integers(0, 40),
    count=st.integers(0, 40),
    wanted=st.none() | st.floats(0, 500),
    draw=st.floats(0, 1),
)
def test_a_pause_is_within_its_bounds(tried, count, wanted, draw):
    retry = Retry(count=count, base=0.5, longest=15.0, patience=120.0, draw=lambda: draw)
    pause = retry.pause(tried, wanted)
    if tried >= count or (wanted or 0) > 120:
        assert pause is None
    else:
        least = wanted or 0.0
        assert least <= pause <= least + min(0.5 * 2**tried, 15.0)


def test_pauses_are_drawn_from_the_whole_range_and_double():
    low, high = Retry(draw=lambda: 0.0), Retry(draw=lambda: 1.0)
    assert [low.pause(n) for n in range(6)] == [0.0] * 6
    assert [high.pause(n) for n in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0]


@pytest.mark.parametrize("ask", [GET, KEYED_POST, CANCEL, Ask(method="PUT", path="/x")])
@pytest.mark.parametrize(
    "trouble",
    [Broken("reset"), Answer(429, {}), Answer(503, {}), Answer(409, {"retry-after": "1"})],
)
def test_what_may_pass_is_tried_again_if_that_is_harmless(ask, trouble):
    got, pauses = played(ask, Retry(count=3), [trouble, trouble, Answer(200, {}, b"yes")])
    assert got == Answer(200, {}, b"yes")
    assert len(pauses) == 2


@pytest.mark.parametrize("trouble", [Broken("reset"), Answer(503, {"retry-after": "1"})])
def test_a_request_without_a_key_that_makes_something_is_made_once(trouble):
    got, pauses = played(BARE_POST, Retry(), [trouble])
    assert isinstance(got, ClientError)
    assert pauses == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422, 500])
def test_a_refusal_that_will_not_change_is_told_at_once(status):
    got, pauses = played(GET, Retry(), [Answer(status, {})])
    assert (got.status, pauses) == (status, [])


def test_a_service_that_stays_away_is_given_up():
    got, pauses = played(GET, Retry(count=4), [Broken("connection refused")])
    assert (got.code, got.problem, len(pauses)) == ("client.unreachable", None, 4)
    assert "connection refused" in str(got)


@pytest.mark.parametrize("status", [429, 503, 507])
def test_nobody_comes_back_before_the_service_asks_to(status):
    answers = [Answer(status, {"retry-after": "7"}), Answer(200, {})]
    _, pauses = played(GET, Retry(), answers)
    assert 7.0 <= pauses[0] <= 7.5


def test_who_is_asked_to_wait_for_an_hour_is_told_instead():
    got, pauses = played(GET, Retry(), [Answer(429, {"retry-after": "3600"})])
    assert (got.status, pauses) == (429, [])


def test_a_date_to_come_back_at_is_understood():
    now = time.time()
    later = datetime.fromtimestamp(now, timezone.utc) + timedelta(seconds=30)
    answer = Answer(503, {"retry-after": format_datetime(later, usegmt=True)})
    assert retry_after(answer, now) == pytest.approx(30, abs=1)


@pytest.mark.parametrize("text", ["", "soon", "-3", "1.5"])
def test_a_wish_to_wait_that_cannot_be_read_is_none(text):
    assert retry_after(Answer(503, {"retry-after": text}), 0.0) is None
