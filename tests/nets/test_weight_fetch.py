# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Fetching from a hub on this machine: whole files, right hashes, nothing unasked."""

import hashlib
import io
import json
import shutil
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch

from photocast.cli.boundary import run
from photocast.errors import Cancelled, WeightsError
from photocast.nets import weight_sources
from photocast.nets.seeded import write_test_weights
from photocast.nets.weight_fetch import fetch_weights
from photocast.nets.weight_record import check_hashes, git_blob_hash, read_record
from photocast.nets.weight_sources import GENERATE, TERMS, Repository, SingleFile
from photocast.nets.weights import TensorFile

COMMIT = "c0ffee" * 6 + "c0ff"


class Hub(BaseHTTPRequestHandler):
    """Answers like the hub, from a folder; notes what was asked."""

    def __init__(self, shelf, asked, *args):
        self.shelf, self.asked = shelf, asked
        super().__init__(*args)

    def do_GET(self):
        path = unquote(self.path)
        self.asked.append(path)
        if path.startswith("/api/models/"):
            name = path.removeprefix("/api/models/").partition("/revision/")[0]
            body = json.dumps({"sha": COMMIT, "siblings": self.listing(name)}).encode()
        else:
            file = self.shelf / path.replace(f"/resolve/{COMMIT}", "").lstrip("/")
            body = file.read_bytes() if file.is_file() else None
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def listing(self, name):
        files = []
        for path in sorted((self.shelf / name).rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                entry = {"rfilename": path.relative_to(self.shelf / name).as_posix()}
                entry |= {"size": len(content), "blobId": git_blob_hash(path)}
                if path.suffix == ".safetensors":
                    sha = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"sha256": sha, "size": len(content)}
                files.append(entry)
        return files

    def log_message(self, *args):
        pass


