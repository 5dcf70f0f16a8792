# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Looking at uploads in a limited process: before a job, and at archives."""

import asyncio
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

FAKE = {"request": json.dumps({"options": {"engine": "fake", "fake": {"seconds": 0}}})}


def photo(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def left_over(served) -> list:
    return [*served.context.files.keys(), *(served.settings.data / "incoming").glob("*")]


def archive(method: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


def test_photos_are_looked_at_and_nothing_is_stored(served):
    files = [("images", (f"{i}.jpg", photo(i))) for i in range(3)]
    answer = served.client().post("/v1/jobs?validate_only=true", files=files, data=FAKE)
    assert answer.status_code == 200
    report = answer.json()
    assert [one["name"] for one in report["photos"]] == [f"images/{i}.jpg" for i in range(3)]
    assert report["usable"] is False  # three photos of noise, without cameras or masks
    assert left_over(served) == []
    assert served.client().get("/v1/jobs").json()["jobs"] == []


def test_a_file_that_is_stored_can_be_looked_at(served):
    client = served.client()
    client.post("/v1/jobs", files=[("images", ("a.jpg", photo(1)))], data=FAKE)
    (sha256,) = [one["sha256"] for one in client.get(
        client.get("/v1/jobs").json()["jobs"][0]["urls"]["inputs"]).json()]  # fmt: skip
    wanted = {"inputs": [{"role": "images", "name": "b.jpg", "sha256": sha256}]}
    report = client.post("/v1/jobs?validate_only=true", json=wanted).json()
    assert [one["name"] for one in report["photos"]] == ["images/b.jpg"]


def test_a_capture_without_photos_is_refused_with_its_own_code(served):
    answer = served.client().post("/v1/jobs?validate_only=true", json={})
    assert (answer.status_code, answer.json()["code"]) == (422, "capture.no_photos")
    assert left_over(served) == []


def test_a_third_look_at_a_time_is_refused(served):
    client = served.client()
    served.app.state.preflights = asyncio.Semaphore(0)
    answer = client.post("/v1/jobs?validate_only=true", json={})
    assert (answer.status_code, answer.json()["code"]) == (503, "preflight.busy")
    assert answer.headers["retry-after"]


def test_an_archive_becomes_the_files_in_it(served):
    data = archive(**{"set/images/1.jpg": photo(1), "set/masks/1.png": b"mask",
                      "set/transforms.json": b"{}", "set/notes.exe": b"MZ"})  # fmt: skip
    client = served.client()
    job = client.post("/v1/jobs", files={"archive": ("set.zip", data)}, data=FAKE).json()
    named = {(one["role"], one["name"]) for one in client.get(job["urls"]["inputs"]).json()}
    assert named == {("images", "1.jpg"), ("masks", "1.png"), ("capture", "transforms.json")}
    assert list((served.settings.data / "incoming").glob("*")) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK no zip", "upload.zip_damaged"),
        (archive(notes=b"x"), "upload.zip_empty"),
        (archive(zipfile.ZIP_DEFLATED, **{"images/1.jpg": b"\0" * 60_000_000}),
         "upload.zip_too_large"),
    ],
    ids=["damaged", "empty", "bomb"],
)  # fmt: skip
def test_an_archive_that_is_none_is_refused_and_leaves_nothing(served, data, code):
    answer = served.client().post("/v1/jobs", files={"archive": ("set.zip", data)}, data=FAKE)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert left_over(served) == []
