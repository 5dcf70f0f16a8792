# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What lies on the disk of an upload that is not finished, and how it becomes a stored file.

The rest of the service may run on several hosts; a client's upload must go on on the host where it
began, or ``<data>/uploads`` must be a shared folder with working locks.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import update

from photocast.jobs import blobs
from photocast.jobs.erase import remove_files
from photocast.jobs.files_rules import explained, hashed_copy
from photocast.jobs.ids import is_id
from photocast.jobs.record import Input
from photocast.jobs.tables import uploads
from photocast.jobs.uploads import Upload, UploadTable
from photocast.service.context import Context
from photocast.service.problems import ServiceError
from photocast.settings import Settings
from photocast.wire import InputRef

__all__ = ["Writer", "finished_upload", "found_upload", "locked", "upload_path"]

_COMMIT_BYTES = 8 << 20
_DIGESTS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}


def upload_path(settings: Settings, upload_id: str) -> Path:
    """Where an unfinished upload lies."""
    return settings.data.resolve() / "uploads" / upload_id


def found_upload(context: Context, owner: str, upload_id: str) -> Upload:
    """An upload of an owner.

    Raises:
        ServiceError: There is none, or its time is over.
    """
    table = UploadTable(context.database)
    upload = table.get(upload_id, owner) if is_id(upload_id, "up") else None
    if upload is None:
        raise ServiceError(404, "upload.not_found", "There is no upload of that name.")
    if upload.expires_at < time.time():
        raise ServiceError(410, "upload.expired", "The upload has expired. Start another.")
    return upload


@contextlib.contextmanager
def locked(context: Context, upload: Upload) -> Iterator[BinaryIO]:
    """The file of an unfinished upload, for one request at a time.

    Raises:
        ServiceError: Another request writes it, or it is gone.
    """
    with contextlib.ExitStack() as stack:
        try:
            path = upload_path(context.settings, upload.id)
            file = stack.enter_context(path.open("r+b", buffering=0))
        except FileNotFoundError:
            text = "The upload's data is not on this host. Start another upload."
            raise ServiceError(410, "upload.expired", text) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = "Another request writes to this upload."
            raise ServiceError(423, "upload.locked", text, retry_after=1) from None
        yield file


class Writer:
    """Adds to an upload; what was told as its offset survives a crash."""

    def __init__(
        self, context: Context, upload: Upload, file: BinaryIO, checksum: tuple[str, bytes] | None
    ) -> None:
        self._context, self._upload, self._file = context, upload, file
        self._wanted = checksum
        self._digest = _DIGESTS[checksum[0] if checksum else "sha256"]()
        self._kept = self.offset = upload.offset
        with explained(upload.name):
            file.truncate(upload.offset)  # what came after was never told
            file.seek(upload.offset)

    def write(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            ServiceError: They are more than was announced.
        """
        if self.offset + len(data) > self._upload.size:
            text = f"More than the announced {self._upload.size:,} bytes came."
            raise ServiceError(413, "upload.too_large", text)
        with explained(self._upload.name):
            view = memoryview(data)
            while view:  # an unbuffered write may take less
                view = view[self._file.write(view) :]
        self.offset += len(data)
        if self._wanted is not None:
            self._digest.update(data)
        elif self.offset - self._kept >= _COMMIT_BYTES:
            self.keep()

    def keep(self) -> None:
        """Make all that came so far last.

        Raises:
            ServiceError: It is not what was announced; nothing of this request is kept.
        """
        if self._wanted is not None and self._digest.digest() != self._wanted[1]:
            text = f"The {self._wanted[0]} of the bytes is not the announced one. Send again."
            raise ServiceError(460, "upload.checksum", text)
        with explained(self._upload.name):
            os.fsync(self._file.fileno())
        UploadTable(self._context.database).advance(self._upload, self.offset)
        self._kept = self.offset

    def drop(self) -> None:
        """The client went away: keep what came, unless it should have been checked as a whole."""
        if self._wanted is None:
            self.keep()


def finished_upload(context: Context, owner: str, ref: InputRef) -> str | None:
    """The hash of what a request names; ``None`` if it is not there yet."""
    if ref.upload_id is None:
        return ref.sha256
    upload = found_upload(context, owner, ref.upload_id)
    if upload.offset < upload.size:
        return None
    sha256 = upload.sha256
    if sha256 is None:  # a crash came between its last byte and its end
        with locked(context, upload) as file:
            sha256 = finish(context, upload, file)
    return sha256 if ref.sha256 in (None, sha256) else None


def finish(context: Context, upload: Upload, file: BinaryIO) -> str:
    """Store a whole upload, and remove its file here.

    Returns:
        Its SHA-256.
    """
    file.seek(0)
    with explained(upload.name):
        size, sha256 = hashed_copy(file, len)
    with context.database.read() as connection:
        stored = blobs.known(connection, upload.owner, [sha256])
    key = stored[sha256][0] if sha256 in stored else blobs.new_key(upload.owner)
    fresh = [] if sha256 in stored else [key]
    if fresh:
        file.seek(0)
        context.files.put(key, file, sha256=sha256)
    one = Input(role="", name=upload.name, key=key, sha256=sha256, size=size)
    with context.database.write() as connection:
        kept = blobs.rely(connection, upload.owner, [one], fresh)
        row = update(uploads).where(uploads.c.id == upload.id)
        connection.execute(row.values(sha256=sha256))
    if kept[0].key != key:
        remove_files(context.files, fresh)
    upload_path(context.settings, upload.id).unlink(missing_ok=True)
    return sha256
