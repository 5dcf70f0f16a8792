# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands that ask a service, as a user meets them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast.cli.boundary import run


@pytest.fixture
def capture(tmp_path) -> Path:
    folder = tmp_path / "capture"
    folder.mkdir()
    pixels = np.random.default_rng().integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    (folder / "notes.docx").write_bytes(b"notes")
    return folder


@pytest.fixture
def at(service, monkeypatch):
    """Commands that follow ask this service."""
    monkeypatch.setenv("PHOTOCAST_SERVER", service.url)
    monkeypatch.delenv("PHOTOCAST_KEY", raising=False)
    return service


def submitted(capture: Path, capsys, *arguments: str) -> dict[str, object]:
    assert run(["submit", str(capture), "--engine", "fake", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)["job"]


def test_a_capture_is_sent_watched_and_fetched_with_one_command(at, capture, tmp_path, capsys):
    out = tmp_path / "result"
    command = ["submit", str(capture), "--engine", "fake", "--label", "sku=A=7"]
    assert run([*command, "--fetch", str(out)]) == 0
    said = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == {"mesh.glb", "report.json"}
    assert re.match(r"job_\w+  succeeded  verdict pass\n", said.out)
    assert str(out / "mesh.glb") in said.out
    assert "notes.docx" in said.err, "what is left out is said"
    assert "upload: 1/1" in said.err
    assert "job: " in said.err


def test_a_job_is_listed_and_fetched_by_its_name(at, capture, tmp_path, capsys, monkeypatch):
    job = submitted(capture, capsys, "--label", "sku=A-7", "--preset", "draft")
    assert (job["labels"], job["options"]["preset"]) == ({"sku": "A-7"}, "draft")
    assert run(["watch", job["id"], "--quiet"]) == 0
    assert capsys.readouterr().out == f"{job['id']}  succeeded  verdict pass\n"
    assert run(["jobs", "--state", "succeeded"]) == 0
    assert job["id"] in capsys.readouterr().out
    assert run(["jobs", "--json", "--count", "1"]) == 0
    assert len(json.loads(capsys.readouterr().out)["jobs"]) == 1
    monkeypatch.chdir(tmp_path)
    assert run(["fetch", job["id"], "--name", "mesh.glb"]) == 0
    assert [path.name for path in Path("out", job["id"]).iterdir()] == ["mesh.glb"]


def test_a_job_is_canceled(at, capture, capsys):
    job = submitted(capture, capsys)
    assert run(["cancel", job["id"]]) == 0
    assert job["id"] in capsys.readouterr().out
    assert run(["watch", job["id"], "--quiet"]) == 1
    assert capsys.readouterr().err.endswith("[job.canceled]\n")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["watch", "job_none"], 2, "job.not_found"),
        (["fetch", "job_none"], 2, "job.not_found"),
        (["cancel", "job_none"], 2, "job.not_found"),
        (["jobs", "--state", "lost"], 2, "usage"),
        (["submit", "nowhere"], 3, "capture.no_folder"),
        (["jobs", "--key-file", "nowhere"], 2, "key.file"),
        (["jobs", "--server", "localhost"], 2, "client.url"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(at, arguments, exit_code, code, capsys):
    assert run(arguments) == exit_code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.endswith(f"[{code}]\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [(["--label", "sku"], "submit.label"), (["--formats", "dwg"], "config.invalid")],
)
def test_options_are_checked_before_anything_is_sent(at, capture, options, code, capsys):
    assert run(["submit", str(capture), *options, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


def test_a_service_that_is_not_there_is_told_of_soon(capsys):
    began = time.monotonic()
    assert run(["jobs", "--server", "http://127.0.0.1:9"]) == 1
    assert time.monotonic() - began < 5
    assert "[client.unreachable]" in capsys.readouterr().err


def test_ctrl_c_while_watching_leaves_the_job_running(at, capture, capsys):
    from photocast import Client

    with Client(at.url) as client:
        job = client.submit(capture, options={"engine": "fake", "fake": {"seconds": 60}})
        script = "from photocast.cli import main; main()"
        # whoever runs the tests in the background ignores Ctrl-C, and children would inherit that
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        watching = subprocess.Popen(
            [sys.executable, "-c", script, "watch", job.id],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=at.environment,
        )
        signal.signal(signal.SIGINT, before)
        assert watching.stderr.readline().startswith("job: ")
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=30)
        assert watching.returncode == 130
        assert f"photocast watch {job.id}" in said
        assert client.job(job.id).cancel_requested_at is None
        client.delete(job.id)


def test_a_key_is_made_used_listed_and_revoked(own_service, tmp_path, capsys, monkeypatch):
    service = own_service(DEMAND_KEY="true")
    monkeypatch.setenv("PHOTOCAST_SERVER", service.url)
    data = ["--data", str(service.data)]
    assert run(["jobs"]) == 2
    assert "[auth.required]" in capsys.readouterr().err
    assert run(["keys", "add", *data, "--owner", "ada", "--name", "laptop", "--days", "1"]) == 0
    said = capsys.readouterr()
    assert re.fullmatch(r"pc_[\w-]{43}\n", said.out), "the key alone, so that it can go to a file"
    (key_id,) = re.findall(r"key_\w+", said.err)
    key_file = tmp_path / "ada.key"
    key_file.write_text(said.out, encoding="utf-8")
    assert run(["jobs", "--key-file", str(key_file)]) == 0
    monkeypatch.setenv("PHOTOCAST_KEY", said.out.strip())
    assert run(["jobs"]) == 0
    capsys.readouterr()
    assert run(["keys", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert f"{key_id}  ada  laptop  jobs:read,jobs:write  holds until" in listed
    assert said.out.strip() not in listed
    assert run(["keys", "revoke", key_id, *data]) == 0
    assert run(["keys", "revoke", key_id, *data]) == 2
    assert "[key.unknown]" in capsys.readouterr().err
    assert run(["keys", "list", *data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["keys"][0]["revoked_at"] is not None


def test_a_key_of_an_unknown_scope_is_refused(tmp_path, capsys):
    assert run(["keys", "add", "--data", str(tmp_path), "--scope", "all"]) == 2
    assert "[key.scope]" in capsys.readouterr().err


def test_a_command_that_lacks_a_package_says_which_extra_has_it():
    script = "import sys; sys.modules['sqlalchemy'] = None\nfrom photocast.cli import main; main()"
    made = subprocess.run(
        [sys.executable, "-c", script, "keys", "list"],
        capture_output=True,
        encoding="utf-8",
        env=os.environ,
    )
    assert made.returncode == 2
    assert "photocast[service]" in made.stderr
    assert "[install.service]" in made.stderr
