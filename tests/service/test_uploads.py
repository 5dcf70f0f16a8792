# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Uploads that go on where they stopped, by the protocol tus 1.0.0."""

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from photocast.jobs.tables import uploads

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
FAKE = {"engine": "fake", "fake": {"seconds": 0}}


def begin(client, size: int, **headers):
    return client.post("/v1/uploads", headers={**TUS, "Upload-Length": str(size), **headers})


def send(client, url: str, offset: int, data: bytes, **headers):
    return client.patch(
        url, content=data, headers={**PIECE, "Upload-Offset": str(offset), **headers}
    )


def offset_of(client, url: str) -> int:
    return int(client.head(url, headers=TUS).headers["upload-offset"])


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_server_says_what_it_can(served):
    answer = served.client().options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(served.settings.max_file_bytes)
    wanted = {"creation", "creation-with-upload", "expiration", "checksum", "termination"}
    assert set(answer.headers["tus-extension"].split(",")) == wanted


def test_an_upload_in_pieces_becomes_a_file_of_a_job(served):
    client, data = served.client(), os.urandom(300_000)
    url = begin(client, len(data)).headers["location"]
    for start in range(0, len(data), 100_000):
        assert offset_of(client, url) == start
        answer = send(client, url, start, data[start : start + 100_000])
        assert answer.status_code == 204
        assert answer.headers["upload-expires"].endswith("GMT")
    sha256 = hashlib.sha256(data).hexdigest()
    assert client.head(url, headers=TUS).headers["x-content-sha256"] == sha256
    ref = {"role": "depths", "name": "a.npy", "upload_id": name_of(url)}
    job = client.post("/v1/jobs", json={"options": FAKE, "inputs": [ref]}).json()
    served.work()
    report = client.get(job["urls"]["report"]).json()
    assert report["run"]["inputs"] == {"depth/a.npy": sha256}
    assert list((served.settings.data / "uploads").iterdir()) == []


def test_the_first_piece_may_come_with_the_creation(served):
    client = served.client()
    headers = {**PIECE, "Upload-Length": "6"}
    answer = client.post("/v1/uploads", content=b"abc", headers=headers)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "3")
    assert send(client, answer.headers["location"], 3, b"def").headers["upload-offset"] == "6"


def test_an_unfinished_upload_is_no_file_yet(served):
    client = served.client()
    url = begin(client, 6).headers["location"]
    ref = {"role": "images", "name": "a.jpg", "upload_id": name_of(url)}
    answer = client.post("/v1/jobs", json={"options": FAKE, "inputs": [ref]})
    assert (answer.status_code, answer.json()["code"]) == (422, "input.unknown")


def test_what_came_before_the_line_broke_is_kept(served):
    client = served.client()
    url = begin(client, 1_000_000).headers["location"]
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        head = (
            f"PATCH /v1/uploads/{name_of(url)} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Content-Type: application/offset+octet-stream\r\nTus-Resumable: 1.0.0\r\n"
            "Upload-Offset: 0\r\nContent-Length: 1000000\r\n\r\n"
        )
        line.sendall(head.encode() + b"x" * 400_000)
        time.sleep(0.3)
    for _ in range(100):
        if offset_of(client, url):
            break
        time.sleep(0.02)
    kept = offset_of(client, url)
    assert 0 < kept <= 400_000
    assert send(client, url, kept, b"x" * (1_000_000 - kept)).status_code == 204


def test_what_a_crash_left_beyond_the_known_offset_is_overwritten(served):
    client = served.client()
    url = begin(client, 6).headers["location"]
    send(client, url, 0, b"abc")
    path = served.settings.data / "uploads" / name_of(url)
    path.write_bytes(b"abcXX")
    send(client, url, 3, b"def")
    sha256 = client.head(url, headers=TUS).headers["x-content-sha256"]
    assert sha256 == hashlib.sha256(b"abcdef").hexdigest()


def test_an_upload_whose_end_was_lost_is_finished_when_it_is_named(served):
    client = served.client()
    url = begin(client, 6).headers["location"]
    (served.settings.data / "uploads" / name_of(url)).write_bytes(b"abcdef")
    with served.context.database.write() as connection:
        connection.execute(update(uploads).values(offset=6))
    ref = {"role": "images", "name": "a.jpg", "upload_id": name_of(url)}
    answer = client.post("/v1/jobs", json={"options": FAKE, "inputs": [ref]})
    assert answer.json()["inputs"] == {"images": 1, "bytes": 6}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_piece_with_another_checksum_is_refused_and_forgotten(served, algorithm):
    client = served.client()
    url = begin(client, 6).headers["location"]
    right = base64.b64encode(hashlib.new(algorithm, b"abc").digest()).decode()
    headers = {"Upload-Checksum": f"{algorithm} {right}"}
    answer = send(client, url, 0, b"abX", **headers)
    assert (answer.status_code, answer.json()["code"]) == (460, "upload.checksum")
    assert offset_of(client, url) == 0
    assert send(client, url, 0, b"abc", **headers).status_code == 204


@pytest.mark.parametrize("header", ["md5 AAAA", "sha1 ???", "sha1"])
def test_a_checksum_that_cannot_be_read_is_refused(served, header):
    client = served.client()
    url = begin(client, 6).headers["location"]
    answer = send(client, url, 0, b"abc", **{"Upload-Checksum": header})
    assert (answer.status_code, answer.json()["code"]) == (400, "upload.checksum_header")


