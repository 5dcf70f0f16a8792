# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may do what: keys, scopes, owners, browsers on the same machine, and rates."""

import hashlib
import os
import subprocess
import sys
import time

import httpx
import pytest
from sqlalchemy import select

from photocast.jobs.keyring import Keyring
from photocast.jobs.tables import keys


def test_a_key_is_shown_once_and_kept_as_a_hash(served):
    text = served.key()
    with served.context.database.read() as connection:
        row = connection.execute(select(keys)).one()
    assert row.hash == hashlib.sha256(text.encode()).hexdigest()
    assert text not in str(tuple(row))
    assert len(text) > 40


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic abc", "pc_x"])
def test_a_wrong_key_is_refused_even_on_this_machine(served, header):
    answer = httpx.get(f"{served.url}/v1/jobs", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_without_a_key_only_this_machine_is_served(serve):
    with serve(demand_key=True) as served:
        assert httpx.get(f"{served.url}/v1/jobs").status_code == 401
        assert served.client(served.key()).get("/v1/jobs").status_code == 200
        assert httpx.get(f"{served.url}/healthz").status_code == 200


def test_a_web_page_cannot_reach_the_service_of_this_machine(served):
    """Neither by another origin nor by a name that it points to this machine."""
    job = served.add()
    with served.client() as client:
        for headers, code in (
            ({"Host": "evil.example"}, "auth.host"),
            ({"Origin": "https://evil.example"}, "auth.origin"),
            ({"Origin": "null"}, "auth.origin"),
        ):
            answer = client.post(f"/v1/jobs/{job.id}/cancel", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, code)
        own = client.get("/v1/jobs", headers={"Origin": served.url})
        assert own.status_code == 200
    assert served.context.jobs.get(job.id, None).state == "queued"


def test_an_expired_or_revoked_key_is_refused(served):
    ring = Keyring(served.context.database)
    short, _ = ring.add(owner="me", seconds=3.0)
    with served.client(short) as client:
        assert client.get("/v1/jobs").status_code == 200
        time.sleep(3.1)
        assert client.get("/v1/jobs").status_code == 401
    text, key = ring.add(owner="me")
    assert ring.revoke(key.id)
    assert not ring.revoke(key.id)
    assert served.client(text).get("/v1/jobs").status_code == 401


def test_every_route_of_somebody_elses_job_looks_like_none_at_all(served):
    """All routes that name a job, as the description of the API lists them."""
    job = served.add(owner="me")
    none = job.id[:-1] + ("0" if job.id[-1] != "0" else "1")
    paths = served.app.openapi()["paths"]
    routes = [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if "{job_id}" in path
    ]
    assert len(routes) >= 12
    client = served.client(served.key("other"))
    for method, path in routes:
        rest = path.replace("{role}", "images").replace("{name}", "a.png").replace("{number}", "1")
        body = {"json": {}} if method == "POST" else {}
        answers = [
            client.request(method, rest.replace("{job_id}", name), **body)
            for name in (job.id, none)
        ]
        told = [(one.status_code, one.content and one.json()["code"]) for one in answers]
        assert told[0] == told[1], (method, path, told)
        assert told[0][0] == 404, (method, path, told)
    assert served.context.jobs.get(job.id, None) == job


def test_the_page_of_the_api_can_be_switched_off(serve):
    with serve(docs=False) as served:
        assert served.client().get("/docs").status_code == 404
    with serve() as served:
        assert served.client().get("/docs").status_code == 200


def test_lists_hold_only_ones_own_and_the_administrators_hold_all(served):
    mine, theirs = served.add(owner="me"), served.add(owner="other")

    def listed(key):
        return [job["id"] for job in served.client(key).get("/v1/jobs").json()["jobs"]]

    assert listed(served.key("me")) == [mine.id]
    assert listed(served.key("boss", scopes=("admin",))) == [theirs.id, mine.id]
    assert served.client().get("/v1/jobs").json()["jobs"] == []  # "local" owns neither


def test_a_key_may_do_what_its_scopes_say(served):
    job = served.add(owner="me")
    reader = served.client(served.key(scopes=("jobs:read",)))
    assert reader.get(f"/v1/jobs/{job.id}").status_code == 200
    answer = reader.post(f"/v1/jobs/{job.id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.scope")
    writer = served.client(served.key(scopes=("jobs:write",)))
    assert writer.get(f"/v1/jobs/{job.id}").status_code == 403


def test_a_key_in_the_address_is_no_key(serve):
    with serve(demand_key=True) as served:
        key = served.key()
        assert httpx.get(f"{served.url}/v1/jobs", params={"key": key}).status_code == 401


def test_too_many_requests_are_put_off_but_reading_is_not(serve):
    with serve(rate_per_second=1, rate_burst=3) as served:
        job = served.add(owner="me")
        client = served.client(served.key())
        codes = [client.post(f"/v1/jobs/{job.id}/cancel").status_code for _ in range(5)]
        assert codes[-1] == 429
        limited = client.post(f"/v1/jobs/{job.id}/cancel")
        assert limited.json()["code"] == "rate.limited"
        assert int(limited.headers["retry-after"]) >= 1
        assert all(client.get(f"/v1/jobs/{job.id}").status_code == 200 for _ in range(20))
        other = served.client(served.key("other"))
        assert other.post(f"/v1/jobs/{job.id}/cancel").status_code == 404


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"PHOTOCAST_FILES": "{file}"}, "storage.unavailable"),
        ({"PHOTOCAST_DATABASE": "postgresql://me@127.0.0.1:1/none"}, "database.unavailable"),
        ({"PHOTOCAST_DATABASE": "sqlite:///{file}/jobs.db"}, "system.io"),
    ],
)
def test_what_cannot_be_opened_is_told_in_words(tmp_path, named, code):
    (tmp_path / "file").write_bytes(b"")
    named = {key: value.format(file=tmp_path / "file") for key, value in named.items()}
    command = [sys.executable, "-m", "photocast", "serve", "--port", "0", "--workers", "0"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path / "data")],
        env={**os.environ, **named},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, -9)
    assert f"[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_public_address_is_refused_without_a_key(tmp_path):
    command = [sys.executable, "-m", "photocast", "serve", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path)], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert b"serve.no_key" in done.stderr
    assert b"photocast keys add" in done.stderr


def test_answers_forbid_what_browsers_might_do_with_them(served):
    with served.client() as client:
        for path in ("/v1/jobs", "/v1/jobs/x", "/healthz", "/nothing"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-request-id"].startswith("req_")
            assert "server" not in headers


def test_other_origins_are_let_in_only_by_name(serve):
    with serve(cors_origins=("https://shop.example",)) as served, served.client() as client:
        asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
        allowed = client.options("/v1/jobs", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        other = client.options("/v1/jobs", headers={**asked, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_the_web_process_imports_nothing_heavy():
    code = (
        "import sys, photocast.service.app, photocast.cli.serve, photocast.service.embedded\n"
        "heavy = 'torch', 'warp', 'cv2', 'scipy', 'PIL', 'httpx', 'rich', 'boto3', 'celery'\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
