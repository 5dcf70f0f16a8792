# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every store of files checks, and says in the same words."""

import contextlib
import errno
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from photocast.errors import StorageError

__all__ = [
    "CHUNK_BYTES",
    "attachment",
    "check_file",
    "check_hash",
    "check_key",
    "check_range",
    "explained",
    "hashed_copy",
    "is_key",
]

CHUNK_BYTES = 1 << 20

# Each part fits a file name, and the key with a prefix the 1024 bytes of S3. No part starts with a
# dot, so none leads out of the store, and names that do are free for the store itself.
_PART = r"[A-Za-z0-9_=+@-][A-Za-z0-9_=+@.-]{0,199}"
_KEY = re.compile(rf"{_PART}(/{_PART})*")
_MAX_KEY = 512
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def is_key(text: str) -> bool:
    """Whether a text may be the name of a file in a store."""
    return len(text) <= _MAX_KEY and _KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """Return the key, or raise ValueError if it could lead elsewhere or is too long."""
    if not is_key(key):
        raise ValueError(
            f"{key[:_MAX_KEY]!r} is no key: at most {_MAX_KEY} characters, in parts of at most 200 "
            "letters, digits and _=+@.- that do not start with a dot, with slashes between."
        )
    return key


def check_range(start: int, stop: int | None) -> None:
    """Raise ValueError if a range of bytes cannot be meant."""
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"Bytes {start} up to {stop} are no range.")


def check_hash(key: str, found: str, wanted: str | None) -> None:
    """Raise ``storage.corrupt`` if a hash is asked for and another one was found."""
    if wanted is not None and found != wanted.lower():
        raise StorageError(
            f"{key}: the SHA-256 is {found}, and {wanted} was announced. Send the file again.",
            code="storage.corrupt",
        )


def check_file(key: str, path: Path, wanted: str | None) -> None:
    """The same for a file; it is only read if a hash is asked for."""
    if wanted is not None:
        with path.open("rb") as file:
            check_hash(key, hashed_copy(file, len)[1], wanted)


def hashed_copy(source: BinaryIO, write: Callable[[bytes], object]) -> tuple[int, str]:
    """Hand a file on in pieces; tells its bytes and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        write(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def attachment(filename: str) -> str:
    """Make the value of a Content-Disposition header that saves under any name (RFC 6266)."""
    plain = re.sub(r'[^ -~]|["\\%]', "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


@contextlib.contextmanager
def explained(key: str, *, reading: bool = False) -> Iterator[None]:
    """Turn what the system refuses into a ``StorageError``; only reading can miss a file."""
    try:
        yield
    except OSError as error:
        raise _storage_error(key, error, reading) from error


def _storage_error(key: str, error: OSError, reading: bool) -> StorageError:
    if error.errno in _FULL:
        text = f"{key}: the storage is full ({error.strerror}). Make room, or delete old jobs."
        return StorageError(text, code="storage.full")
    if reading and error.errno in _MISSING:
        return StorageError(f"{key}: not in the storage.", code="storage.missing")
    text = f"{key}: the storage refused ({error.strerror}). Check the disk and permissions."
    return StorageError(text, code="storage.unavailable")
