# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What jobs made: downloads with ranges and conditions, reports, and the end of everything."""

import hashlib

import pytest

from photocast.jobs.record import State

FAKE = {"engine": "fake", "fake": {"seconds": 0}}


@pytest.fixture
def done(served, picture):
    """A client and a job that has succeeded."""
    client = served.client()
    files = [("images", ("a.png", picture(1)))]
    job = client.post("/v1/jobs", files=files, data={"request": _json()}).json()
    assert served.work().state is State.SUCCEEDED
    return client, client.get(job["urls"]["self"]).json()


def _json() -> str:
    return '{"options": {"engine": "fake", "fake": {"seconds": 0}}}'


@pytest.fixture
def mesh(done):
    """A client, the mesh in the list of what was made, and its bytes."""
    client, job = done
    made = client.get(job["urls"]["artifacts"]).json()["artifacts"]
    one = next(one for one in made if one["name"] == "mesh.glb")
    return client, one, client.get(one["url"]).content


def test_the_list_tells_size_hash_and_kind_of_every_file(done, mesh):
    client, job = done
    listed = client.get(job["urls"]["artifacts"]).json()
    assert listed["state"] == "available"
    assert [one["name"] for one in listed["artifacts"]] == ["mesh.glb", "report.json"]
    _, one, data = mesh
    assert one["size"] == len(data)
    assert one["sha256"] == hashlib.sha256(data).hexdigest()
    assert one["media_type"] == "model/gltf-binary"


def test_a_download_cannot_be_taken_for_a_page(mesh):
    client, one, data = mesh
    answer = client.get(one["url"])
    assert answer.headers["content-disposition"].startswith('attachment; filename="mesh.glb"')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["etag"] == f'"{one["sha256"]}"'


def test_head_tells_the_same_without_the_bytes(mesh):
    client, one, data = mesh
    answer = client.head(one["url"])
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(data))


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("0-0", 0, 1),
        ("10-19", 10, 20),
        ("100-", 100, None),
        ("-7", -7, None),
        ("5-99999999", 5, None),
    ],
)
def test_a_range_is_those_bytes(mesh, text, start, stop):
    client, one, data = mesh
    answer = client.get(one["url"], headers={"Range": f"bytes={text}"})
    assert answer.status_code == 206
    assert answer.content == data[start:stop]
    first = start % len(data)
    last = first + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("text", ["99999999-", "-0"])
def test_a_range_beyond_the_end_is_refused_with_the_size(mesh, text):
    client, one, data = mesh
    answer = client.get(one["url"], headers={"Range": f"bytes={text}"})
    assert (answer.status_code, answer.json()["code"]) == (416, "request.range")
    assert answer.headers["content-range"] == f"bytes */{len(data)}"


@pytest.mark.parametrize("text", ["bytes=0-1,5-6", "bytes=9-2", "bytes=-", "lines=1-2", "bytes=x-"])
def test_a_range_that_is_not_served_gives_the_whole(mesh, text):
    client, one, data = mesh
    answer = client.get(one["url"], headers={"Range": text})
    assert (answer.status_code, answer.content) == (200, data)


def test_a_range_of_another_version_gives_the_whole(mesh):
    client, one, data = mesh
    headers = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert client.get(one["url"], headers=headers).status_code == 200
    headers["If-Range"] = f'"{one["sha256"]}"'
    assert client.get(one["url"], headers=headers).content == data[:10]


def test_what_has_not_changed_is_not_sent_again(mesh):
    client, one, _ = mesh
    headers = {"If-None-Match": f'"x", W/"{one["sha256"]}"'}
    answer = client.get(one["url"], headers=headers)
    assert (answer.status_code, answer.content) == (304, b"")


def test_nothing_else_can_be_read_by_name(done):
    client, job = done
    for name in ("nothing.glb", "..%2f..%2fphotocast.db", "%2e%2e/x"):
        answer = client.get(f"{job['urls']['artifacts']}/{name}")
        assert answer.status_code == 404


