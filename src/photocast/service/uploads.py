# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``/v1/uploads``: files that come in pieces over bad lines, by the protocol tus 1.0.0.

With its extensions creation, creation-with-upload, expiration, checksum and termination. A finished
upload is named in ``inputs`` of a new job.

Source: https://tus.io/protocols/resumable-upload
"""

import base64
import binascii
import contextlib
import re
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from photocast.jobs import blobs
from photocast.jobs.erase import remove_files
from photocast.jobs.files_rules import explained
from photocast.jobs.ids import new_id
from photocast.jobs.names import safe_name
from photocast.jobs.uploads import Upload, UploadTable
from photocast.service.auth import Caller, Writer
from photocast.service.context import Context, ContextOf
from photocast.service.incoming import pour, too_large
from photocast.service.jobs import check_open_jobs
from photocast.service.making import check_room
from photocast.service.problems import ServiceError
from photocast.service.upload_files import Writer as FileWriter
from photocast.service.upload_files import finish, found_upload, locked, upload_path
from photocast.service.views import base_of

__all__ = ["router"]

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])
_VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
_MEDIA_TYPE = "application/offset+octet-stream"
_FOREVER_S = 10 * 365 * 86400.0
_MOST_METADATA = 4096
_LENGTHS = {"sha1": 20, "sha256": 32}

Length = Annotated[int | None, Header(alias="Upload-Length", ge=0, le=2**53)]
Offset = Annotated[int | None, Header(alias="Upload-Offset", ge=0, le=2**53)]
Metadata = Annotated[str, Header(alias="Upload-Metadata", max_length=_MOST_METADATA)]
_NO_BODY: dict[int | str, dict[str, Any]] = {
    204: {"description": "Done; the headers tell how far it is."}
}


@router.options("", status_code=204)
async def describe_uploads(context: ContextOf) -> Response:
    """Tell what this server can do."""
    headers = {
        "Tus-Resumable": _VERSION,
        "Tus-Version": _VERSION,
        "Tus-Extension": _EXTENSIONS,
        "Tus-Max-Size": str(context.settings.max_file_bytes),
        "Tus-Checksum-Algorithm": ",".join(_LENGTHS),
    }
    return Response(status_code=204, headers=headers)


@router.post("", status_code=201, response_class=Response)
async def create_upload(
    request: Request,
    caller: Writer,
    context: ContextOf,
    upload_length: Length = None,
    upload_metadata: Metadata = "",
) -> Response:
    """Begin an upload. The metadata may have a `filename`; a body is its first piece."""
    with _spoken(request):
        upload = await run_in_threadpool(_create, context, caller, upload_length, upload_metadata)
        headers = {"Location": f"{base_of(request, context)}/v1/uploads/{upload.id}"}
        if request.headers.get("content-type") == _MEDIA_TYPE:
            upload = await _receive(request, context, caller, upload)
        return _answer(201, upload, headers)


@router.head("/{upload_id}", status_code=200, response_class=Response)
def look_at_upload(
    request: Request, upload_id: str, caller: Writer, context: ContextOf
) -> Response:
    """Tell how far an upload is."""
    with _spoken(request):
        upload = found_upload(context, caller.owner, upload_id)
        headers = {"Upload-Length": str(upload.size), "Cache-Control": "no-store"}
        if upload.facts["metadata"]:
            headers["Upload-Metadata"] = upload.facts["metadata"]
        if upload.sha256:
            headers["X-Content-SHA256"] = upload.sha256
        return _answer(200, upload, headers)


@router.patch("/{upload_id}", status_code=204, response_class=Response, responses=_NO_BODY)
async def continue_upload(
    request: Request,
    upload_id: str,
    caller: Writer,
    context: ContextOf,
    upload_offset: Offset = None,
) -> Response:
    """Add bytes at the offset where the upload is."""
    with _spoken(request):
        upload = await run_in_threadpool(found_upload, context, caller.owner, upload_id)
        if request.headers.get("content-type") != _MEDIA_TYPE:
            raise ServiceError(
                415, "request.media_type", f"The Content-Type must be {_MEDIA_TYPE}."
            )
        if upload_offset is None:
            raise ServiceError(422, "request.invalid", "The header Upload-Offset is missing.")
        if upload.sha256 is not None:
            _check_offset(upload, upload_offset)
            return _answer(204, upload)
        upload = await _receive(request, context, caller, upload, upload_offset)
        return _answer(204, upload)


@router.delete("/{upload_id}", status_code=204, response_class=Response)
def end_upload(request: Request, upload_id: str, caller: Writer, context: ContextOf) -> Response:
    """Forget an upload; jobs that use its file keep it."""
    with _spoken(request):
        upload = found_upload(context, caller.owner, upload_id)
        remove_upload(context, upload)
        return Response(status_code=204, headers={"Tus-Resumable": _VERSION})


@router.post("/{upload_id}", include_in_schema=False)
async def override_method(
    request: Request,
    upload_id: str,
    caller: Writer,
    context: ContextOf,
    upload_offset: Offset = None,
) -> Response:
    """For clients that can only POST (``X-HTTP-Method-Override``)."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "PATCH":
        return await continue_upload(request, upload_id, caller, context, upload_offset)
    if method == "DELETE":
        return await run_in_threadpool(end_upload, request, upload_id, caller, context)
    raise ServiceError(405, "http.method", "Use HEAD, PATCH or DELETE.")


