# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a folder does beyond the contract: full disks, links, modes."""

import hashlib
import io
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from photocast.errors import StorageError
from photocast.jobs.files import StoredFile
from photocast.jobs.files_local import LocalFiles

MB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a small file system can only be mounted by root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def check_that_too_much_leaves_nothing(store: LocalFiles, source: object) -> None:
    store.put_bytes("a", b"before")
    with pytest.raises(StorageError, match="full") as raised:
        store.put("a", source)
    assert raised.value.code == "storage.full"
    with store.open("a") as file:
        assert file.read() == b"before"
    assert list(store.keys()) == ["a"]
    assert list((store.root / ".partial").iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_a_full_disk_is_told_and_what_was_there_stays(small_disk, tmp_path_factory, kind):
    store = LocalFiles(small_disk / "files")
    assert 0 < store.free_bytes() <= MB
    source = tmp_path_factory.mktemp("source") / "large"
    source.write_bytes(bytes(3 * MB))
    free = store.free_bytes()
    check_that_too_much_leaves_nothing(
        store, source if kind == "file" else io.BytesIO(bytes(3 * MB))
    )
    assert free - store.free_bytes() < 64 << 10


def test_a_fetch_onto_a_full_disk_is_told_and_leaves_nothing(small_disk, tmp_path_factory):
    store = LocalFiles(tmp_path_factory.mktemp("files"))
    store.put_bytes("a", bytes(3 * MB))
    with pytest.raises(StorageError) as raised:
        store.fetch("a", small_disk / "a")
    assert raised.value.code == "storage.full"
    assert list(small_disk.iterdir()) == []


def test_a_limit_on_file_sizes_counts_as_full(tmp_path):
    store = LocalFiles(tmp_path)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MB, old[1]))
    try:
        check_that_too_much_leaves_nothing(store, io.BytesIO(bytes(3 * MB)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, before)


def test_a_fetch_shares_the_bytes_where_it_can_and_copies_elsewhere(tmp_path, small_disk):
    store = LocalFiles(tmp_path.parent / "other_disk")
    store.put_bytes("a", b"x" * 1000)
    near, far = tmp_path.parent / "near", small_disk / "far"
    for target in (near, far):
        store.fetch("a", target)
        assert target.read_bytes() == b"x" * 1000
    stored = store.root / "a"
    assert near.stat().st_ino == stored.stat().st_ino
    assert near.stat().st_mode & 0o222 == 0, "writing into it would change the stored file"
    assert far.stat().st_dev != stored.stat().st_dev


def test_a_file_of_another_disk_is_taken_too(tmp_path_factory, small_disk):
    store, source = LocalFiles(tmp_path_factory.mktemp("files")), small_disk / "a"
    source.write_bytes(b"data")
    store.take(StoredFile("a", 4, hashlib.sha256(b"data").hexdigest()), source)
    with store.open("a") as file:
        assert file.read() == b"data"
    assert not source.exists()


def test_a_key_cannot_be_the_folder_of_another(tmp_path):
    store = LocalFiles(tmp_path)
    store.put_bytes("a/b", b"x")
    for key in ("a", "a/b/c"):
        with pytest.raises(ValueError, match="folder of another"):
            store.put_bytes(key, b"y")
    assert list(store.keys()) == ["a/b"]
    assert store.sweep_partial(0) == 0


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError) as raised:
        LocalFiles(tmp_path / "file" / "files")
    assert raised.value.code == "storage.unavailable"


def test_a_deleted_folder_leaves_no_empty_folders(tmp_path):
    store = LocalFiles(tmp_path)
    store.put_bytes("a/b/c/d", b"x")
    store.delete_prefix("a/b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == []
