# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What has expired goes, what crashes left goes, and nothing else does."""

import time

import pytest
from sqlalchemy import select, update

from photocast.jobs import tables
from photocast.jobs.housekeeping import Housekeeper
from photocast.jobs.record import State

FAKE = {"options": {"engine": "fake", "fake": {"seconds": 0}}}
BODY = {"request": '{"options": {"engine": "fake", "fake": {"seconds": 0}}}'}
DAY = 86_400.0


def keeper(served, uploads: float = DAY, inputs: float = 0.0) -> Housekeeper:
    return Housekeeper(
        served.context.database,
        served.context.files,
        served.settings.data.resolve(),
        keep_uploads_seconds=uploads,
        keep_inputs_seconds=inputs,
    )


def made(client, data: bytes = b"photo") -> dict:
    return client.post("/v1/jobs", files={"depths": ("a.npy", data)}, data=BODY).json()


def set_all(served, table, **values) -> None:
    with served.context.database.write() as connection:
        connection.execute(update(table).values(**values))


def keys(served, prefix: str = "") -> list[str]:
    return list(served.context.files.keys(prefix))


@pytest.fixture
def old_names(monkeypatch):
    """Make names that say they are a day old."""

    def older() -> None:
        now = time.time_ns
        monkeypatch.setattr(
            "photocast.jobs.ids.time.time_ns", lambda: now() - int(DAY * 1_000_000_000)
        )

    return older


def test_nothing_that_is_needed_is_removed(served):
    client = served.client()
    job = made(client)
    served.work()
    waiting = made(client, b"other")
    draft = client.post("/v1/jobs/draft", json=FAKE).json()
    before = keys(served)
    keeper(served, inputs=DAY).clean()
    assert keys(served) == before
    for one in (job, waiting, draft):
        assert client.get(one["urls"]["self"]).status_code == 200
    assert served.work().state is State.SUCCEEDED


def test_an_old_draft_goes_with_its_files(served):
    client = served.client()
    job = client.post("/v1/jobs/draft", json=FAKE).json()
    client.put(f"{job['urls']['inputs']}/images/a.jpg", content=b"photo")
    set_all(served, tables.jobs, created_at=time.time() - 2 * DAY)
    keeper(served, uploads=0).clean()
    assert client.get(job["urls"]["self"]).status_code == 200
    keeper(served).clean()
    assert client.get(job["urls"]["self"]).status_code == 404
    assert keys(served) == []


def test_expired_results_are_gone_and_the_job_says_so(served):
    client = served.client()
    job = made(client)
    served.work()
    set_all(served, tables.jobs, expires_at=time.time() - 1)
    keeper(served).clean()
    assert keys(served, "artifacts") == []
    assert client.get(job["urls"]["self"]).json()["artifacts_state"] == "expired"
    assert client.get(job["urls"]["artifacts"]).json()["state"] == "expired"
    answer = client.get(job["urls"]["report"])
    assert (answer.status_code, answer.json()["code"]) == (410, "artifacts.expired")


def test_expired_inputs_are_gone_and_a_rerun_says_so(served):
    client = served.client()
    job = made(client)
    served.work()
    set_all(served, tables.jobs, finished_at=time.time() - 2 * DAY)
    set_all(served, tables.blobs, used_at=time.time() - DAY)
    keeper(served, inputs=DAY).clean()
    assert keys(served, "inputs") == []
    answer = client.post(job["urls"]["rerun"], json={})
    assert (answer.status_code, answer.json()["code"]) == (410, "job.inputs_expired")


def test_an_expired_upload_goes_with_its_data(served):
    client = served.client()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "3"}
    whole = client.post("/v1/uploads", headers={**headers, "Content-Type":
                        "application/offset+octet-stream"}, content=b"abc")  # fmt: skip
    part = client.post("/v1/uploads", headers=headers)
    assert (whole.status_code, part.status_code) == (201, 201)
    keeper(served).clean()
    assert len(keys(served, "inputs")) == 1
    set_all(served, tables.uploads, expires_at=time.time() - 1)
    set_all(served, tables.blobs, used_at=time.time() - DAY)
    keeper(served).clean()
    assert keys(served, "inputs") == []
    assert list((served.settings.data / "uploads").iterdir()) == []


def test_a_file_of_a_request_that_crashed_goes_when_it_is_old(served, old_names):
    from photocast.jobs.blobs import new_key

    client = served.client()
    job = made(client)
    served.context.files.put_bytes(new_key("local"), b"young")
    kept = keys(served)
    old_names()
    served.context.files.put_bytes(new_key("local"), b"old")
    keeper(served).clean()
    assert keys(served) == kept
    client.delete(job["urls"]["self"])
    assert len(keys(served)) == 1


def test_folders_of_requests_and_uploads_that_crashed_go_when_they_are_old(served, old_names):
    from photocast.jobs.ids import new_id

    data = served.settings.data
    for folder in ("incoming", "uploads"):
        (data / folder).mkdir(exist_ok=True)
    young = [data / "incoming" / new_id("in"), data / "uploads" / new_id("up")]
    old_names()
    old = [data / "incoming" / new_id("in"), data / "uploads" / new_id("up")]
    for path in (young[0], old[0]):
        path.mkdir()
    for path in (young[1], old[1]):
        path.write_bytes(b"x")
    keeper(served).clean()
    assert [path.exists() for path in (*young, *old)] == [True, True, False, False]


def test_files_of_attempts_that_did_not_end_well_go(served):
    client = served.client()
    ended, running = made(client), made(client)
    served.work()
    claimed = served.context.leases.claim("wrk_1")
    assert claimed.id == running["id"]
    files = served.context.files
    stray = [f"artifacts/{ended['id']}/7/mesh.glb", "artifacts/job_gone/1/mesh.glb"]
    kept = [*keys(served), f"artifacts/{running['id']}/1/mesh.glb"]
    for key in (*stray, kept[-1]):
        files.put_bytes(key, b"x")
    keeper(served).clean()
    assert keys(served) == sorted(kept)


def test_work_of_jobs_that_have_ended_goes(served):
    client = served.client()
    waiting, ended = made(client), made(client)
    client.post(ended["urls"]["cancel"])
    work = served.settings.work_folder
    for job in (waiting, ended):
        (work / job["id"]).mkdir(parents=True)
    (work / "notes").mkdir()
    keeper(served).clean()
    assert sorted(path.name for path in work.iterdir()) == sorted([waiting["id"], "notes"])


def test_old_answers_are_forgotten(served):
    client = served.client()
    client.post("/v1/jobs", json=FAKE, headers={"Idempotency-Key": "old"})
    set_all(served, tables.idempotency, created_at=time.time() - DAY - 1)
    client.post("/v1/jobs", json=FAKE, headers={"Idempotency-Key": "new"})
    keeper(served).clean()
    with served.context.database.read() as connection:
        left = connection.execute(select(tables.idempotency.c.key)).scalars().all()
    assert left == ["new"]


def test_two_at_once_do_no_harm(served):
    client = served.client()
    made(client)
    served.work()
    set_all(served, tables.jobs, expires_at=time.time() - 1)
    for one in [keeper(served), keeper(served)]:
        one.clean()
    assert keys(served, "artifacts") == []
