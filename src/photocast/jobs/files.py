# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the files of jobs lie: the contract, and which store a URL names.

    file:///var/lib/photocast/files      a folder of this machine; a plain path means the same
    s3://bucket/prefix                   a bucket of Amazon S3
    s3://bucket/prefix?endpoint=https://s3.example.org&region=eu-1    one of another server

Credentials of S3 come from where boto3 looks for them (environment, files, role), never the URL.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from photocast.errors import ConfigError, StorageError
from photocast.jobs.files_rules import is_key

__all__ = ["FileStore", "StoredFile", "open_files", "probe"]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a store took in."""

    key: str
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal."""


class FileStore(Protocol):
    """Files by key, each written whole or not at all.

    Keys are like ``artifacts/<job>/<attempt>/mesh.glb``; a key is never the folder of another. A
    key or range that cannot be meant is a ``ValueError``. Whatever the store itself refuses is a
    ``StorageError``. All methods block, and may be called from several threads at once.
    """

    def put(self, key: str, source: Path | BinaryIO, *, sha256: str | None = None) -> StoredFile:
        """Store a file, or what is left to read of one; whatever the key held is replaced.

        Args:
            key: Where to.
            source: What is read. Its own errors pass as they are.
            sha256: Stored only if it has this hash, else ``storage.corrupt``.
        """

    def put_bytes(self, key: str, data: bytes) -> StoredFile:
        """Store a few bytes."""

    def take(self, stored: StoredFile, source: Path) -> None:
        """Store a file of known size and hash; afterwards ``source`` is gone.

        Where both are on one disk, nothing is copied.
        """

    def open(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        """Open for reading the bytes ``start`` up to ``stop``, which are cut at the file's end.

        The file can be read forwards only, and is a context manager.
        """

    def fetch(self, key: str, target: Path, *, sha256: str | None = None) -> None:
        """Bring a file to ``target``, whole or not at all; whatever is there is replaced.

        The target may share its bytes with the store: it is to be replaced, never written into.

        Args:
            key: Which.
            target: A path in a folder that is there.
            sha256: Brought only if it has this hash, else ``storage.corrupt``.
        """

    def size(self, key: str) -> int:
        """Bytes of a file."""

    def delete(self, key: str) -> None:
        """Remove a file; it may be gone already."""

    def delete_prefix(self, prefix: str) -> None:
        """Remove every file in the folder ``prefix`` and below."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the files in the folder ``prefix`` and below, in the order of their bytes."""

    def presigned_url(self, key: str, seconds: int, filename: str) -> str | None:
        """Make a link that downloads under ``filename`` without asking us; None if it cannot be.

        Args:
            key: Which; it is not looked up.
            seconds: How long the link holds, at most 900.
            filename: Any text.
        """

    def free_bytes(self) -> int | None:
        """Room that is left; None where that is unknown."""

    def check(self) -> None:
        """Write, read and remove a small file, or raise what prevents it."""

    def sweep_partial(self, older_than_s: float) -> int:
        """Remove what interrupted writes left behind; tells how many there were."""


def open_files(url: str) -> FileStore:
    """Open the store that a URL names; the module's head shows how they look.

    Raises:
        ConfigError: The URL is none of those, or holds a user name or password.
        UserError: It names S3, and boto3 is not installed.
    """
    parts = _split(url)
    if parts.scheme == "s3":
        return _open_s3(parts)
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/") or parts.query):
        raise ConfigError(f"{url}: a folder is written as file:///folder, with three slashes.")
    if parts.scheme not in ("", "file"):
        raise ConfigError(f"Files cannot be stored in {parts.scheme}://: use file:// or s3://.")
    from photocast.jobs.files_local import LocalFiles

    return LocalFiles(Path(unquote(parts.path) if parts.scheme else url))


def _split(url: str) -> SplitResult:
    if "://" not in url:
        return SplitResult("", "", url, "", "")
    parts = urlsplit(url)
    if (
        "@" in parts.netloc
        or "@" in urlsplit(dict(parse_qsl(parts.query)).get("endpoint", "")).netloc
    ):
        # The message must not repeat what may be a password.
        raise ConfigError(
            "The URL of the storage holds a user name or password. Give credentials in the "
            "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or in boto3's files."
        )
    return parts


def _open_s3(parts: SplitResult) -> FileStore:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    prefix, endpoint = parts.path.strip("/"), options.pop("endpoint", None)
    region = options.pop("region", None)
    if options or parts.fragment:
        raise ConfigError(f"s3://{parts.netloc} knows endpoint= and region=, not {[*options]}.")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ConfigError(f"{parts.netloc!r} is no name of a bucket: s3://bucket/prefix.")
    if prefix and not is_key(prefix):
        raise ConfigError(f"{prefix!r} is no prefix of keys: use letters, digits and slashes.")
    if endpoint is not None and not re.match(r"https?://[^/]", endpoint):
        raise ConfigError(f"endpoint={endpoint}: must start with https:// or http://.")
    from photocast.jobs.files_s3 import S3Files

    return S3Files(parts.netloc, prefix, endpoint=endpoint, region=region)


def probe(store: FileStore) -> None:
    """Write, read and remove a small file, as ``FileStore.check`` promises."""
    key, data = f"probe/{uuid.uuid4().hex}", b"photocast"
    store.put_bytes(key, data)
    try:
        with store.open(key) as file:
            found = file.read()
    finally:
        store.delete(key)
    if found != data:
        raise StorageError(
            f"The storage gave back {len(found)} other bytes than it was given. Check its health.",
            code="storage.corrupt",
        )
