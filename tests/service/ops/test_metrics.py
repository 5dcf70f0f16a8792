# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Metrics tell what is true, from any web process, and only to who may know."""

import json
import re
import threading
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from photocast.jobs.database import open_database
from photocast.jobs.keyring import Keyring
from photocast.jobs.presence import Presence
from photocast.jobs.record import Artifact, NewJob, State
from photocast.jobs.stage_history import StageHistory
from photocast.jobs.store import JobStore

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Count entries of the ledger as soon as they are written."""
    monkeypatch.setattr("photocast.jobs.ledger._SETTLED_S", -1.0)


def values(text):
    """Every sample, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(service):
    answer = service.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return values(answer.text)


def test_jobs_are_counted_by_state_and_the_oldest_waiting_one_has_an_age(service):
    done, lost = service.job(), service.job()
    service.run(done)
    service.context.jobs.cancel(lost.id, None)
    waiting = service.job()
    time.sleep(0.3)
    found = scraped(service)
    assert found["photocast_jobs", "succeeded"] == 1
    assert found["photocast_jobs", "queued"] == 1
    assert found["photocast_jobs", "draft"] == 0
    age = time.time() - waiting.queued_at
    assert 0.3 <= found["photocast_queue_oldest_seconds",] <= age
    service.context.jobs.cancel(waiting.id, None)
    assert scraped(service)["photocast_queue_oldest_seconds",] == 0


def test_ends_of_jobs_are_counted_and_do_not_fall_when_jobs_are_deleted(service):
    good, bad = service.job(), service.job()
    service.run(good, facts={"gpu_peak_bytes": 3_000_000_000})
    service.run(bad, State.FAILED, error={"code": "capture.empty", "detail": "Nothing."})
    before = scraped(service)
    job = ("fake", "reconstruct", "standard")
    assert before[("photocast_jobs_ended_total", *job, "succeeded")] == 1
    assert before["photocast_job_failures_total", "capture.empty"] == 1
    assert before["photocast_job_attempts_total",] == 2
    assert before[("photocast_job_seconds_count", *job, "succeeded")] == 1
    assert before["photocast_job_gpu_peak_bytes_sum", "fake", "standard"] == 3e9
    for one in (good, bad):
        assert service.context.jobs.delete(one.id, None)
    after = scraped(service)
    counters = [key for key in before if key[0].startswith(("photocast_job_", "photocast_jobs_"))]
    assert [key for key in counters if after[key] < before[key]] == []
    assert after["photocast_jobs", "failed"] == 0


def test_losses_are_counted_by_what_was_lost(service):
    table = service.context.leases
    job = service.job()
    service.run(job, State.QUEUED, lost=True)
    table.claim("wrk_a", job.id)
    assert table.release("wrk_a")
    table.claim("wrk_b", job.id)
    assert table.take_back(table.running()[0])
    found = scraped(service)
    for what in ("process", "worker", "lease"):
        assert found["photocast_job_losses_total", what] == 1
    assert found["photocast_job_failures_total", "job.worker_crashed"] == 1


def test_stages_have_histograms(service):
    history = StageHistory(service.context.database)
    history.add("reconstruct/optimize/draft", {"volume": 45.0, "save": 0.4})
    history.add("reconstruct/optimize/high", {"volume": 3.0})
    found = scraped(service)
    assert found["photocast_stage_seconds_count", "optimize", "volume"] == 2
    assert found["photocast_stage_seconds_sum", "optimize", "volume"] == 48
    assert found["photocast_stage_seconds_bucket", "3.0", "optimize", "volume"] == 1
    assert found["photocast_stage_seconds_bucket", "60.0", "optimize", "volume"] == 2
    assert found["photocast_stage_seconds_bucket", "+Inf", "optimize", "save"] == 1


def test_what_is_counted_is_not_taken_for_a_run_of_the_past(service):
    service.run(service.job(), facts={"gpu_peak_bytes": 1})
    assert StageHistory(service.context.database).weights("reconstruct/fake/standard") == {}


def test_bytes_disk_workers_and_gpus_are_shown(service):
    made = Artifact(name="mesh.glb", key="k", sha256="0" * 64, size=1234, media_type="x/y")
    service.run(service.job(), artifacts=[made])
    gpu = {"id": "GPU-1", "name": "Card", "total_bytes": 8e9, "free_bytes": 5e9}
    for name in ("wrk_a", "wrk_b"):
        Presence(service.context.database).tell(name, {"host": "h", "gpus": [gpu]})
    found = scraped(service)
    assert found["photocast_stored_bytes", "artifacts"] == 1234
    assert found["photocast_stored_bytes", "inputs"] == 0
    assert found["photocast_disk_free_bytes",] > 0
    assert found["photocast_workers",] == 2
    assert found["photocast_gpu_free_bytes", "Card", "GPU-1", "h"] == 5e9


