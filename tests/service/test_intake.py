# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""New jobs and their files: what is taken in, what is refused, and that refusals leave nothing."""

import hashlib
import io
import json
import os
import socket

import pytest
from PIL import Image
from sqlalchemy import select

from photocast.formats.depth_maps import DEPTH_SUFFIXES
from photocast.formats.images import PHOTO_SUFFIXES
from photocast.formats.meshes import MESH_SUFFIXES
from photocast.jobs import tables
from photocast.jobs.names import SUFFIXES, safe_name

FAKE = {"options": {"engine": "fake", "fake": {"seconds": 0}}}


def photos(count: int, start: int = 0) -> list[tuple]:
    return [("images", (f"{i:03}.png", shaded(i))) for i in range(start, start + count)]


def shaded(shade: int) -> bytes:
    """A small PNG without any metadata, which stays the same when it is cleaned."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def form(wanted: dict = FAKE) -> dict:
    return {"request": json.dumps(wanted)}


def post(client, files, wanted=FAKE, **more):
    return client.post("/v1/jobs", files=files, data=form(wanted), **more)


def stored_files(served) -> list[str]:
    return list(served.context.files.keys("inputs"))


def left_over(served) -> list:
    data = served.settings.data
    rows = []
    with served.context.database.read() as connection:
        for table in (tables.jobs, tables.blobs, tables.inputs):
            rows += connection.execute(select(table)).all()
    return [*rows, *stored_files(served), *(data / "incoming").glob("*")]


def test_a_form_becomes_a_job_that_a_worker_can_run(served):
    client = served.client()
    files = [
        *photos(3),
        ("masks", ("000.png", shaded(99))),
        ("cameras", ("transforms.json", b"{}")),
    ]
    answer = post(client, files)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == job["urls"]["self"]
    assert answer.headers["retry-after"]
    assert job["state"] == "queued"
    size = sum(len(data) for _, (_, data) in files)
    assert job["inputs"] == {"cameras": 1, "images": 3, "masks": 1, "bytes": size}
    served.work()
    report = client.get(job["urls"]["report"]).json()
    wanted = {
        **{f"images/00{i}.png": shaded(i) for i in range(3)},
        "masks/000.png": shaded(99),
        "transforms.json": b"{}",
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
    assert report["run"]["inputs"] == hashes


def test_files_of_a_capture_keep_their_paths(served):
    client = served.client()
    files = [
        ("capture", ("images/left/1.png", shaded(1))),
        ("capture", ("sparse/0/cameras.bin", b"2")),
    ]
    job = post(client, files).json()
    served.work()
    made = client.get(job["urls"]["report"]).json()["run"]["inputs"]
    assert sorted(made) == ["images/left/1.png", "sparse/0/cameras.bin"]


def test_a_content_is_stored_once_for_each_owner(served):
    one, other = served.client(served.key("one")), served.client(served.key("other"))
    same = [("images", ("a.jpg", b"same")), ("images", ("b.jpg", b"same"))]
    assert post(one, same).status_code == 202
    assert post(one, same).status_code == 202
    assert len(stored_files(served)) == 1
    assert post(other, same).status_code == 202
    assert len(stored_files(served)) == 2


def test_a_file_that_is_stored_can_be_named_instead_of_sent(served):
    client = served.client()
    post(client, photos(1))
    sha256 = hashlib.sha256(shaded(0)).hexdigest()
    ref = {"role": "images", "name": "again.jpg", "sha256": sha256}
    answer = client.post("/v1/jobs", json={**FAKE, "inputs": [ref]})
    assert answer.status_code == 202
    assert answer.json()["inputs"] == {"images": 1, "bytes": len(shaded(0))}


def test_a_hash_of_another_owner_is_as_unknown_as_one_of_nobody(served):
    post(served.client(served.key("one")), photos(1))
    client = served.client(served.key("other"))
    answers = []
    for data in (shaded(0), b"nobody's"):
        ref = {"role": "images", "name": "x.jpg", "sha256": hashlib.sha256(data).hexdigest()}
        answer = client.post("/v1/jobs", json={**FAKE, "inputs": [ref]})
        assert answer.status_code == 422
        answers.append({**answer.json(), "request_id": ""})
    assert answers[0] == answers[1]
    assert answers[0]["code"] == "input.unknown"
    assert answers[0]["errors"][0]["pointer"] == "/inputs/0"


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("../up.jpg", 422, "upload.name"),
        ("/root.jpg", 422, "upload.name"),
        ("a//b.jpg", 422, "upload.name"),
        (".hidden.jpg", 422, "upload.name"),
        ("a/.b/c.jpg", 422, "upload.name"),
        ("back\\slash.jpg", 422, "upload.name"),
        ("c:colon.jpg", 422, "upload.name"),
        ("x" * 252 + ".jpg", 422, "upload.name"),
        ("a\u202egpj.exe.jpg", 422, "upload.name"),
        ("run.exe", 415, "upload.unsupported"),
        ("page.svg", 415, "upload.unsupported"),
        ("none", 415, "upload.unsupported"),
    ],
)
def test_an_unsafe_or_unknown_name_is_refused_and_leaves_nothing(served, name, status, code):
    answer = post(served.client(), [*photos(2), ("images", (name, b"data"))])
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["errors"][0]["pointer"] == "/images"
    assert left_over(served) == []


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        ([("images", ("a.jpg", b""))], 422, "upload.empty"),
        ([*photos(1), *photos(1)], 422, "upload.duplicate"),
        ([("images", ("a.jpg", b"1")), ("capture", ("images/a.jpg", b"2"))], 422,
         "upload.duplicate"),
        ([("capture", ("a.jpg", b"1")), ("capture", ("a.jpg/b.jpg", b"2"))], 422,
         "upload.duplicate"),
        ([("weights", ("a.jpg", b"1"))], 422, "request.field"),
        ([("mesh", ("a.glb", b"1"))], 422, "request.field"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_a_capture_are_refused_and_leave_nothing(served, files, status, code):
    answer = post(served.client(), files)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert left_over(served) == []


@pytest.mark.parametrize(
    ("settings", "code", "status"),
    [
        ({"max_file_bytes": 1000}, "upload.too_large", 413),
        ({"max_job_bytes": 1500}, "upload.too_large", 413),
        ({"max_photos": 1}, "upload.too_many", 413),
        ({"max_stored_bytes": 1}, "quota.bytes", 429),
        ({"disk_reserve_bytes": 10**18}, "disk.full", 507),
    ],
)
def test_every_limit_is_kept_and_leaves_nothing(serve, settings, code, status):
    with serve(**settings) as served:
        big = [("images", (f"{i}.jpg", bytes([i]) * 1001)) for i in range(2)]
        answer = post(served.client(), big)
        if code == "quota.bytes":  # the first job was within it
            assert answer.status_code == 202
            answer = post(served.client(), photos(1))
            assert len(stored_files(served)) == 2
        else:
            assert left_over(served) == []
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_client_that_sends_too_much_can_read_why(serve):
    with serve(max_file_bytes=1000) as served:
        answer = post(served.client(), [("images", ("large.jpg", bytes(30_000_000)))])
        assert (answer.status_code, answer.json()["code"]) == (413, "upload.too_large")
        assert left_over(served) == []


def test_one_job_more_than_allowed_is_refused_and_leaves_nothing(serve):
    with serve(max_open_jobs=2) as served:
        client = served.client()
        for index in range(2):
            assert post(client, photos(1, index)).status_code == 202
        answer = post(client, photos(1, 5), headers={"Idempotency-Key": "late"})
        assert (answer.status_code, answer.json()["code"]) == (429, "quota.jobs")
        assert len(stored_files(served)) == 2


def test_a_job_without_photos_is_refused_unless_it_only_pretends(served):
    client = served.client()
    answer = client.post("/v1/jobs", json={})
    assert (answer.status_code, answer.json()["code"]) == (422, "job.no_inputs")
    assert client.post("/v1/jobs", json=FAKE).status_code == 202


def test_the_engine_generate_is_there_only_where_there_are_weights(serve, tmp_path):
    wanted = {"request": json.dumps({"options": {"engine": "generate"}})}
    with serve() as served:
        answer = served.client().post("/v1/jobs", files=photos(1), data=wanted)
        assert (answer.status_code, answer.json()["code"]) == (422, "engine.unknown")
        assert "PHOTOCAST_WEIGHTS" in answer.json()["detail"]
    with serve(weights=tmp_path) as served:
        answer = served.client().post("/v1/jobs", files=photos(1), data=wanted)
        assert answer.status_code == 202


def test_the_fake_engine_is_there_only_when_offered(serve):
    with serve(fake_engine=False) as served:
        answer = post(served.client(), photos(1))
        assert (answer.status_code, answer.json()["code"]) == (422, "engine.unknown")
        assert left_over(served) == []


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ("{", 400, "request.malformed"),
        ('{"surprise": 1}', 422, "request.invalid"),
        ('{"options": {"preset": "fastest"}}', 422, "request.invalid"),
    ],
)
def test_wishes_that_cannot_be_read_are_refused_with_a_pointer(served, wanted, status, code):
    answer = served.client().post("/v1/jobs", files=photos(1), data={"request": wanted})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert left_over(served) == []


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "multipart/mixed"])
def test_other_bodies_are_refused(served, kind):
    answer = served.client().post("/v1/jobs", content=b"x", headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "request.media_type")


def test_a_form_that_ends_in_the_middle_is_refused_and_leaves_nothing(served):
    body = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\ndata'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = served.client().post("/v1/jobs", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")
    assert left_over(served) == []


def test_a_client_that_goes_away_leaves_nothing(served):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        head = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 900000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
        )
        line.sendall(head.encode() + b"x" * 600_000)
    for _ in range(200):
        if (served.settings.data / "incoming").is_dir() and left_over(served) == []:
            break
        served.client().get("/healthz")
    assert left_over(served) == []


def test_a_huge_json_body_is_refused_before_it_is_read(served):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        head = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n{"
        )
        line.sendall(head.encode())
        answer = line.recv(2000)
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_json_body_of_unknown_length_is_cut_off(served):
    def body():
        for _ in range(100):
            yield b" " * 100_000

    headers = {"content-type": "application/json"}
    answer = served.client().post("/v1/jobs/draft", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


def test_a_webhooks_secret_is_made_and_shown_once(served):
    client = served.client()
    wanted = {**FAKE, "webhook": {"url": "https://example.org/hook"}}
    job = client.post("/v1/jobs", json=wanted).json()
    assert job["webhook_secret"].startswith("whsec_")
    assert client.get(job["urls"]["self"]).json()["webhook_secret"] is None


def test_a_draft_is_filled_file_by_file_and_submitted(served):
    client = served.client()
    job = client.post("/v1/jobs/draft", json=FAKE).json()
    assert job["state"] == "draft"
    data = os.urandom(100_000)
    sha256 = hashlib.sha256(data).hexdigest()
    url = f"{job['urls']['inputs']}/depths/sub/1.npy"
    answer = client.put(url, content=data, headers={"X-Content-SHA256": sha256})
    view = {"role": "depths", "name": "sub/1.npy", "size": 100_000, "sha256": sha256}
    assert answer.json() == view
    assert client.get(job["urls"]["inputs"]).json() == [view]
    answer = client.post(f"{job['urls']['self']}/submit")
    assert answer.status_code == 202
    assert answer.json()["inputs"] == {"depths": 1, "bytes": 100_000}
    assert client.put(url, content=b"later").json()["code"] == "job.invalid_state"
    assert client.post(f"{job['urls']['self']}/submit").json()["code"] == "job.invalid_state"
    assert served.work().state.value == "succeeded"


def test_a_file_of_a_draft_is_replaced_and_removed_with_its_content(served):
    client = served.client()
    job = client.post("/v1/jobs/draft", json=FAKE).json()
    url = f"{job['urls']['inputs']}/images/1.jpg"
    client.put(url, content=b"first")
    client.put(url, content=b"second")
    assert len(stored_files(served)) == 1
    assert client.get(job["urls"]["self"]).json()["inputs"] == {"images": 1, "bytes": 6}
    assert client.delete(url).status_code == 204
    assert client.delete(url).json()["code"] == "input.not_found"
    assert stored_files(served) == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"X-Content-SHA256": "0" * 64}, 422, "upload.checksum"),
        ({"Content-Digest": f"sha-256=:{'A' * 43}=:"}, 422, "upload.checksum"),
        ({"Content-Digest": "sha-256=:AAAA:"}, 400, "request.digest"),
    ],
)
def test_a_file_with_another_digest_is_refused_and_leaves_nothing(served, headers, status, code):
    client = served.client()
    job = client.post("/v1/jobs/draft", json=FAKE).json()
    answer = client.put(f"{job['urls']['inputs']}/images/1.jpg", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert stored_files(served) == []


def test_a_draft_of_another_owner_is_not_there(served):
    job = served.client(served.key("one")).post("/v1/jobs/draft", json=FAKE).json()
    other = served.client(served.key("other"))
    url = f"{job['urls']['inputs']}/images/1.jpg"
    for answer in (
        other.put(url, content=b"x"),
        other.delete(url),
        other.get(job["urls"]["inputs"]),
        other.post(f"{job['urls']['self']}/submit"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "job.not_found")


def test_a_draft_without_photos_cannot_be_submitted(served):
    client = served.client()
    job = client.post("/v1/jobs/draft", json={}).json()
    answer = client.post(f"{job['urls']['self']}/submit")
    assert (answer.status_code, answer.json()["code"]) == (422, "job.no_inputs")


def test_a_rerun_has_the_inputs_of_the_first_and_its_own_options(served):
    client = served.client()
    first = post(client, photos(2)).json()
    again = client.post(first["urls"]["rerun"], json={"options": {"seed": 7}}).json()
    assert again["inputs"] == first["inputs"]
    assert again["options"] == {**first["options"], "seed": 7}
    assert again["parent_id"] == first["id"]


def test_the_suffixes_are_those_that_the_formats_read():
    assert set(MESH_SUFFIXES) == SUFFIXES["mesh"]
    assert set(DEPTH_SUFFIXES) == SUFFIXES["depths"]
    assert PHOTO_SUFFIXES - {".bmp"} == SUFFIXES["images"] == SUFFIXES["masks"]


def test_a_name_is_brought_to_its_composed_form():
    assert safe_name("e\u0301.jpg") == "\u00e9.jpg"