def answer(monkeypatch, text):
    """Type something."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_test_weights(tmp_path_factory.mktemp("made")).root


@pytest.fixture
def hub(weights, tmp_path):
    """Its address, its folder, what it was asked, and sources that point there."""
    shelf, asked = tmp_path / "shelf", []
    for folder in ("trellis-vggt-v0-2", "vggt-object-v0-1"):
        shutil.copytree(weights / folder, shelf / "owner" / folder)
    (shelf / "owner" / "vggt-object-v0-1" / "README.md").write_text("not wanted", encoding="utf-8")
    dino = TensorFile(weights / "dinov2" / "dinov2_vitl14_reg.safetensors").tensors()
    torch.save({name: value.clone() for name, value in dino.items()}, shelf / "dino.pth")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, shelf, asked))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    size = (shelf / "dino.pth").stat().st_size
    patterns = ("*.json", "ckpts/*.json", "*.safetensors", "ckpts/*.safetensors")
    sources = (
        Repository("trellis-vggt-v0-2", "owner/trellis-vggt-v0-2", "main", patterns, "", "MIT"),
        Repository("vggt-object-v0-1", "owner/vggt-object-v0-1", "v1", patterns, "", "other"),
        SingleFile("dinov2", f"{address}/dino.pth", size, "dinov2_vitl14_reg.safetensors", "", "A"),
    )
    yield address, shelf, asked, sources
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_fetched_is_what_is_there(hub, weights, tmp_path):
    address, _, asked, sources = hub
    root = tmp_path / "root"
    fetch_weights(sources, root, hub=address)
    shutil.copy(weights / "dinov2" / "dinov2_vitl14_reg.json", root / "dinov2")
    for path in weights.rglob("*.safetensors"):
        ours, theirs = (TensorFile(p).tensors() for p in (root / path.relative_to(weights), path))
        assert ours.keys() == theirs.keys()
        assert all(ours[name].equal(theirs[name]) for name in ours)
    assert not list(root.rglob("README.md"))
    assert not list(root.rglob("*.part")) + list(root.rglob("*.pth"))
    record = read_record(root)
    assert set(check_hashes(root)) == set(record)
    assert record["vggt-object-v0-1/model.safetensors"]["revision"] == COMMIT
    assert record["vggt-object-v0-1/model.safetensors"]["licence"] == "other"
    assert run(["weights", "verify", "--folder", str(root), "--quiet"]) == 0
    downloads = sum("resolve" in path or path == "/dino.pth" for path in asked)
    fetch_weights(sources, root, hub=address)  # nothing is fetched twice
    assert sum("resolve" in path or path == "/dino.pth" for path in asked) == downloads


def test_a_file_that_is_not_what_was_announced_is_not_kept(hub, tmp_path, monkeypatch):
    address, _, _, sources = hub
    listing = Hub.listing

    def lie(self, name):
        files = listing(self, name)
        for entry in files:
            if "lfs" in entry:
                entry["lfs"]["sha256"] = "0" * 64
        return files

    monkeypatch.setattr(Hub, "listing", lie)
    with pytest.raises(WeightsError) as caught:
        fetch_weights(sources, tmp_path / "root", hub=address)
    assert caught.value.code == "weights.hash"
    assert not list((tmp_path / "root").rglob("*.safetensors*"))


def test_a_hub_that_is_not_there_is_told(tmp_path, hub):
    with pytest.raises(WeightsError, match="cannot be downloaded") as caught:
        fetch_weights(hub[3][:1], tmp_path / "root", hub="http://127.0.0.1:9")
    assert caught.value.code == "weights.download"


def test_a_name_that_leaves_the_folder_is_not_fetched(hub, tmp_path, monkeypatch):
    address, _, asked, sources = hub
    entry = {"rfilename": "../../evil.json", "size": 2, "blobId": None}
    monkeypatch.setattr(Hub, "listing", lambda self, name: [entry])
    with pytest.raises(WeightsError, match="holds none of"):
        fetch_weights(sources, tmp_path / "root", hub=address)
    assert not any("resolve" in path for path in asked)


def test_cancelling_keeps_no_part_of_a_file(hub, tmp_path):
    address, _, _, sources = hub

    def stop(stage, done, total, **numbers):
        raise Cancelled

    with pytest.raises(Cancelled):
        fetch_weights(sources, tmp_path / "root", hub=address, progress=stop)
    assert not [path for path in (tmp_path / "root").rglob("*") if path.is_file()]


@pytest.mark.parametrize("said", ["", "n\n", "\n"])
def test_the_command_shows_licences_and_downloads_nothing_without_a_yes(
    said, hub, tmp_path, capsys, monkeypatch
):
    address, _, asked, sources = hub
    monkeypatch.setattr(weight_sources, "GENERATE", sources)
    root = tmp_path / "root"
    arguments = ["weights", "fetch", "generate", "--folder", str(root), "--hub", address, "--quiet"]
    answer(monkeypatch, said)
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert "owner/trellis-vggt-v0-2" in shown.out
    assert "licence: MIT" in shown.out
    assert TERMS in shown.out
    assert "weights.not_agreed" in shown.err
    assert asked == []
    assert not root.exists()


@pytest.mark.parametrize(("said", "more"), [("y\n", []), ("", ["--agree"])])
def test_the_command_downloads_after_a_yes(said, more, hub, tmp_path, monkeypatch):
    address, _, _, sources = hub
    monkeypatch.setattr(weight_sources, "GENERATE", sources)
    answer(monkeypatch, said)
    root = tmp_path / "root"
    arguments = ["weights", "fetch", "generate", "--folder", str(root), "--hub", address, "--quiet"]
    assert run([*arguments, *more]) == 0
    assert (root / "vggt-object-v0-1" / "model.safetensors").is_file()


def test_the_published_sources_say_on_which_terms():
    assert "non-commercial" in TERMS
    assert all(source.licence for source in GENERATE)
    folders = {source.folder for source in GENERATE}
    assert folders == {"trellis-vggt-v0-2", "vggt-object-v0-1", "dinov2"}
    assert all(not Path(source.folder).is_absolute() for source in GENERATE)
