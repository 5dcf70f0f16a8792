# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every store of files promises, in a folder and on a real S3 server."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.errors import StorageError
from photocast.jobs.files import FileStore, StoredFile, open_files
from photocast.jobs.files_rules import attachment

SOURCE = Path(__file__).parents[2] / "src"
LARGE = 40 << 20  # three parts of an upload


@pytest.fixture(scope="module", params=["local", "s3"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "s3":
        return request.getfixturevalue("s3_url")
    return tmp_path_factory.mktemp("files").as_uri()


@pytest.fixture(scope="module")
def store(url: str) -> FileStore:
    return open_files(url)


@pytest.fixture
def folder() -> str:
    """A prefix that no other test uses."""
    return f"tests/{uuid.uuid4().hex}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read(store: FileStore, key: str, start: int = 0, stop: int | None = None) -> bytes:
    with store.open(key, start, stop) as file:
        return file.read()


def missing(store: FileStore, key: str) -> bool:
    with pytest.raises(StorageError) as raised:
        store.size(key)
    return raised.value.code == "storage.missing"


@settings(max_examples=12, deadline=None)
@given(data=st.data(), content=st.binary(max_size=3000))
def test_any_range_of_what_was_put_comes_back(store, data, content):
    key = f"laws/{uuid.uuid4().hex}"
    assert store.put_bytes(key, content) == StoredFile(key, len(content), sha256(content))
    assert read(store, key) == content
    start = data.draw(st.integers(0, len(content) + 5))
    stop = data.draw(st.none() | st.integers(start, len(content) + 9))
    assert read(store, key, start, stop) == content[start:stop]
    assert store.size(key) == len(content)


@pytest.mark.parametrize("size", [0, 1, 70_000, LARGE])
def test_a_file_and_a_stream_are_stored_and_fetched_alike(store, folder, tmp_path, size):
    content, source, target = os.urandom(size), tmp_path / "in.bin", tmp_path / "new" / "out.bin"
    source.write_bytes(content)
    stream = io.BytesIO(b"before" + content)
    stream.seek(6)
    for name, given_source in (("file", source), ("stream", stream)):
        key = f"{folder}/{name}"
        stored = store.put(key, given_source, sha256=sha256(content))
        assert stored == StoredFile(key, size, sha256(content))
        store.fetch(key, target, sha256=sha256(content))
        assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == ["out.bin"]
    assert read(store, f"{folder}/file", size // 2, size // 2 + 10) == content[size // 2 :][:10]


def test_what_has_another_hash_is_refused_on_both_ways(store, folder, tmp_path):
    key, target = f"{folder}/a", tmp_path / "out"
    for source in (io.BytesIO(b"abc"), Path(__file__)):
        with pytest.raises(StorageError, match="announced") as raised:
            store.put(key, source, sha256="0" * 64)
        assert raised.value.code == "storage.corrupt"
    assert missing(store, key)
    store.put_bytes(key, b"abc")
    with pytest.raises(StorageError) as raised:
        store.fetch(key, target, sha256="0" * 64)
    assert raised.value.code == "storage.corrupt"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_taken_is_stored_and_gone_from_where_it_was(store, folder, tmp_path):
    source, data = tmp_path / "source", os.urandom(100_000)
    source.write_bytes(data)
    store.take(StoredFile(f"{folder}/a", len(data), sha256(data)), source)
    assert read(store, f"{folder}/a") == data
    assert not source.exists()


def test_a_key_that_is_not_there_is_missing_in_every_way(store, folder, tmp_path):
    store.put_bytes(f"{folder}/a/b", b"x")
    for key in (f"{folder}/none", f"{folder}/a", f"{folder}/a/b/c"):
        for ask in (store.size, store.open, lambda key: store.fetch(key, tmp_path / "out")):
            with pytest.raises(StorageError) as raised:
                ask(key)
            assert raised.value.code == "storage.missing"
        store.delete(key)
    assert read(store, f"{folder}/a/b") == b"x"
    assert list(tmp_path.iterdir()) == []


def test_a_second_put_replaces_the_first_and_leaves_open_readers_alone(store, folder):
    key = f"{folder}/a"
    store.put_bytes(key, b"first")
    with store.open(key) as file:
        store.put_bytes(key, b"second, longer")
        assert file.read() == b"first"
    assert read(store, key) == b"second, longer"


def test_a_fetched_file_may_be_replaced_and_the_store_keeps_its_own(store, folder, tmp_path):
    key, target = f"{folder}/a", tmp_path / "a"
    store.put_bytes(key, b"kept")
    target.write_bytes(b"old")
    store.fetch(key, target)
    store.fetch(key, target)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    store.put_bytes(key, b"newer")
    assert target.read_bytes() == b"kept"


def test_keys_are_listed_by_folder_in_the_order_of_bytes(store, folder):
    names = ["a-b", "a/b", "a/c/d", "aa/x", "a.b", "Z", "b"]
    for name in names:
        store.put_bytes(f"{folder}/{name}", name.encode())
    assert list(store.keys(folder)) == sorted(f"{folder}/{name}" for name in names)
    assert list(store.keys(f"{folder}/a")) == [f"{folder}/a/b", f"{folder}/a/c/d"]
    assert list(store.keys(f"{folder}/b")) == []
    assert set(store.keys(folder)) <= set(store.keys())


def test_deleting_a_folder_spares_those_whose_names_begin_alike(store, folder):
    for name in ("job1/a", "job1/b/c", "job10/a"):
        store.put_bytes(f"{folder}/{name}", b"x")
    store.delete_prefix(f"{folder}/job1")
    store.delete_prefix(f"{folder}/job1")
    assert list(store.keys(folder)) == [f"{folder}/job10/a"]
    store.delete(f"{folder}/job10/a")
    store.delete(f"{folder}/job10/a")
    assert missing(store, f"{folder}/job10/a")


BAD_KEYS = ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", ".partial/a", "a/.b", "a b", "é"]


@pytest.mark.parametrize("key", [*BAD_KEYS, "a\n", "a\\b", "a\0", "a" * 201, "a/" * 256 + "a"])
def test_a_key_that_could_lead_elsewhere_is_refused_by_every_method(store, tmp_path, key):
    for ask in (
        store.size,
        store.open,
        store.delete,
        store.delete_prefix,
        lambda key: store.put_bytes(key, b""),
        lambda key: store.presigned_url(key, 60, "name"),
        lambda key: store.put(key, io.BytesIO()),
        lambda key: store.fetch(key, tmp_path / "out"),
        lambda key: store.take(StoredFile(key, 0, ""), tmp_path / "in"),
    ):
        with pytest.raises(ValueError, match="no key"):
            ask(key)


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (0, -1), (3, 2)])
def test_a_range_that_cannot_be_meant_is_refused(store, folder, start, stop):
    store.put_bytes(f"{folder}/a", b"abc")
    with pytest.raises(ValueError, match="no range"):
        store.open(f"{folder}/a", start, stop)


def test_an_error_of_the_source_passes_and_leaves_nothing(store, folder, tmp_path):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ConnectionResetError("the sender went away")

    with pytest.raises(ConnectionResetError):
        store.put(f"{folder}/a", Broken())
    with pytest.raises(FileNotFoundError):
        store.put(f"{folder}/a", tmp_path / "none")
    assert list(store.keys(folder)) == []
    assert store.sweep_partial(0) == 0


def test_a_hundred_writers_of_one_key_leave_one_whole_file(store, folder):
    contents = [bytes([number]) * 20_000 for number in range(100)]
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(lambda content: store.put_bytes(f"{folder}/a", content), contents))
    assert read(store, f"{folder}/a") in contents
    assert list(store.keys(folder)) == [f"{folder}/a"]
    assert store.sweep_partial(0) == 0