def test_files_of_another_owner_are_not_there(served, done):
    _, job = done
    other = served.client(served.key("other"))
    for url in ("artifacts", "report"):
        assert other.get(job["urls"][url]).json()["code"] == "job.not_found"
    assert other.get(f"{job['urls']['artifacts']}/mesh.glb").json()["code"] == "job.not_found"
    assert other.delete(job["urls"]["self"]).json()["code"] == "job.not_found"


def test_a_job_that_waits_has_no_report_yet(served):
    client = served.client()
    job = client.post("/v1/jobs", json={"options": FAKE}).json()
    answer = client.get(job["urls"]["report"])
    assert (answer.status_code, answer.json()["code"]) == (404, "artifact.not_found")
    assert client.get(job["urls"]["artifacts"]).json()["artifacts"] == []


def test_a_deleted_job_leaves_no_file(served, done):
    client, job = done
    assert client.delete(job["urls"]["self"]).status_code == 204
    assert client.get(job["urls"]["self"]).status_code == 404
    assert list(served.context.files.keys()) == []


def test_a_content_that_another_job_has_stays(served, done):
    client, job = done
    again = client.post(job["urls"]["rerun"], json={}).json()
    client.delete(job["urls"]["self"])
    assert len(list(served.context.files.keys("inputs"))) == 1
    assert served.work().state is State.SUCCEEDED
    client.delete(again["urls"]["self"])
    assert list(served.context.files.keys()) == []


def test_a_job_that_runs_is_cancelled_first(served):
    client = served.client()
    job = client.post("/v1/jobs", json={"options": FAKE}).json()
    claimed = served.context.leases.claim("wrk_1")
    answer = client.delete(job["urls"]["self"])
    assert answer.status_code == 202
    assert answer.json()["cancel_requested_at"] is not None
    assert served.context.leases.cancel_wanted(claimed)


def test_a_store_with_links_of_its_own_sends_clients_there(served, mesh, monkeypatch):
    client, one, _ = mesh
    link = "https://store.example.org/x?signed"
    monkeypatch.setattr(type(served.context.files), "presigned_url", lambda *_: link)
    answer = client.get(one["url"])
    assert (answer.status_code, answer.headers["location"]) == (302, link)
    assert client.head(one["url"]).status_code == 200


def test_a_mesh_that_somebody_sends_gets_a_report(served, mesh):
    client, _, data = mesh
    answer = client.post(
        "/v1/mesh-reports", files={"mesh": ("scan.glb", data)}, data={"profile": "print"}
    )
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], job["options"]["profile"]) == ("mesh_report", "print")
    assert served.work().state is State.SUCCEEDED
    now = client.get(job["urls"]["self"]).json()
    report = client.get(job["urls"]["report"]).json()
    assert now["verdict"] == report["verdict"]
    assert report["profile"] == "print"
    page = client.get(f"{job['urls']['report']}.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "scan.glb" in page.text


def test_what_is_no_mesh_fails_with_the_reason(served):
    client = served.client()
    job = client.post("/v1/mesh-reports", files={"mesh": ("scan.glb", b"no mesh")}).json()
    assert served.work().state is State.FAILED
    error = client.get(job["urls"]["self"]).json()["error"]
    assert error["code"].startswith("mesh.")
    assert "scan.glb" in error["detail"]


@pytest.mark.parametrize(
    ("files", "data", "code"),
    [
        ({"mesh": ("scan.exe", b"x")}, {}, "upload.unsupported"),
        ({"mesh": ("scan.glb", b"x")}, {"profile": "/etc/passwd"}, "profile.unknown"),
        ({}, {"profile": "view"}, "request.media_type"),
    ],
)
def test_other_requests_for_a_report_are_refused(served, files, data, code):
    answer = served.client().post("/v1/mesh-reports", files=files, data=data)
    assert answer.json()["code"] == code
    assert list(served.context.files.keys()) == []
