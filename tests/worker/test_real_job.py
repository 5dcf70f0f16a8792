# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The real engine as a job: the sample capture in, a checked mesh in the file store."""

import io
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast.config import ReconstructConfig
from photocast.formats.meshes import load_mesh
from photocast.jobs.record import NewJob
from photocast.nets.seeded import write_test_weights
from photocast.wire import Options
from photocast.worker.real import config_of

SAMPLE = Path(__file__).parents[2] / "examples" / "sample"


@pytest.fixture
def sample(bench):
    """Every file of the sample as an upload of a capture folder."""
    paths = sorted(path for path in SAMPLE.rglob("*") if path.suffix in (".png", ".json"))
    return tuple(
        bench.stored("capture", path.relative_to(SAMPLE).as_posix(), path.read_bytes())
        for path in paths
    )


def test_photos_become_a_mesh_with_its_report_through_the_whole_machinery(bench, sample):
    wanted = Options(preset="draft", formats=["glb", "obj"], max_size=64, max_seconds=5)
    options = wanted.model_dump(mode="json")  # as the API writes them down
    new = NewJob(owner="me", options=options, labels={}, max_seconds=240)
    job = bench.store.create(new, sample)
    ended = bench.work(lease_seconds=20)
    assert (ended.state, ended.error) == ("succeeded", None)
    assert ended.verdict in ("pass", "warn", "fail")
    assert any("limit of 5 s" in warning for warning in ended.warnings)
    made = {one.name: one for one in bench.store.artifacts(job.id)}
    assert {"mesh.glb", "mesh.obj", "report.json", "report.html", "run.json"} <= set(made)
    assert made["mesh.glb"].media_type == "model/gltf-binary"
    target = bench.folder / "mesh.glb"
    bench.files.fetch(made["mesh.glb"].key, target)
    assert len(load_mesh(target).faces) > 1000
    with bench.files.open(made["report.html"].key) as file:
        assert b"<h1>result" in file.read(), "its title is no name of the machinery"
    with bench.files.open(made["run.json"].key) as file:
        run = json.load(file)
    assert str(bench.folder) not in json.dumps(run["inputs"])  # no path of the worker's
    said = [e.data["message"].partition(":")[0] for e in bench.store.events(job.id, kinds=["log"])]
    assert {"decode", "volume", "appearance", "save"} <= set(said)


def test_photos_without_cameras_become_a_mesh_where_the_worker_has_weights(bench):
    """With seeded test weights: what is made means nothing, and the report says so."""
    weights = write_test_weights(bench.folder / "weights").root
    photos = tuple(bench.stored("images", f"{n}.png", _disc(n)) for n in range(3))
    options = {"engine": "auto", "preset": "draft"}
    job = bench.store.create(
        NewJob(owner="me", options=options, labels={}, max_seconds=240), photos
    )
    ended = bench.work(lease_seconds=20, weights=weights)
    assert (ended.state, ended.error) == ("succeeded", None)
    assert any("means nothing" in warning for warning in ended.warnings)
    made = {one.name for one in bench.store.artifacts(job.id)}
    assert {"mesh.glb", "gaussians.ply", "report.json"} <= made


def test_photos_without_cameras_are_refused_where_the_worker_has_no_weights(bench):
    photos = tuple(bench.stored("images", f"{n}.png", _disc(n)) for n in range(3))
    new = NewJob(owner="me", options={"engine": "auto"}, labels={}, max_seconds=60)
    bench.store.create(new, photos)
    ended = bench.work(lease_seconds=20)
    assert (ended.state, ended.error["code"]) == ("failed", "capture.no_cameras")


def _disc(number: int) -> bytes:
    """A PNG of a disc on nothing."""
    y, x = np.mgrid[0:160, 0:192]
    inside = (x - 80 - 10 * number) ** 2 + (y - 80) ** 2 < 3600
    pixels = np.zeros((160, 192, 4), np.uint8)
    pixels[inside] = [60 * number, 200, 255 - 60 * number, 255]
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def test_a_capture_that_cannot_work_is_a_failed_job_with_the_engines_own_words(bench):
    new = NewJob(owner="me", options={"preset": "draft"}, labels={}, max_seconds=60)
    bench.store.create(new, (bench.stored("images", "a.png", b"no photo"),))
    ended = bench.work(lease_seconds=20)
    assert (ended.state, ended.error["retryable"]) == ("failed", False)
    assert ended.error["code"].startswith("capture.")
    assert str(bench.folder) not in ended.error["detail"]


def test_every_option_of_the_api_is_a_setting_or_of_another_kind_of_job():
    options = Options().model_dump(mode="json")
    assert config_of(options) == ReconstructConfig()
    settings = {field.name for field in fields(ReconstructConfig)}
    assert set(options) - settings == {"fake", "profile"}