def test_writing_while_the_folder_is_deleted_loses_no_later_file(store, folder):
    def write(number: int) -> str:
        return store.put_bytes(f"{folder}/x/{number}", b"x").key

    with ThreadPoolExecutor(8) as pool:
        writes = pool.map(write, range(24))
        for _ in range(4):
            store.delete_prefix(f"{folder}/x")
        list(writes)
    last = write(100)
    assert last in store.keys(folder)


def run(url: str, code: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a program that has ``store`` and ``sys``."""
    head = (
        "import sys; from photocast.jobs.files import open_files; store = open_files(sys.argv[1]); "
    )
    command = [sys.executable, "-c", head + code, url, *arguments]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8")


SLOW_PUT = """
from pathlib import Path
from threading import Thread
import os, time
if sys.argv[1].startswith("s3"):
    done = store._client.upload_part  # the second part never ends
    store._transfer.max_concurrency = store._transfer.max_request_concurrency = 1
    def upload_part(PartNumber, **rest):
        if PartNumber > 1:
            print("half", flush=True)
            time.sleep(60)
        return done(PartNumber=PartNumber, **rest)
    store._client.upload_part = upload_part
    store.put(sys.argv[2], Path(sys.argv[3]))
else:
    class Slow:
        given = False
        def read(self, size):
            if self.given:
                print("half", flush=True)
                time.sleep(60)
            self.given = True
            return os.urandom(size)
    store.put(sys.argv[2], Slow())
"""


def test_a_kill_during_a_put_leaves_no_key_and_the_rest_can_be_swept(store, url, folder, tmp_path):
    source = tmp_path / "large"
    source.write_bytes(bytes(LARGE))
    with run(url, f"exec({SLOW_PUT!r})", f"{folder}/a", str(source)) as writer:
        assert writer.stdout.readline() == "half\n"
        writer.send_signal(signal.SIGKILL)
    assert list(store.keys(folder)) == []
    assert missing(store, f"{folder}/a")
    assert store.sweep_partial(3600) == 0
    time.sleep(1)  # the server counts in whole seconds
    assert store.sweep_partial(0) == 1
    assert store.sweep_partial(0) == 0


MEMORY = """
from pathlib import Path
import resource
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
source, target = Path(sys.argv[3]), Path(sys.argv[4])
store.put_bytes(sys.argv[2], b"x")
store.fetch(sys.argv[2], target)
before = peak()
store.put(sys.argv[2], source)
with source.open("rb") as file: store.put(sys.argv[2], file)
target.unlink()
store.fetch(sys.argv[2], target)
with store.open(sys.argv[2]) as file:
    while file.read(1 << 20): pass
print(peak() - before)
"""


def test_large_files_pass_through_little_memory(url, store, folder, tmp_path):
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(100 << 20)
    with run(url, f"exec({MEMORY!r})", f"{folder}/a", str(source), str(tmp_path / "b")) as program:
        grown_mb = int(program.stdout.read())
    store.delete(f"{folder}/a")
    assert grown_mb < 50


def test_the_check_passes_and_leaves_nothing(store):
    store.check()
    assert list(store.keys("probe")) == []


def refused(link: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(link, timeout=10)
    with raised.value:
        return raised.value.code


def test_a_link_serves_the_file_as_a_download_until_it_is_too_old(store, url, folder):
    key = f"{folder}/a"
    store.put_bytes(key, b"mesh")
    link = store.presigned_url(key, 2, 'my "größe".glb')
    if url.startswith("file:"):
        assert link is None
        return
    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == b"mesh"
        assert answer.headers["Content-Disposition"] == attachment('my "größe".glb')
    store.put_bytes(f"{folder}/b", b"other")
    assert refused(link.partition("?")[0]), "objects are private"
    assert refused(link.replace(key, f"{folder}/b")) == 403, "a link is for one file"
    time.sleep(3)
    assert refused(link) == 403
    with pytest.raises(ValueError, match="900"):
        store.presigned_url(key, 901, "a")