def test_webhook_tries_are_counted_by_outcome(service, listen):
    with listen(statuses=[500, 200]) as receiver:
        first, second = (service.job(url=receiver.url) for _ in range(2))
        service.run(first)
        receiver.wait(1)
        service.run(second)
        receiver.wait(2)
        service.until(lambda: ("photocast_webhook_tries_total", "delivered") in scraped(service))
    found = scraped(service)
    assert found["photocast_webhook_tries_total", "retry"] == 1
    assert found["photocast_webhook_tries_total", "delivered"] == 1
    assert found["photocast_webhooks_waiting",] == 1


def test_requests_are_counted_by_template_and_not_by_address(service):
    for name in ("job_1", "job_2"):
        assert service.client.get(f"/v1/jobs/{name}").status_code == 404
    assert service.client.get("/no/such/page").status_code == 404
    assert service.client.request("PROPFIND", "/no/such/folder").status_code == 404
    found = scraped(service)
    assert found["photocast_http_requests_total", "/v1/jobs/{job_id}", "404", "GET"] == 2
    assert found["photocast_http_requests_total", "404", "any", "unmatched"] == 2
    assert found["photocast_http_request_seconds_count", "/v1/jobs/{job_id}", "GET"] == 2
    assert not any("job_1" in str(key) or "PROPFIND" in key for key in found)


def test_listeners_are_counted_while_they_listen(service):
    job = service.job()
    with service.client.stream("GET", f"/v1/jobs/{job.id}/events") as stream:
        service.until(lambda: scraped(service)["photocast_event_listeners",] == 1)
        assert stream.status_code == 200
    service.context.jobs.cancel(job.id, None)
    service.until(lambda: scraped(service)["photocast_event_listeners",] == 0)


def test_a_key_without_the_scope_admin_may_not_read_metrics(start):
    with start(demand_key=True) as service:
        ring = Keyring(service.context.database)
        reader, _ = ring.add(owner="a", scopes=["jobs:read"])
        admin, _ = ring.add(owner="b", scopes=["admin"])
        assert service.client.get("/metrics").status_code == 401
        for key, status in ((reader, 403), (admin, 200)):
            headers = {"Authorization": f"Bearer {key}"}
            assert service.client.get("/metrics", headers=headers).status_code == status


def test_two_scrapes_at_once_count_nothing_twice(service):
    for _ in range(5):
        service.context.jobs.cancel(service.job().id, None)
    threads = [threading.Thread(target=service.client.get, args=("/metrics",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = scraped(service)
    assert found["photocast_jobs_ended_total", "canceled", "fake", "reconstruct", "standard"] == 5


def test_several_web_processes_show_the_same_numbers(serve, tmp_path, until):
    shared = tmp_path / "prometheus"
    shared.mkdir()
    one, two = (serve("--workers", "0", PROMETHEUS_MULTIPROC_DIR=str(shared)) for _ in range(2))
    database = open_database(f"sqlite:///{tmp_path / 'data' / 'photocast.db'}")
    store = JobStore(database)
    new = NewJob(owner="local", options={"engine": "fake"}, labels={}, max_seconds=1.0)
    store.cancel(store.create(new).id, None)

    def get(served, path):
        return httpx.get(served.url + path, trust_env=False)

    for served in (one, one, two):
        assert get(served, "/v1/jobs").status_code == 200
    ended = ("photocast_jobs_ended_total", "", "canceled", "fake", "reconstruct")
    for served in (one, two):
        until(lambda served=served: ended in values(get(served, "/metrics").text))
        found = values(get(served, "/metrics").text)
        assert found["photocast_http_requests_total", "/v1/jobs", "200", "GET"] == 3
        assert found[ended] == 1
    database.close()


@pytest.fixture
def names(service):
    """The names of all metrics there are, once something has happened."""
    service.run(service.job(), facts={"gpu_peak_bytes": 1})
    service.run(service.job(), State.FAILED, error={"code": "x"}, lost=True)
    StageHistory(service.context.database).add("reconstruct/fake/draft", {"work": 1.0})
    gpu = {"id": "GPU-1", "name": "Card", "total_bytes": 8e9, "free_bytes": 5e9}
    Presence(service.context.database).tell("wrk_a", {"host": "h", "gpus": [gpu]})
    service.client.get("/healthz")
    text = service.client.get("/metrics").text
    return {
        *(sample.name for f in text_string_to_metric_families(text) for sample in f.samples),
        "photocast_webhook_tries_total",  # of the test above
    }


def used_names(text):
    return set(re.findall(r"\bphotocast_[a-z0-9_]+", text))


def test_the_dashboard_uses_only_metrics_that_exist(names):
    text = (ROOT / "deploy" / "grafana" / "photocast.json").read_text(encoding="utf-8")
    panels = json.loads(text)["panels"]
    expressions = [t["expr"] for panel in panels for t in panel.get("targets", ())]
    assert len(expressions) > 10
    assert used_names(" ".join(expressions)) - names == set()


def test_the_alert_rules_use_only_metrics_that_exist(names):
    text = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    used = used_names("\n".join(line for line in text.splitlines() if "expr:" in line))
    assert used
    assert used - names == set()


def test_the_page_explains_every_metric_and_no_other(names):
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(photocast_\w+)` \|", page, re.M))
    ends = r"_(bucket|count|sum|created|total)$"
    assert told == {re.sub(ends, "", n) for n in names if n.startswith("photocast_")}
