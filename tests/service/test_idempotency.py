# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A request that is sent again changes nothing, whatever happened to the first answer."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from photocast.jobs.tables import idempotency, jobs

FAKE = {"options": {"engine": "fake"}}
KEY = {"Idempotency-Key": "k-1"}


def count_jobs(served) -> int:
    with served.context.database.read() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


def post(client, name="a.jpg", data=b"data", wanted=FAKE, headers=KEY):
    files = [("images", (name, data))]
    return client.post(
        "/v1/jobs", files=files, data={"request": json.dumps(wanted)}, headers=headers
    )


def test_the_first_answer_is_given_again(served):
    client = served.client()
    first, again = post(client), post(client)
    assert again.json() == first.json()
    assert again.status_code == first.status_code == 202
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert count_jobs(served) == 1


@pytest.mark.parametrize(
    "other", [{"name": "b.jpg"}, {"data": b"other"}, {"wanted": {"options": {"engine": "fake",
                                                                           "seed": 1}}}]
)  # fmt: skip
def test_another_request_with_the_same_key_is_refused_and_leaves_nothing(served, other):
    client = served.client()
    post(client)
    answer = post(client, **other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.mismatch")
    assert count_jobs(served) == 1
    assert len(list(served.context.files.keys("inputs"))) == 1


def test_owners_do_not_share_keys(served):
    answers = [post(served.client(served.key(owner))) for owner in ("one", "other")]
    assert answers[0].json()["id"] != answers[1].json()["id"]


def test_many_at_once_make_one_job(served):
    def send(_):
        while (answer := post(served.client())).status_code == 409:
            assert answer.json()["code"] == "idempotency.in_flight"
            assert answer.headers["retry-after"]
            time.sleep(0.05)
        return answer.json()["id"]

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(send, range(16)))
    assert len(names) == 1
    assert count_jobs(served) == 1
    assert len(list(served.context.files.keys("inputs"))) == 1


def test_a_second_request_is_refused_while_the_first_is_read(served):
    more, begun = threading.Event(), threading.Event()

    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
        begun.set()
        more.wait(10)
        yield b"x\r\n--b--\r\n"

    headers = {**KEY, "content-type": "multipart/form-data; boundary=b"}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(served.client().post, "/v1/jobs", content=body(), headers=headers)
        begun.wait(10)
        for _ in range(100):
            answer = post(served.client(), headers=KEY)
            if answer.status_code == 409:
                break
        more.set()
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency.in_flight")
        first.result()


def test_after_a_day_a_key_is_new(served):
    client = served.client()
    first = post(client).json()
    with served.context.database.write() as connection:
        connection.execute(update(idempotency).values(created_at=time.time() - 86_401))
    assert post(client).json()["id"] != first["id"]


def test_a_refusal_is_not_remembered(serve):
    with serve(max_open_jobs=1) as served:
        client = served.client()
        job = client.post("/v1/jobs", json=FAKE).json()
        assert post(client).status_code == 429
        client.post(job["urls"]["cancel"])
        assert post(client).status_code == 202


def test_a_repeated_answer_needs_no_free_place(serve):
    with serve(max_open_jobs=1) as served:
        client = served.client()
        assert post(client).json() == post(client).json()


@pytest.mark.parametrize("path", ["/v1/jobs/draft", "rerun", "/v1/mesh-reports"])
def test_every_way_to_make_a_job_takes_a_key(served, path):
    client = served.client()
    if path == "rerun":
        path = client.post("/v1/jobs", json=FAKE).json()["urls"]["rerun"]
    before = count_jobs(served)
    more = {"files": {"mesh": ("a.ply", b"ply")}} if "mesh" in path else {"json": {}}
    answers = [client.post(path, headers=KEY, **more) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert count_jobs(served) == before + 1


def test_a_key_that_no_header_may_have_is_refused(served):
    answer = post(served.client(), headers={"Idempotency-Key": "x" * 256})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
