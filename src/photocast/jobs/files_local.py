# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of jobs in a folder of this machine.

A file is written under another name, synced and renamed, so that a key shows all of it or nothing,
also after a power cut.
"""

import contextlib
import errno
import io
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from photocast.errors import StorageError
from photocast.jobs.files import StoredFile, probe
from photocast.jobs.files_rules import (
    check_file,
    check_hash,
    check_key,
    check_range,
    explained,
    hashed_copy,
)

__all__ = ["LocalFiles"]

_PARTIAL = ".partial"
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP)
_READ_ONLY = 0o440  # a hard link in a work folder has the same bytes; writing into it must fail
_TRIES = 5


class LocalFiles:
    """A ``FileStore`` in one folder, which is made if it is not there."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        with explained(str(self.root)):
            (self.root / _PARTIAL).mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, key: str, source: Path | BinaryIO, *, sha256: str | None = None) -> StoredFile:
        check_key(key)
        if not isinstance(source, Path):
            return self._put(key, source, sha256)
        with source.open("rb") as file:
            return self._put(key, file, sha256)

    def put_bytes(self, key: str, data: bytes) -> StoredFile:
        return self.put(key, io.BytesIO(data))

    def take(self, stored: StoredFile, source: Path) -> None:
        check_key(stored.key)
        partial = self.root / _PARTIAL / uuid.uuid4().hex
        try:
            with explained(stored.key):
                source.replace(partial)
        except StorageError as error:
            if getattr(error.__cause__, "errno", None) != errno.EXDEV:
                raise
            self.put(stored.key, source, sha256=stored.sha256)
            source.unlink()
            return
        try:
            with explained(stored.key):
                _make_durable(partial)
                self._publish(partial, stored.key)
        finally:
            partial.unlink(missing_ok=True)

    def _put(self, key: str, source: BinaryIO, sha256: str | None) -> StoredFile:
        partial = self.root / _PARTIAL / uuid.uuid4().hex
        try:
            stored = _write(key, source, partial)
            check_hash(key, stored.sha256, sha256)
            with explained(key):
                self._publish(partial, key)
        finally:
            partial.unlink(missing_ok=True)
        return stored

    def _publish(self, partial: Path, key: str) -> None:
        """Rename; ``delete_prefix`` may remove the folder just before, so there are more tries."""
        target = self.root / key
        for _ in range(_TRIES):
            try:
                _make_folder(target.parent)
                partial.replace(target)
                return _sync_folder(target.parent)
            except FileNotFoundError:
                continue
            except (NotADirectoryError, IsADirectoryError) as error:
                raise ValueError(f"{key}: a key cannot be the folder of another.") from error
        raise StorageError(
            f"{key}: the folder or the new file was removed while it was stored, {_TRIES} times. "
            "Try again.",
            code="storage.unavailable",
        )

    def open(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        check_range(start, stop)
        path = self.root / check_key(key)
        with explained(key, reading=True):
            file = path.open("rb", buffering=0)
            file.seek(start)
        return io.BufferedReader(_Window(key, file, None if stop is None else stop - start))

    def fetch(self, key: str, target: Path, *, sha256: str | None = None) -> None:
        path = self.root / check_key(key)
        partial = target.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            with explained(key, reading=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(path, partial)
            check_file(key, partial, sha256)
            partial.replace(target)
        finally:  # renaming one link of a file over another leaves both
            partial.unlink(missing_ok=True)

    def size(self, key: str) -> int:
        path = self.root / check_key(key)
        with explained(key, reading=True):
            if not path.is_file():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            return path.stat().st_size

    def delete(self, key: str) -> None:
        path = self.root / check_key(key)
        with explained(key), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if not path.is_dir():
                path.unlink()

    def delete_prefix(self, prefix: str) -> None:
        top = self.root / check_key(prefix)
        for key in self.keys(prefix):
            self.delete(key)
        with explained(prefix):
            for folder, _, _ in os.walk(top, topdown=False):
                _remove_empty(folder)

    def keys(self, prefix: str = "") -> Iterator[str]:
        top = self.root / check_key(prefix) if prefix else self.root
        return _walk(top, f"{prefix}/" if prefix else "")

    def presigned_url(self, key: str, seconds: int, filename: str) -> str | None:
        check_key(key)
        return None

    def free_bytes(self) -> int | None:
        with explained("the folder"):
            return shutil.disk_usage(self.root).free

    def check(self) -> None:
        probe(self)

    def sweep_partial(self, older_than_s: float) -> int:
        swept, now = 0, time.time()
        with explained("the folder"):
            for path in (self.root / _PARTIAL).iterdir():
                with contextlib.suppress(FileNotFoundError):  # its writer was faster
                    if now - path.stat().st_mtime >= older_than_s:
                        path.unlink()
                        swept += 1
        return swept


class _Window(io.RawIOBase):
    """The next bytes of a file, at most ``left`` of them."""

    def __init__(self, key: str, file: io.FileIO, left: int | None) -> None:
        self.key, self.file, self.left = key, file, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: self.left]
        with explained(self.key):
            count = self.file.readinto(view)
        if self.left is not None:
            self.left -= count
        return count

    def close(self) -> None:
        self.file.close()
        super().close()


def _write(key: str, source: BinaryIO, partial: Path) -> StoredFile:
    with explained(key):
        file = partial.open("xb", buffering=0)

    def write(data: bytes) -> None:
        view = memoryview(data)
        with explained(key):
            while view:  # an unbuffered write may take less
                view = view[file.write(view) :]

    with file:
        size, sha256 = hashed_copy(source, write)
        with explained(key):
            os.fchmod(file.fileno(), _READ_ONLY)
            os.fsync(file.fileno())
    return StoredFile(key, size, sha256)


def _make_durable(path: Path) -> None:
    with path.open("rb") as file:
        os.fchmod(file.fileno(), _READ_ONLY)
        os.fsync(file.fileno())


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(path, target)


def _walk(folder: Path, start: str) -> Iterator[str]:
    """Keys below a folder, which may vanish meanwhile."""
    with explained(start):
        try:
            with os.scandir(folder) as found:
                # With the slash the order is that of whole keys: "a-b" comes before "a/b".
                entries = sorted((f"{e.name}/" if e.is_dir() else e.name) for e in found)
        except (FileNotFoundError, NotADirectoryError):
            return
    for name in entries:
        if name.startswith("."):
            continue
        if name.endswith("/"):
            yield from _walk(folder / name, start + name)
        else:
            yield start + name


def _make_folder(folder: Path) -> None:
    """Make a folder and those above, each entered on disk for good."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        _sync_folder(folder.parent)


def _remove_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError as error:  # another write may have filled it, or another delete removed it
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
