# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Server-sent events are read alike however the network cuts them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.client.sse import JobEvent, SseParser

WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\0"))
EVENTS = st.lists(
    st.tuples(st.sampled_from(["state", "progress", "log", "end"]), WORDS, st.integers(1, 10**9)),
    max_size=6,
)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def written(events, ends, comment: str) -> bytes:
    """A stream as a server may write it."""
    lines = [f":{comment}"]
    for kind, text, number in events:
        lines += [f"event: {kind}", f"id: {number}", f"data:{json.dumps({'text': text})}", ""]
    return "".join(line + ends[place % len(ends)] for place, line in enumerate(lines)).encode()


@settings(deadline=None)
@given(
    events=EVENTS, ends=st.lists(LINE_ENDS, min_size=1, max_size=5), comment=WORDS, data=st.data()
)
def test_events_are_the_same_for_every_way_to_cut_the_bytes(events, ends, comment, data):
    # Of two lines that end in CR and LF, the second would be empty if the ends met.
    ends = [end for end in ends if end != "\n"] or ["\n"]
    stream = written(events, ends, comment)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser, found = SseParser(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += parser.feed(stream[start:end])
    assert found == [JobEvent(kind, {"text": text}, str(n)) for kind, text, n in events]
    assert parser.last_id == (str(events[-1][2]) if events else "")


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"\xef\xbb\xbfevent: end\ndata: {}\n\n", [JobEvent("end", {}, "")]),
        (b"data: {\ndata: }\n\n", [JobEvent("message", {}, "")]),
        (b"event: lost\n\ndata: {}\n\n", [JobEvent("message", {}, "")]),
        (b"data: 3\n\n", [JobEvent("message", {"value": 3}, "")]),
        (b"data: not JSON\n\n", [JobEvent("message", {"value": "not JSON"}, "")]),
        (b"id: 7\n\nid\ndata: {}\n\n", [JobEvent("message", {}, "")]),
        (b"id: a\0b\ndata: {}\n\n", [JobEvent("message", {}, "")]),
        (b"data: {}\n", []),
        (b"unknown: 1\n: comment\n\n", []),
    ],
)
def test_corners_of_the_standard(stream, events):
    assert SseParser().feed(stream) == events


def test_the_pause_before_listening_again_is_the_services():
    parser = SseParser("4")
    assert parser.feed(b"retry: 1500\nretry: soon\n\n") == []
    assert (parser.retry_seconds, parser.last_id) == (1.5, "4")
