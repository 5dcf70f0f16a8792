# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of jobs in a bucket of Amazon S3, or of another server that speaks its protocol.

Objects stay private: no access list is sent. Checksums that other servers do not know are sent only
where the protocol demands them. Large files go up in parts, and appear once all parts are there.
"""

import contextlib
import io
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

from photocast.errors import StorageError, UserError
from photocast.jobs.files import StoredFile, probe
from photocast.jobs.files_rules import (
    attachment,
    check_file,
    check_hash,
    check_key,
    check_range,
    explained,
    hashed_copy,
)

try:
    from boto3.exceptions import Boto3Error, S3UploadFailedError
    from boto3.s3.transfer import TransferConfig
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ModuleNotFoundError as error:
    raise UserError(
        f"Files in S3 need {error.name}, which is not installed. "
        "Install it with: pip install 'photocast[scale]'",
        code="install.scale",
    ) from error

__all__ = ["S3Files"]

_PART_BYTES = 16 << 20
_CONNECT_S, _READ_S, _ATTEMPTS = 5, 60, 4
_MAX_LINK_S = 900
_MISSING = ("NoSuchKey", "NotFound", "404")
# How servers of several makers say it; the last is the bare HTTP status.
_FULL = ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "507")


class S3Files:
    """A ``FileStore`` below a prefix of a bucket, which is there."""

    def __init__(
        self, bucket: str, prefix: str, *, endpoint: str | None, region: str | None
    ) -> None:
        self.bucket = bucket
        self._start = f"{prefix}/" if prefix else ""
        # Four parts at a time, and 8 MiB of a download waiting for the disk.
        self._transfer = TransferConfig(
            multipart_threshold=_PART_BYTES,
            multipart_chunksize=_PART_BYTES,
            max_concurrency=4,
            max_io_queue=32,
        )
        self._client = _client(endpoint, region)

    def put(self, key: str, source: Path | BinaryIO, *, sha256: str | None = None) -> StoredFile:
        check_key(key)
        if isinstance(source, Path):
            with source.open("rb") as file:
                size, found = hashed_copy(file, len)
            return self._put(StoredFile(key, size, found), source, sha256)
        # Its hash must be known before the object appears, and parts may have to be sent again.
        with tempfile.NamedTemporaryFile(prefix="photocast-") as spool:
            size, found = hashed_copy(source, _writer(key, spool))
            with explained(key):
                spool.flush()
            return self._put(StoredFile(key, size, found), Path(spool.name), sha256)

    def _put(self, stored: StoredFile, path: Path, sha256: str | None) -> StoredFile:
        check_hash(stored.key, stored.sha256, sha256)
        with _answered(stored.key):
            self._client.upload_file(
                str(path), self.bucket, self._start + stored.key, Config=self._transfer
            )
        return stored

    def put_bytes(self, key: str, data: bytes) -> StoredFile:
        stored = StoredFile(check_key(key), *hashed_copy(io.BytesIO(data), len))
        with _answered(key):
            self._client.put_object(**self._place(key), Body=data)
        return stored

    def take(self, stored: StoredFile, source: Path) -> None:
        check_key(stored.key)
        self._put(stored, source, None)
        source.unlink()

    def open(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        check_range(start, stop)
        if start == stop:  # the protocol has no empty ranges
            self.size(key)
            return io.BytesIO()
        wanted = f"bytes={start}-{'' if stop is None else stop - 1}"
        part = {} if (start, stop) == (0, None) else {"Range": wanted}
        with _answered(key):
            try:
                answer = self._client.get_object(**self._place(key), **part)
            except ClientError as error:
                if _reason(error) != "InvalidRange":
                    raise
                return io.BytesIO()  # it starts behind the end
        return io.BufferedReader(_Body(key, answer["Body"]))

    def fetch(self, key: str, target: Path, *, sha256: str | None = None) -> None:
        check_key(key)
        partial = target.with_name(f".{uuid.uuid4().hex}.partial")
        try:
            with _answered(key), explained(key):
                target.parent.mkdir(parents=True, exist_ok=True)
                # Each part must be as long as was announced, or it is asked for again.
                self._client.download_file(
                    self.bucket, self._start + key, str(partial), Config=self._transfer
                )
            check_file(key, partial, sha256)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def size(self, key: str) -> int:
        with _answered(key):
            size: int = self._client.head_object(**self._place(key))["ContentLength"]
        return size

    def delete(self, key: str) -> None:
        with _answered(key, may_miss=True):
            self._client.delete_object(**self._place(key))

    def delete_prefix(self, prefix: str) -> None:
        check_key(prefix)
        # One by one: to delete many at once needs a checksum that servers disagree about.
        for key in self.keys(prefix):
            self.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        start = f"{self._start}{check_key(prefix)}/" if prefix else self._start
        return self._list(prefix, start)

    def _list(self, prefix: str, start: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        with _answered(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=start):
                for entry in page.get("Contents", ()):
                    yield entry["Key"].removeprefix(self._start)

    def presigned_url(self, key: str, seconds: int, filename: str) -> str | None:
        if not 1 <= seconds <= _MAX_LINK_S:
            raise ValueError(f"A link lives 1 to {_MAX_LINK_S} seconds, not {seconds}.")
        wanted = self._place(key) | {
            "ResponseContentDisposition": attachment(filename),
            "ResponseContentType": "application/octet-stream",
        }
        with _answered(key):
            url: str = self._client.generate_presigned_url("get_object", wanted, ExpiresIn=seconds)
        return url

    def free_bytes(self) -> int | None:
        return None

    def check(self) -> None:
        probe(self)

    def sweep_partial(self, older_than_s: float) -> int:
        before, swept = datetime.now(timezone.utc) - timedelta(seconds=older_than_s), 0
        pages = self._client.get_paginator("list_multipart_uploads")
        with _answered("the bucket"):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._start):
                for entry in page.get("Uploads", ()):
                    if entry["Initiated"] <= before:
                        self._abort(entry["Key"], entry["UploadId"])
                        swept += 1
        return swept

    def _abort(self, key: str, upload: str) -> None:
        with _answered(key, may_miss=True):
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._start + check_key(key)}


class _Body(io.RawIOBase):
    """The body of an answer, which checks its own length."""

    def __init__(self, key: str, body: Any) -> None:
        self.key, self.body = key, body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _answered(self.key):
            data = self.body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.body.close()
        super().close()


def _client(endpoint: str | None, region: str | None) -> Any:
    settings = Config(
        signature_version="s3v4",
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=32,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Only Amazon answers under a host name for each bucket.
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    with _answered("the bucket"):
        return Session().client("s3", endpoint_url=endpoint, region_name=region, config=settings)


def _writer(key: str, spool: Any) -> Callable[[bytes], object]:
    def write(data: bytes) -> None:
        with explained(key):
            spool.write(data)

    return write


@contextlib.contextmanager
def _answered(key: str, *, may_miss: bool = False) -> Iterator[None]:
    """Turn what the server or boto3 refuses into a ``StorageError``."""
    try:
        yield
    except (BotoCoreError, Boto3Error, ClientError) as error:
        # upload_file hides the server's answer in a sentence
        first = error.__context__ if isinstance(error, S3UploadFailedError) else error
        reason = _reason(first or error)
        if not (may_miss and reason in _MISSING):
            raise _storage_error(key, reason) from error


def _reason(error: BaseException) -> str:
    """The server's code, or the kind of failure; never its text, which may name hosts."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__


def _storage_error(key: str, reason: str) -> StorageError:
    if reason in _MISSING:
        return StorageError(f"{key}: not in the storage.", code="storage.missing")
    if reason in _FULL:
        text = f"{key}: the storage is full ({reason}). Make room, or delete old jobs."
        return StorageError(text, code="storage.full")
    text = f"{key}: the storage does not do it ({reason}). Check its address, keys and health."
    return StorageError(text, code="storage.unavailable")
