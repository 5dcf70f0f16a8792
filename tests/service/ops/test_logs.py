# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What is logged, and what never is."""

import json
import logging
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from PIL import Image

from photocast.jobs.database import open_database
from photocast.jobs.files import open_files
from photocast.jobs.keyring import Keyring
from photocast.jobs.record import Input, NewJob, State
from photocast.jobs.store import JobStore

LATITUDE = (51, 28, 40.12)


def lines(log):
    """The lines of a log in JSON; whatever else is in it fails."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def photo(tmp_path):
    """A photo that says where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: LATITUDE, 3: "W", 4: (0, 0, 5.31)})
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    with Image.open(path) as image:
        assert image.getexif().get_ifd(0x8825)[2] == LATITUDE
    return path


def test_logs_of_a_whole_job_hold_no_key_secret_place_or_query(
    serve, listen, photo, tmp_path, secret, until
):
    data = tmp_path / "data"
    database = open_database(f"sqlite:///{data / 'photocast.db'}")
    key, _ = Keyring(database).add(owner="me")
    with listen(statuses=[500]) as receiver:
        served = serve("--workers", "1", PHOTOCAST_WEBHOOK_PRIVATE="1", PHOTOCAST_DEMAND_KEY="1")
        stored = open_files(str(data / "files")).put("inputs/me/1", photo)
        given = Input(
            role="images", name="gps.jpg", key=stored.key, sha256=stored.sha256, size=stored.size
        )
        hook = {"url": f"{receiver.url}?token=hidden", "secret": secret, "events": ["job.failed"]}
        options = {"engine": "fake", "fake": {"seconds": 0.2, "fails": "internal"}}
        new = NewJob(owner="me", options=options, labels={}, webhook=hook, max_seconds=60.0)
        store = JobStore(database)
        job = store.create(new, [given])
        until(lambda: store.get(job.id, None).state is State.FAILED)
        receiver.wait(1)
        with httpx.Client(base_url=served.url, trust_env=False) as client:
            path = f"/v1/jobs/{job.id}/logs?latitude=51.4778&key={key}"
            good = {"Authorization": f"Bearer {key}"}
            assert client.get(path, headers=good).status_code == 200
            assert client.get(path, headers={"Authorization": f"Bearer {key}x"}).status_code == 401
            assert client.get("/v1/jobs/%0Aforged=1/logs", headers=good).status_code == 404
            number = client.get(path, headers=good).headers["X-Request-Id"]
        until(lambda: number in served.log.read_text(encoding="utf-8"))
        until(lambda: "webhook.sent" in served.log.read_text(encoding="utf-8"))
    served.process.terminate()
    served.process.wait(20)
    database.close()
    text = served.log.read_text(encoding="utf-8")
    hidden = [key, key[3:20], secret, "hidden", "51.4778", "latitude", "40.12", "5.31", "forged"]
    assert [word for word in hidden if word in text] == []
    found = lines(served.log)
    done = [line for line in found if line.get("event") == "request.done"]
    assert len(done) == 4
    (mine,) = [line for line in done if line["request"] == number]
    assert mine["route"] == "/v1/jobs/{job_id}/logs"
    assert (mine["method"], mine["status"], mine["job"]) == ("GET", 200, job.id)
    assert mine["ms"] > 0
    worker = [line for line in found if line["logger"].startswith("photocast.worker")]
    assert worker
    assert {line["job"] for line in worker} == {job.id}


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_key_that_gets_into_a_line_is_blotted_out(style):
    code = f"""if True:
        import logging
        from photocast.telling import configure_logging
        configure_logging({style!r})
        log = logging.getLogger("x")
        log.info("key %s", "pc_" + "k" * 43, extra={{"header": "Bearer abc.def", "n": 1}})
        try:
            raise ValueError("whsec_" + "A" * 44)
        except ValueError:
            log.exception("failed")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    for secret in ("kkkk", "abc.def", "AAAA"):
        assert secret not in done.stderr
    assert "pc_…" in done.stderr or "pc_\\u2026" in done.stderr
    if style == "json":
        assert [json.loads(line)["logger"] for line in done.stderr.splitlines()] == ["x", "x"]


def test_a_mistake_of_the_service_has_its_line_and_its_count(service, monkeypatch, caplog):
    def broken(*args: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(service.context.jobs, "listed", broken)
    with caplog.at_level(logging.INFO):
        assert service.client.get("/v1/jobs").status_code == 500
        service.until(lambda: any(hasattr(r, "route") for r in caplog.records))
    (done,) = [r for r in caplog.records if getattr(r, "event", "") == "request.done"]
    assert (done.route, done.status) == ("/v1/jobs", 500)


def test_health_is_logged_only_when_it_is_bad(service, caplog):
    with caplog.at_level(logging.INFO):
        service.client.get("/healthz")
        assert service.client.get("/readyz").status_code == 503, "there is no worker"
        service.until(lambda: any(hasattr(r, "route") for r in caplog.records))
    assert [r.route for r in caplog.records if hasattr(r, "route")] == ["/readyz"]


def test_a_span_is_sent_for_each_request_where_traces_are_collected(start, monkeypatch):
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    got: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with start() as service:
        assert service.client.get("/v1/options").status_code == 200
        service.client.get("/healthz")
        service.until(lambda: any(b"GET /v1/options" in body for body in got))
    server.shutdown()
    server.server_close()
    assert not any(b"/healthz" in body for body in got)
