# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""One job in its process: every way to end, and every way to die."""

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast.jobs.lease import Watch
from photocast.jobs.record import NewJob, State
from photocast.worker.process import JobProcess, group_memory
from photocast.worker.supervise import Supervisor


def processes_of(job_id: str) -> list[int]:
    """Living processes that run a job."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
            if b"photocast.worker.child" in command and job_id.encode() in command:
                found += [int(entry.name)] if state != "Z" else []
    return found


def wait_until(true, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_job_succeeds_and_its_files_are_stored_whole(bench):
    photo = bench.stored("images", "a.npy", b"one")
    job = bench.add(seconds=0.3, inputs=(photo, bench.stored("capture", "deep/b.json", b"{}")))
    ended = bench.work()
    assert (ended.state, ended.verdict, ended.attempt, ended.losses) == ("succeeded", "pass", 1, 0)
    assert ended.progress == {"percent": 100.0, "message": "done"}
    made = bench.store.artifacts(job.id)
    assert [one.name for one in made] == ["mesh.glb", "report.json"]
    for one in made:
        with bench.files.open(one.key) as file:
            data = file.read()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (one.size, one.sha256)
    seen = json.loads(data)["run"]["inputs"]  # report.json is the last
    assert set(seen) == {"images/a.npy", "deep/b.json"}
    assert not (bench.folder / "work" / job.id).exists()


def test_events_tell_the_whole_story_and_the_percentage_never_falls(bench):
    job = bench.add(seconds=2.0)
    percents = []
    over = threading.Event()

    def look():
        while not over.wait(0.05):
            percents.append(bench.store.get(job.id, None).progress.get("percent", 0.0))

    thread = threading.Thread(target=look)
    thread.start()
    bench.work()
    over.set()
    thread.join()
    assert percents == sorted(percents)
    assert len(set(percents)) > 3
    told = [(event.type, event.data.get("state")) for event in bench.store.events(job.id)]
    states = [state for kind, state in told if kind == "state"]
    assert states == ["queued", "running", "succeeded"]
    assert [kind for kind, _ in told].count("artifact") == 2
    assert "progress" not in [kind for kind, _ in told]  # of no use once it is over


@pytest.mark.parametrize(
    ("fails", "code", "retryable"),
    [("input", "capture.empty", False), ("internal", "job.internal", True)],
)
def test_what_the_engine_says_is_what_the_owner_reads(bench, fails, code, retryable):
    bench.add(seconds=0.1, fails=fails)
    ended = bench.work()
    assert (ended.state, ended.error["code"]) == ("failed", code)
    assert ended.error["retryable"] is retryable
    assert ended.error["detail"].endswith((".", "to."))
    assert ended.finished_at is not None


def test_a_poor_mesh_is_a_result_not_a_failure(bench):
    bench.add(seconds=0.1, fails="poor")
    ended = bench.work()
    assert (ended.state, ended.verdict, ended.artifacts_state) == ("succeeded", "fail", "available")


def test_a_process_that_dies_is_tried_again_and_not_for_ever(bench):
    job = bench.add(seconds=0.1, fails="crash")
    states = [bench.work().state for _ in range(3)]
    assert states == ["queued", "queued", "failed"]
    ended = bench.store.get(job.id, None)
    assert (ended.error["code"], ended.attempt, ended.losses) == ("job.worker_crashed", 3, 3)
    assert bench.work() is None


def test_a_job_that_takes_too_long_is_stopped(bench):
    job = bench.add(seconds=60, max_seconds=1.0)
    ended = bench.work()
    assert (ended.state, ended.error["code"]) == ("failed", "job.timeout")
    assert processes_of(job.id) == []


def test_a_job_that_takes_too_much_memory_is_stopped(bench):
    job = bench.add(seconds=0.1, fails="memory")
    ended = bench.work(memory_bytes=400_000_000)
    assert (ended.state, ended.error["code"]) == ("failed", "job.out_of_memory")
    assert processes_of(job.id) == []


def test_a_device_without_memory_is_asked_once_more_for_less(bench):
    job = bench.add(seconds=0.1, fails="device")
    first = bench.work()
    assert (first.state, first.losses, first.options["max_size"]) == ("queued", 0, 512)
    assert "512 px" in first.warnings[0]
    second = bench.work()
    assert (second.state, second.error["code"]) == ("failed", "memory.exhausted")
    assert bench.store.get(job.id, None).attempt == 2


@pytest.mark.parametrize("how", [{"seconds": 60}, {"seconds": 0.1, "fails": "hang"}])
def test_a_cancelled_job_ends_soon_even_if_it_does_not_listen(bench, how):
    job = bench.add(**how)
    threading.Timer(2.0, bench.store.cancel, (job.id, "me")).start()
    began = time.monotonic()
    ended = bench.work()
    assert ended.state == "canceled"
    assert time.monotonic() - began < 8
    assert processes_of(job.id) == []


def test_a_job_is_cancelled_while_its_photos_are_looked_at(bench):
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    photo = io.BytesIO()
    Image.fromarray(noise).save(photo, "PNG")
    photos = [bench.stored("images", f"{n}.png", photo.getvalue()) for n in range(40)]
    new = NewJob(owner="me", options={"engine": "optimize"}, labels={}, max_seconds=60.0)
    job = bench.store.create(new, photos)
    claimed = bench.table.claim("wrk_a")
    bench.store.cancel(job.id, "me")
    began = time.monotonic()
    supervisor = Supervisor(bench.database, bench.files, bench.config(), threading.Event())
    assert supervisor.run(claimed).state == "canceled"
    assert time.monotonic() - began < 6, "looking at them all takes longer"


def test_a_worker_that_is_stopped_gives_its_job_back_without_blame(bench):
    job = bench.add(seconds=60)
    stopping = threading.Event()
    supervisor = Supervisor(bench.database, bench.files, bench.config(), stopping)
    threading.Timer(1.5, stopping.set).start()
    back = supervisor.run(bench.table.claim("wrk_a"))
    assert (back.state, back.losses, back.lease_owner) == ("queued", 0, None)
    assert processes_of(job.id) == []


def test_a_job_that_was_taken_away_is_dropped_and_nothing_is_written(bench):
    job = bench.add(seconds=60)
    claimed = bench.table.claim("wrk_a")

    def take():
        while bench.table.take_back(bench.store.get(job.id, None)) is None:
            pass  # a beat came in between
        assert bench.table.claim("wrk_b").attempt == 2

    threading.Timer(1.5, take).start()
    ended = Supervisor(bench.database, bench.files, bench.config(), threading.Event()).run(claimed)
    assert ended is None
    now = bench.store.get(job.id, None)
    assert (now.state, now.attempt, now.lease_owner) == ("running", 2, "wrk_b")
    assert processes_of(job.id) == []


def worker(bench, name: str) -> subprocess.Popen:
    environment = {
        **os.environ,
        "PHOTOCAST_LEASE_SECONDS": "3",
        "PHOTOCAST_POLL_SECONDS": "0.2",
        "PHOTOCAST_GRACE_SECONDS": "1",
        "PHOTOCAST_DATABASE": bench.url,
        "PHOTOCAST_FILES": str(bench.folder / "files"),
        "PHOTOCAST_SECRET_OF_OURS": "hush",
    }
    command = [sys.executable, "-m", "photocast", "worker", "--name", name]
    return subprocess.Popen([*command, "--data", str(bench.folder)], env=environment)


def test_a_killed_worker_takes_its_process_along_and_another_finishes_the_job(bench):
    job = bench.add(seconds=3.0)
    first = worker(bench, "wrk_first")
    try:
        wait_until(lambda: processes_of(job.id))
        first.kill()
        first.wait()
        wait_until(lambda: not processes_of(job.id), 2.0)
    finally:
        first.kill()
    watch = Watch(3.0)
    wait_until(lambda: watch.stale(bench.table.running()))
    assert bench.table.take_back(bench.store.get(job.id, None)).losses == 1
    ended = bench.work()
    assert (ended.state, ended.attempt) == ("succeeded", 2)


def test_a_frozen_worker_cannot_keep_a_job_that_others_may_have(bench, freeze):
    job = bench.add(seconds=60)
    frozen = worker(bench, "wrk_frozen")
    try:
        wait_until(lambda: processes_of(job.id))
        time.sleep(0.5)
        freeze(frozen.pid, bench.folder / "photocast.db")
        began = time.monotonic()
        wait_until(lambda: not processes_of(job.id), 4.0)  # it ended itself, before the lease did
        assert time.monotonic() - began < 3.0
        bench.table.take_back(bench.store.get(job.id, None))
        second = bench.table.claim("wrk_second")
        frozen.send_signal(signal.SIGCONT)
        time.sleep(1.5)
        now = bench.store.get(job.id, None)
        assert (now.state, now.lease_owner, now.attempt) == (State.RUNNING, "wrk_second", 2)
        assert second.attempt == 2
    finally:
        frozen.kill()
        frozen.wait()


def test_a_job_knows_no_secrets_of_the_service(bench):
    job = bench.add(seconds=20)
    process = worker(bench, "wrk_quiet")
    try:
        wait_until(lambda: processes_of(job.id))
        known = Path(f"/proc/{processes_of(job.id)[0]}/environ").read_bytes()
    finally:
        process.terminate()
        process.wait()
    assert b"PATH=" in known
    assert b"PHOTOCAST_" not in known
    assert b"hush" not in known


def test_what_a_process_starts_dies_with_it(tmp_path):
    (tmp_path / "job.json").write_text("{}", encoding="utf-8")  # it fails on this at once
    process = JobProcess(tmp_path)
    wait_until(lambda: process.messages(0.1) == [] and process.ended)
    assert process.code == 1
    assert "KeyError" in "\n".join(process.tail)
    process.close()


def test_the_memory_of_a_group_is_that_of_its_processes():
    child = subprocess.Popen(
        [sys.executable, "-c", "x = bytearray(80_000_000); print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        child.stdout.readline()
        assert 80_000_000 < group_memory(child.pid) < 160_000_000
    finally:
        child.communicate()
    assert group_memory(child.pid) == 0


def photo_with_secrets() -> bytes:
    """A JPEG that tells where it was taken and who owns the camera."""
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "at home", "Jane Doe"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_no_place_and_no_name_reaches_the_job_or_its_result(bench):
    data = photo_with_secrets()
    assert b"Jane Doe" in data
    job = bench.add(seconds=4.0, inputs=(bench.stored("images", "a.jpg", data),))
    seen = []

    def look():
        wait_until(lambda: processes_of(job.id))
        folder = bench.folder / "work" / job.id
        seen.extend(path.read_bytes() for path in folder.rglob("*") if path.is_file())

    thread = threading.Thread(target=look)
    thread.start()
    assert bench.work().state == "succeeded"
    thread.join()
    made = b"".join(seen)
    for one in bench.store.artifacts(job.id):
        with bench.files.open(one.key) as file:
            made += file.read()
    told = json.dumps([event.data for event in bench.store.events(job.id)]).encode()
    assert b"\xff\xd8" in made  # the photo was there
    for secret in (b"Jane", b"at home", b"GPS"):
        assert secret not in made + told


def test_what_is_no_photo_stops_the_job_before_the_engine_starts(bench):
    job = bench.add(seconds=60, inputs=(bench.stored("images", "a.jpg", b"<script>"),))
    ended = bench.work()
    assert (ended.state, ended.error["code"]) == ("failed", "capture.image_unreadable")
    assert ended.error["detail"].startswith("images/a.jpg")
    assert ended.error["retryable"] is False
    assert not (bench.folder / "work" / job.id).exists()
