# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The client against a real service: everything it can do, and what goes wrong on the way."""

import asyncio
import hashlib
import threading
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from photocast import AsyncClient, Client
from photocast.client import ClientError, JobFailed, Retry

from .conftest import PATIENT


def fake(seconds: float = 0.2, **more) -> dict[str, object]:
    """Options of a job that pretends."""
    return {"engine": "fake", "fake": {"seconds": seconds, **more}}


def hashes(folder: Path) -> dict[str, str]:
    """What of a capture folder should arrive."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.suffix in (".png", ".json") and not path.name.startswith(".")
    }


def watched_requests(client: Client) -> list[httpx.Request]:
    """The requests that a client makes from here on."""
    seen: list[httpx.Request] = []
    client._http.event_hooks = {"request": [seen.append]}
    return seen


def is_refused(url: str) -> bool:
    with httpx.stream("GET", url) as answer:
        return answer.status_code == 503


def puts(requests) -> list[str]:
    return [request.url.path for request in requests if request.method == "PUT"]


def test_a_capture_goes_there_and_its_result_comes_back(client, capture, tmp_path):
    job = client.submit(capture, options=fake(1.0), labels={"sku": "A-7"})
    assert (job.state, job.labels) == ("queued", {"sku": "A-7"})
    events = list(client.watch(job.id))
    assert (events[0].type, events[-1].type) == ("snapshot", "end")
    assert {"state", "progress", "log", "artifact"} <= {event.type for event in events}
    numbers = [int(event.id) for event in events]
    assert numbers == sorted(numbers)
    assert client.wait(job.id, timeout=60).verdict == "pass"
    assert client.report(job.id)["run"]["inputs"] == hashes(capture)
    listed = {one.name: one.sha256 for one in client.artifacts(job.id).artifacts}
    places = client.fetch(job.id, tmp_path / "out")
    assert sorted(path.name for path in places) == ["mesh.glb", "report.json"]
    for path in places:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[path.name]
    assert [line.message for line in client.logs(job.id)] != []


def test_the_same_goes_without_blocking(service, capture, tmp_path):
    async def all_of_it() -> list[Path]:
        async with AsyncClient(service.url, retry=PATIENT) as client:
            job = await client.submit(capture, options=fake())
            kinds = [event.type async for event in client.watch(job.id)]
            assert (kinds[0], kinds[-1]) == ("snapshot", "end")
            await client.wait(job.id, timeout=60)
            assert (await client.report(job.id))["run"]["inputs"] == hashes(capture)
            assert job.id in [other.id async for other in client.jobs()]
            return await client.fetch(job.id, tmp_path / "out")

    assert [path.exists() for path in asyncio.run(all_of_it())] == [True, True]


def test_what_was_sent_once_is_not_sent_again(client, capture):
    requests = watched_requests(client)
    client.submit(capture, options=fake())
    assert len(puts(requests)) == 4
    Image.new("RGB", (64, 64), "red").save(capture / "images" / "photo 1 ü.png")
    requests.clear()
    job = client.submit(capture, options=fake())
    assert len(puts(requests)) == 1
    client.wait(job.id, timeout=60)
    assert client.report(job.id)["run"]["inputs"] == hashes(capture)


def test_a_submission_that_was_stopped_goes_on_where_it_ended(client, tmp_path):
    photos = [tmp_path / f"{number}.png" for number in range(16)]
    for photo in photos:
        photo.write_bytes(f"{tmp_path}/{photo}".encode())

    def stop(stage: str, done: int, total: int, **numbers: float) -> None:
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        client.submit(photos, options=fake(), progress=stop)
    requests = watched_requests(client)
    job = client.submit(photos, options=fake())
    assert len(puts(requests)) <= 13
    assert job.inputs["images"] == 16


def test_one_key_makes_one_job(client, capture):
    job = client.submit(capture, options=fake())
    first, second = (client.rerun(job.id, key=f"only-{job.id}") for _ in range(2))
    assert first.id == second.id != job.id


def test_a_failed_job_is_an_error_with_the_services_code(client, capture):
    job = client.submit(capture, options=fake(fails="input"))
    with pytest.raises(JobFailed) as caught:
        client.wait(job.id, timeout=60)
    assert (caught.value.code, caught.value.exit_code) == ("capture.empty", 3)
    assert caught.value.job.state == "failed"
    with pytest.raises(ClientError) as caught:
        client.fetch(job.id, "out")
    assert caught.value.code == "client.no_artifact"


def test_a_job_is_canceled_repeated_and_erased(client, capture):
    job = client.submit(capture, options=fake(60))
    client.cancel(job.id)
    client.cancel(job.id)
    with pytest.raises(JobFailed) as caught:
        client.wait(job.id, timeout=60)
    assert caught.value.code == "job.canceled"
    again = client.rerun(job.id, options=fake(0.1))
    assert (again.parent_id, client.wait(again.id, timeout=60).state) == (job.id, "succeeded")
    client.delete(job.id)
    with pytest.raises(ClientError) as caught:
        client.job(job.id)
    assert (caught.value.code, caught.value.status) == ("job.not_found", 404)


def test_a_job_that_runs_is_stopped_and_erased(client, capture):
    job = client.submit(capture, options=fake(60))
    while client.job(job.id).state == "queued":
        time.sleep(0.1)
    client.delete(job.id)
    assert job.id not in [other.id for other in client.jobs()]


def test_waiting_gives_up_and_the_job_goes_on(client, capture):
    job = client.submit(capture, options=fake(60))
    with pytest.raises(ClientError) as caught:
        client.wait(job.id, timeout=0.5)
    assert caught.value.code == "client.timeout"
    assert client.cancel(job.id).error is None


def test_a_refusal_says_what_is_wrong_and_where(client, capture):
    with pytest.raises(ClientError) as caught:
        client.rerun("job_none")
    assert caught.value.problem.request_id.startswith("req_")
    job = client.submit(capture, options=fake())
    with pytest.raises(ClientError) as caught:
        client.rerun(job.id, options={"seed": -1})
    assert caught.value.code == "request.invalid"
    assert "seed" in caught.value.problem.errors[0].pointer


def test_a_mesh_is_taken_in_for_a_report(client, tmp_path):
    mesh = tmp_path / "mesh.ply"
    mesh.write_text("ply\n", encoding="utf-8")
    job = client.mesh_report(mesh, profile="print")
    assert (job.kind, job.options["profile"]) == ("mesh_report", "print")
    client.delete(job.id)


def test_watching_outlives_the_death_of_the_service(own_service, capture):
    service = own_service()
    with Client(service.url, retry=PATIENT) as client:
        job = client.submit(capture, options=fake(3))
        events, restart = [], threading.Timer(1.0, service.start)
        for event in client.watch(job.id):
            events.append(event)
            if event.type == "progress" and event.data["percent"] > 10 and not restart.ident:
                service.kill()
                restart.start()
        restart.join()
        assert events[-1].type == "end"
        assert events[-1].data["state"] == "succeeded"
        numbers = [int(event.id) for event in events if event.type != "snapshot"]
        assert numbers == sorted(numbers), "no event is told twice"
        assert client.wait(job.id).attempt == 2


def test_where_there_are_too_many_listeners_the_job_is_looked_at(own_service, capture):
    service = own_service(MAX_LISTENERS="1")
    with Client(service.url, retry=PATIENT) as client:
        job = client.submit(capture, options=fake(3))
        waiting = client.submit(capture, options=fake())
        events = f"{service.url}/v1/jobs/{waiting.id}/events"
        with httpx.stream("GET", events):
            while not is_refused(events):
                time.sleep(0.05)
            kinds = [event.type for event in client.watch(job.id)]
    assert kinds[-1] == "end"
    assert set(kinds[:-1]) == {"snapshot"}


def test_a_service_that_asks_to_wait_is_waited_for(own_service, capture):
    service = own_service(RATE_PER_SECOND="4", RATE_BURST="1")
    with Client(service.url, retry=PATIENT) as client:
        answers = []
        client._http.event_hooks = {"response": [lambda answer: answers.append(answer.status_code)]}
        job = client.submit(capture, options=fake())
        assert answers.count(429) >= 1
        assert job.state == "queued"


def test_a_download_that_is_cut_again_and_again_arrives_whole(proxy, client, capture, tmp_path):
    job = client.submit(capture, options=fake())
    client.wait(job.id, timeout=60)
    (mesh,) = [one for one in client.artifacts(job.id).artifacts if one.name == "mesh.glb"]
    proxy.cut_after = mesh.size // 4
    with Client(proxy.url, retry=PATIENT) as cut:
        requests = watched_requests(cut)
        (path,) = cut.fetch(job.id, tmp_path, names=["mesh.glb"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == mesh.sha256
    ranges = [request.headers.get("range") for request in requests if "mesh" in request.url.path]
    assert len(ranges) >= 4
    assert None not in ranges[1:], "what has arrived is not asked for again"


def test_bytes_that_arrive_damaged_are_fetched_again(proxy, client, capture, tmp_path):
    job = client.submit(capture, options=fake())
    client.wait(job.id, timeout=60)
    damaged = []

    def damage_once(data: bytes) -> bytes:
        if b"glTF" in data and not damaged:
            damaged.append(data)
            return data.replace(b"glTF", b"glTX", 1)
        return data

    proxy.change = damage_once
    with Client(proxy.url, retry=PATIENT) as far:
        requests = watched_requests(far)
        (path,) = far.fetch(job.id, tmp_path, names=["mesh.glb"])
    assert len(damaged) == 1
    assert path.read_bytes()[:4] == b"glTF"
    assert sum("mesh" in request.url.path for request in requests) == 2


def test_a_service_that_is_not_there_is_told_of(tmp_path):
    with (
        Client("http://127.0.0.1:9", retry=Retry(count=1, base=0.01)) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.system()
    assert caught.value.code == "client.unreachable"
