# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""GPUs: shared out among workers, waited for, and measured.

No GPU is here: a module under the name of NVIDIA's library, labelled as a fake, tells of some.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from photocast.jobs.database import open_database
from photocast.jobs.record import NewJob, State
from photocast.jobs.store import JobStore

FAKE = Path(__file__).parent / "fake_nvml"
GB = 10**9


def card(number, **facts):
    card = {"uuid": f"GPU-{number}{number}", "name": f"Card {number}", "total": 8 * GB}
    return {**card, "free": 7 * GB, **facts}


@pytest.fixture
def cards(tmp_path):
    """Set what the fake library tells; the environment in which it does."""
    file = tmp_path / "cards.json"

    def tell(*found):
        new = file.with_suffix(".new")
        new.write_text(json.dumps(found), encoding="utf-8")
        new.replace(file)
        path = os.pathsep.join([str(FAKE), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {"FAKE_NVML": str(file), "PYTHONPATH": path}

    return tell


def seen(environment, **more):
    """What a process of its own sees."""
    code = "from photocast.worker.gpu import *; print([gpu.id for gpu in list_gpus()])"
    base = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    environment = {**base, **environment, **more}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, "['GPU-00', 'GPU-11', 'GPU-22']"),
        ("", "[]"),
        ("2,0", "['GPU-22', 'GPU-00']"),
        ("GPU-11", "['GPU-11']"),
        ("1,9,0", "['GPU-11']"),
        ("-1", "[]"),
    ],
)
def test_gpus_are_those_that_cuda_would_show(cards, visible, found):
    more = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert seen(cards(card(0), card(1), card(2)), **more) == found


def test_without_a_driver_or_with_a_lost_card_there_are_no_gpus(cards):
    assert seen(cards()) == "[]"
    assert seen(cards(card(0, lost=True))) == "[]"


def test_looking_at_gpus_imports_no_framework():
    code = "import sys, photocast.worker.gpu as g; g.list_gpus(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.stdout.strip() == "False"


def new_job(store, **fake):
    options = {"engine": "fake", "preset": "draft", "fake": {"seconds": 0.4, **fake}}
    return store.create(NewJob(owner="local", options=options, labels={}, max_seconds=60.0))


@pytest.fixture
def store(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'photocast.db'}")
    yield JobStore(database)
    database.close()


def test_each_embedded_worker_gets_a_gpu_of_its_own_and_its_peak_is_measured(
    serve, cards, store, until
):
    served = serve("--workers", "2", **cards(card(0, job=3 * GB), card(1, job=3 * GB)))
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        until(lambda: len(client.get("/v1/system").json()["workers"]) == 2)
        workers = client.get("/v1/system").json()["workers"]
        gpus = [gpu for worker in workers for gpu in worker["gpus"]]
        assert sorted(gpu["name"] for gpu in gpus) == ["Card 0", "Card 1"]
        assert {gpu["free_bytes"] for gpu in gpus} == {7 * GB}
        job = new_job(store, seconds=2.5)
        until(lambda: store.get(job.id, None).state is State.SUCCEEDED)

        def text():
            return client.get("/metrics").text

        until(lambda: "photocast_job_gpu_peak_bytes_sum" in text())
        assert 'photocast_job_gpu_peak_bytes_sum{engine="fake",preset="draft"} 3e+09' in text()
        assert 'name="Card 1"} 7e+09' in text()


def test_a_job_waits_for_gpu_memory_while_its_lease_beats_and_can_be_canceled(
    serve, cards, store, until
):
    full = cards(card(0, free=2 * GB))
    serve(
        "--workers",
        "1",
        PHOTOCAST_GPU_JOB_BYTES="6100000000",
        PHOTOCAST_GPU_WAIT_SECONDS="4",
        **full,
    )

    def now(job):
        return store.get(job.id, None)

    def waits(job):
        return now(job).progress.get("message", "").startswith("waiting for GPU")

    first = new_job(store)
    until(lambda: waits(first))
    assert now(first).progress["message"] == "waiting for GPU memory: 6.1 GB needed, 2.0 GB free"
    beat = now(first).beat
    until(lambda: now(first).beat > beat)
    cards(card(0, free=7 * GB))
    until(lambda: now(first).state is State.SUCCEEDED)
    assert now(first).attempt == 1

    cards(card(0, free=2 * GB))
    second = new_job(store)
    until(lambda: waits(second))
    store.cancel(second.id, None)
    until(lambda: now(second).state is State.CANCELED)

    third = new_job(store)
    until(lambda: now(third).state is State.FAILED)
    error = now(third).error
    assert error["code"] == "gpu.busy"
    assert error["retryable"]
    assert "6.1 GB" in error["detail"]

    cards(card(0, total=4 * GB, free=2 * GB))
    fourth = new_job(store)  # it would wait for ever
    until(lambda: now(fourth).state is State.SUCCEEDED)
