# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: a snapshot, what happens, the end; and the way back after a break."""

import json
import threading
import time


def listen(client, job_id, *, last=None, until="end", most=100):
    """Events as (id, type, data), until one of a type."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    found, event = [], {}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                event[name] = value
            elif not line and event:
                found.append((int(event["id"]), event["event"], json.loads(event["data"])))
                event = {}
                if found[-1][1] == until or len(found) == most:
                    break
    return found


def test_a_job_is_followed_from_snapshot_to_end(served):
    job = served.add(seconds=1.5)
    threading.Thread(target=served.work).start()
    with served.client() as client:
        told = listen(client, job.id)
    kinds = [kind for _, kind, _ in told]
    assert (kinds[0], kinds[-1]) == ("snapshot", "end")
    assert told[0][2]["id"] == job.id
    states = [data["state"] for _, kind, data in told if kind == "state"]
    assert states[-1] == "succeeded"
    assert kinds.count("artifact") == 2
    percents = [data["percent"] for _, kind, data in told if kind == "progress"]
    assert percents == sorted(percents)
    numbers = [number for number, _, _ in told]
    assert numbers == sorted(numbers)


def test_a_listener_that_comes_back_misses_nothing_and_hears_nothing_twice(served):
    job = served.add(seconds=0.3)
    served.work()
    with served.client() as client:
        whole = [e for e in served.context.jobs.events(job.id)]
        middle = whole[1].id
        told = listen(client, job.id, last=middle)
    assert [number for number, kind, _ in told if kind != "end"] == [e.id for e in whole[2:]]


def test_a_listener_whose_place_is_gone_gets_a_snapshot(served):
    job = served.add(seconds=1.2)
    thread = threading.Thread(target=served.work)
    thread.start()
    with served.client() as client:
        told = listen(client, job.id, until="progress")
        thread.join()  # steps are forgotten at the end
        again = listen(client, job.id, last=told[-1][0])
    assert [kind for _, kind, _ in again] == ["snapshot", "end"]
    assert again[0][2]["state"] == "succeeded"


def test_a_deleted_job_ends_its_listeners(served):
    job = served.add()
    with served.client() as client:
        threading.Timer(1.0, served.context.jobs.delete, (job.id, "local")).start()
        began = time.monotonic()
        told = listen(client, job.id)
    assert told[-1][2] == {"state": "deleted"}
    assert time.monotonic() - began < 5


def test_nobody_listens_to_what_is_not_theirs(served):
    job = served.add(owner="me")
    with served.client(served.key("other")) as client:
        answer = client.get(f"/v1/jobs/{job.id}/events")
        assert (answer.status_code, answer.json()["code"]) == (404, "job.not_found")


def test_a_place_that_is_no_number_is_refused(served):
    job = served.add()
    with served.client() as client:
        wrong = client.get(f"/v1/jobs/{job.id}/events", headers={"Last-Event-ID": "x"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "request.invalid")


def test_listeners_are_counted_and_limited(serve):
    with serve(max_listeners=1) as served, served.client() as client:
        job = served.add()
        thread = threading.Thread(target=listen, args=(served.client(), job.id))
        thread.start()
        while served.app.state.hub.listeners < 1:
            time.sleep(0.02)
        answer = client.get(f"/v1/jobs/{job.id}/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "events.too_many")
        served.context.jobs.cancel(job.id, "local")
        thread.join()