def test_another_offset_is_refused_and_the_right_one_told(served):
    client = served.client()
    url = begin(client, 6).headers["location"]
    send(client, url, 0, b"ab")
    answer = send(client, url, 3, b"d")
    assert (answer.status_code, answer.json()["code"]) == (409, "upload.offset")
    assert answer.headers["upload-offset"] == "2"
    assert answer.headers["tus-resumable"] == "1.0.0"


def test_more_bytes_than_announced_are_refused(served):
    client = served.client()
    url = begin(client, 3).headers["location"]
    answer = send(client, url, 0, b"abcd")
    assert (answer.status_code, answer.json()["code"]) == (413, "upload.too_large")


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
@pytest.mark.parametrize("version", [None, "0.2.2"])
def test_another_version_of_the_protocol_is_refused(served, method, version):
    client = served.client()
    url = begin(client, 3).headers["location"]
    headers = {} if version is None else {"Tus-Resumable": version}
    answer = client.request(method, "/v1/uploads" if method == "POST" else url, headers=headers)
    assert answer.status_code == 412
    assert answer.headers["tus-version"] == "1.0.0"


def test_a_size_beyond_the_limit_is_refused(serve):
    with serve(max_file_bytes=10) as served:
        answer = begin(served.client(), 11)
        assert (answer.status_code, answer.json()["code"]) == (413, "upload.too_large")


def test_an_upload_of_another_owner_is_not_there(served):
    url = begin(served.client(served.key("one")), 3).headers["location"]
    other = served.client(served.key("other"))
    ref = {"role": "images", "name": "a.jpg", "upload_id": name_of(url)}
    assert other.head(url, headers=TUS).status_code == 404
    assert send(other, url, 0, b"abc").status_code == 404
    assert other.delete(url, headers=TUS).status_code == 404
    answer = other.post("/v1/jobs", json={"options": FAKE, "inputs": [ref]})
    assert answer.status_code == 404


def test_an_upload_expires(served):
    client = served.client()
    url = begin(client, 3).headers["location"]
    with served.context.database.write() as connection:
        connection.execute(update(uploads).values(expires_at=time.time() - 1))
    answer = send(client, url, 0, b"abc")
    assert (answer.status_code, answer.json()["code"]) == (410, "upload.expired")


def test_an_ended_upload_is_gone_but_jobs_keep_its_file(served):
    client = served.client()
    urls = [begin(client, 3).headers["location"] for _ in range(2)]
    send(client, urls[0], 0, b"abc")
    send(client, urls[1], 0, b"xyz")
    ref = {"role": "depths", "name": "a.npy", "upload_id": name_of(urls[0])}
    assert client.post("/v1/jobs", json={"options": FAKE, "inputs": [ref]}).status_code == 202
    for url in urls:
        assert client.delete(url, headers=TUS).status_code == 204
        assert client.head(url, headers=TUS).status_code == 404
    assert len(list(served.context.files.keys("inputs"))) == 1
    assert served.work().state.value == "succeeded"


def test_two_writers_at_a_time_are_one_too_many(served):
    from photocast.service.upload_files import found_upload, locked

    client = served.client()
    url = begin(client, 3).headers["location"]
    with locked(served.context, found_upload(served.context, "local", name_of(url))):
        answer = send(client, url, 0, b"abc")
        assert (answer.status_code, answer.json()["code"]) == (423, "upload.locked")
        assert answer.headers["retry-after"]
    assert send(client, url, 0, b"abc").status_code == 204


def test_the_method_may_be_named_in_a_header(served):
    client = served.client()
    url = begin(client, 3).headers["location"]
    headers = {**PIECE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert client.post(url, content=b"abc", headers=headers).status_code == 204
    headers = {**TUS, "X-HTTP-Method-Override": "DELETE"}
    assert client.post(url, headers=headers).status_code == 204


_SCRIPT = """
const tus = require('tus-js-client'), fs = require('fs');
const [, , endpoint, path] = process.argv;
const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint, chunkSize: 300000, uploadSize: fs.statSync(path).size,
  metadata: {filename: 'a.jpg'}, retryDelays: [0, 100],
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onSuccess: () => { console.log(upload.url); },
});
upload.start();
"""


def test_the_protocols_own_client_uploads(served, tmp_path):
    modules = os.environ.get("PHOTOCAST_TUS_CLIENT")
    if not modules or not shutil.which("node"):
        pytest.skip("set PHOTOCAST_TUS_CLIENT to a folder after: npm install tus-js-client")
    data = os.urandom(1_000_000)
    (tmp_path / "a.jpg").write_bytes(data)
    script = Path(modules) / "photocast-upload.cjs"
    script.write_text(_SCRIPT, encoding="utf-8")
    words = ["node", str(script), f"{served.url}/v1/uploads", str(tmp_path / "a.jpg")]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    ref = {"role": "images", "name": "a.jpg", "upload_id": name_of(done.stdout.strip())}
    wanted = {"options": FAKE, "inputs": [ref]}
    job = served.client().post("/v1/jobs", content=json.dumps(wanted),
                               headers={"content-type": "application/json"}).json()  # fmt: skip
    assert job["inputs"] == {"images": 1, "bytes": 1_000_000}