def remove_upload(context: Context, upload: Upload) -> None:
    """Forget an upload, with its data if nobody else needs it."""
    upload_path(context.settings, upload.id).unlink(missing_ok=True)
    UploadTable(context.database).remove(upload.id)
    if upload.sha256 is None:
        return
    with context.database.write() as connection:
        stored = blobs.known(connection, upload.owner, [upload.sha256])
        gone = blobs.release(connection, [key for key, _ in stored.values()])
    remove_files(context.files, gone)


@contextlib.contextmanager
def _spoken(request: Request) -> Iterator[None]:
    """Check the protocol's version, and say ours with every refusal."""
    try:
        if request.headers.get("tus-resumable") != _VERSION:
            raise ServiceError(
                412,
                "upload.version",
                f"The header Tus-Resumable must be {_VERSION}.",
                headers={"Tus-Version": _VERSION},
            )
        yield
    except ServiceError as error:
        error.headers["Tus-Resumable"] = _VERSION
        raise


def _create(context: Context, caller: Caller, size: int | None, metadata: str) -> Upload:
    if size is None:
        raise ServiceError(422, "request.invalid", "The header Upload-Length is missing.")
    if not size:
        raise ServiceError(422, "upload.empty", "An upload must have at least one byte.")
    if size > context.settings.max_file_bytes:
        raise too_large("The file has", context.settings.max_file_bytes)
    check_room(context, size)
    check_open_jobs(context, caller.owner)
    keep = context.settings.keep_uploads_seconds or _FOREVER_S
    upload = Upload(
        id=new_id("up"),
        owner=caller.owner,
        name=_name(metadata),
        size=size,
        offset=0,
        sha256=None,
        facts={"metadata": metadata},
        expires_at=time.time() + keep,
    )
    path = upload_path(context.settings, upload.id)
    with explained(upload.name):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("xb").close()
    UploadTable(context.database).add(upload)
    return upload


async def _receive(
    request: Request, context: Context, caller: Caller, upload: Upload, offset: int = 0
) -> Upload:
    """Add a request's body; the upload as it is then."""
    checksum = _checksum(request.headers.get("upload-checksum"))
    await run_in_threadpool(check_room, context, upload.size - upload.offset)
    with locked(context, upload) as file:
        # nobody else changes it from here on
        upload = await run_in_threadpool(found_upload, context, caller.owner, upload.id)
        _check_offset(upload, offset)
        writer = await run_in_threadpool(FileWriter, context, upload, file, checksum)
        try:
            await pour(request, writer.write)
        except ServiceError as error:
            if error.code == "request.aborted":
                await run_in_threadpool(writer.drop)
            raise
        await run_in_threadpool(writer.keep)
        if writer.offset == upload.size:
            await run_in_threadpool(finish, context, upload, file)
    return await run_in_threadpool(found_upload, context, caller.owner, upload.id)


def _check_offset(upload: Upload, offset: int) -> None:
    if offset != upload.offset:
        raise ServiceError(
            409,
            "upload.offset",
            f"The upload is at byte {upload.offset:,}, not {offset:,}.",
            headers={"Upload-Offset": str(upload.offset)},
        )


def _answer(status: int, upload: Upload, headers: dict[str, str] | None = None) -> Response:
    told = {
        "Tus-Resumable": _VERSION,
        "Upload-Offset": str(upload.offset),
        "Upload-Expires": formatdate(upload.expires_at, usegmt=True),
    }
    return Response(status_code=status, headers={**told, **(headers or {})})


def _checksum(header: str | None) -> tuple[str, bytes] | None:
    """Algorithm and digest that a piece must have.

    Raises:
        ServiceError: The header cannot be read, or names another algorithm.
    """
    if header is None:
        return None
    algorithm, _, text = header.partition(" ")
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != _LENGTHS.get(algorithm, -1):
        raise ServiceError(
            400,
            "upload.checksum_header",
            f"Upload-Checksum must be one of {', '.join(_LENGTHS)}, a space, and base64.",
        )
    return algorithm, digest


def _name(metadata: str) -> str:
    """The file's name in the metadata, if it is one; only for messages."""
    found = re.search(r"(?:^|,)\s*filename ([A-Za-z0-9+/=]+)", metadata)
    try:
        return safe_name(base64.b64decode(found[1]).decode()) if found else "upload"
    except ValueError:
        return "upload"
