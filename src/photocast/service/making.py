# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From files and wishes to a job: check, store, and write all rows in one transaction."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request, Response
from pydantic import ValidationError
from sqlalchemy import Connection

from photocast.jobs import blobs
from photocast.jobs.blobs import BlobGone
from photocast.jobs.database import DatabaseDown
from photocast.jobs.erase import remove_files
from photocast.jobs.files import StoredFile
from photocast.jobs.names import clash, place
from photocast.jobs.once import Answer
from photocast.jobs.record import Input, Job, Kind, NewJob, State
from photocast.jobs.store import create, usage
from photocast.service.auth import Caller
from photocast.service.context import Context
from photocast.service.forms import checked_name, most_files, too_many
from photocast.service.incoming import Arrived, too_large
from photocast.service.jobs import check_usage
from photocast.service.once import answered, fingerprint, response
from photocast.service.problems import ServiceError
from photocast.service.upload_files import finished_upload
from photocast.service.views import base_of, job_view
from photocast.service.webhooks.prepare import prepare_webhook
from photocast.wire import InputRef, JobRequest, Options, ProblemItem

__all__ = [
    "Wanted",
    "check_essential",
    "check_files",
    "check_options",
    "check_room",
    "invalid",
    "make_job",
    "parsed",
    "resolved",
    "take",
    "told",
]

_POLL_AFTER_S = 2
_LONGEST = {Kind.RECONSTRUCT: math.inf, Kind.MESH_REPORT: 600.0}
_ESSENTIAL = {Kind.RECONSTRUCT: ("images", "capture"), Kind.MESH_REPORT: ("mesh",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A job that is to be made."""

    kind: Kind
    request: JobRequest
    draft: bool = False


def parsed(text: str | bytes) -> JobRequest:
    """Read the JSON of a new job.

    Raises:
        ServiceError: It is no JSON, or not of that form.
    """
    try:
        return JobRequest.model_validate_json(text or b"{}")
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError, start: str = "/") -> ServiceError:
    """The refusal of a model's fields, each named."""
    items = [
        ProblemItem(
            pointer=start + "/".join(map(str, one["loc"])),
            code="request.invalid",
            detail=one["msg"],
        )
        for one in error.errors(include_url=False, include_input=False)[:50]
    ]
    detail = f"{len(items)} fields are wrong; the first: {items[0].pointer}: {items[0].detail}."
    if error.errors()[0]["type"] == "json_invalid":
        return ServiceError(400, "request.malformed", detail, errors=items)
    return ServiceError(422, "request.invalid", detail, errors=items)


def check_room(context: Context, coming: int = 0) -> None:
    """Refuse to take anything in while the disk is nearly full.

    Raises:
        ServiceError: It is.
    """
    reserve = context.settings.disk_reserve_bytes
    places = [shutil.disk_usage(context.settings.data).free, context.files.free_bytes()]
    free = min(place for place in places if place is not None)
    if free - coming < reserve:
        raise ServiceError(
            507,
            "disk.full",
            f"{free:,} bytes are free and {coming:,} would come; {reserve:,} must stay free.",
            hint="Delete jobs that are no longer needed.",
            retry_after=60,
        )


_OFFER = {
    "fake": "start the service with --fake-engine for it",
    "generate": "its operator can fetch the weights and set PHOTOCAST_WEIGHTS for it",
}


def check_options(context: Context, options: Options) -> None:
    """Refuse what this service does not offer.

    Raises:
        ServiceError: It names an engine that is off.
    """
    if options.engine not in context.settings.engines:
        raise ServiceError(
            422,
            "engine.unknown",
            f"The engine {options.engine} is not offered here; {_OFFER[options.engine]}.",
            errors=[
                ProblemItem(
                    pointer="/options/engine", code="engine.unknown", detail="It is not offered."
                )
            ],
        )


def resolved(context: Context, owner: str, refs: Sequence[InputRef]) -> list[Input]:
    """Find the files that a request names, all of the owner's.

    Raises:
        ServiceError: Some are not there; all of them are listed.
    """
    found, wrong = [], []
    hashes = [finished_upload(context, owner, one) or "" for one in refs]
    with context.database.read() as connection:
        stored = blobs.known(connection, owner, hashes)
    for index, (ref, sha256) in enumerate(zip(refs, hashes, strict=True)):
        name = checked_name(ref.role, ref.name)
        if sha256 in stored:
            key, size = stored[sha256]
            found.append(Input(role=ref.role, name=name, key=key, sha256=sha256, size=size))
            continue
        detail = "There is no finished upload or stored file of that name."
        pointer = f"/inputs/{index}"
        wrong.append(ProblemItem(pointer=pointer, code="input.unknown", detail=detail, name=name))
    if wrong:
        text = f"{len(wrong)} of {len(refs)} files are not stored; the first: {wrong[0].name}."
        hint = "Upload them, or send them with the request."
        raise ServiceError(422, "input.unknown", text, hint=hint, errors=wrong[:50])
    return found


def check_files(context: Context, given: Sequence[Input | Arrived]) -> None:
    """Refuse files that cannot lie in one folder, or are too many or too large together.

    Raises:
        ServiceError: With the first that is wrong.
    """
    settings = context.settings
    total = sum(one.size for one in given)
    if total > settings.max_job_bytes:
        raise too_large("The files have together", settings.max_job_bytes)
    for role in {one.role for one in given}:
        most = most_files(settings.max_photos, role)
        if sum(one.role == role for one in given) > most:
            raise too_many(role, most)
    twice = clash(place(one.role, one.name) for one in given)
    if twice is not None:
        text = f"Two files would lie at {twice} in the capture. Rename one."
        raise ServiceError(422, "upload.duplicate", text)


def take(context: Context, owner: str, arrived: Sequence[Arrived]) -> tuple[list[Input], list[str]]:
    """Put files into the store, each content once.

    Returns:
        The inputs, and the keys that are new.

    Raises:
        StorageError: It refuses; what it took before is removed.
    """
    with context.database.read() as connection:
        stored = blobs.known(connection, owner, [one.sha256 for one in arrived])
    inputs, new = [], dict[str, str]()
    try:
        for one in arrived:
            key = new.get(one.sha256) or stored.get(one.sha256, ("", 0))[0]
            if not key:
                key = new[one.sha256] = blobs.new_key(owner)
                context.files.take(StoredFile(key, one.size, one.sha256), one.path)
            inputs.append(
                Input(role=one.role, name=one.name, key=key, sha256=one.sha256, size=one.size)
            )
    except BaseException:
        remove_files(context.files, new.values())
        raise
    return inputs, list(new.values())


def make_job(
    request: Request,
    context: Context,
    caller: Caller,
    wanted: Wanted,
    arrived: Sequence[Arrived],
    key: str | None,
) -> Response:
    """Make a job once.

    Raises:
        ServiceError: Something about it cannot be; nothing that was stored for it is left.
    """
    body = wanted.request.model_dump(mode="json")
    check_options(context, wanted.request.options)
    given = resolved(context, caller.owner, wanted.request.inputs)
    files: list[Input | Arrived] = [*given, *arrived]
    check_files(context, files)
    _check_any(wanted, [one.role for one in files])
    asked = wanted.request.webhook
    webhook = None if asked is None else prepare_webhook(asked, context.settings)
    secret = webhook["secret"] if webhook and asked and asked.secret is None else None
    new = NewJob(
        owner=caller.owner,
        kind=wanted.kind,
        options=wanted.request.options.model_dump(mode="json"),
        labels=wanted.request.labels,
        webhook=webhook,
        max_seconds=min(context.settings.max_job_seconds, _LONGEST[wanted.kind]),
    )
    made: list[Job] = []

    def make(connection: Connection) -> Answer:
        used.clear()
        check_usage(context.settings, usage(connection, caller.owner))
        inputs = _relied(connection, caller.owner, [*given, *taken], fresh)
        made[:] = [create(connection, new, inputs, draft=wanted.draft)]
        used.update(one.key for one in inputs)
        return told(made[0], base_of(request, context), 201 if wanted.draft else 202, secret)

    taken, fresh = take(context, caller.owner, arrived)
    used: set[str] = set()
    print_ = fingerprint(request, body, [(one.role, one.name, one.sha256) for one in arrived])
    try:
        answer, replayed = answered(context, caller, key, print_, make)
    except DatabaseDown:
        used.update(fresh)  # it may have been written all the same; a sweep finds out
        raise
    except BaseException:
        used.clear()
        raise
    finally:
        remove_files(context.files, set(fresh) - used)
    if not replayed and made[0].state is State.QUEUED:
        context.bell.ring(made[0].id)
    return response(answer, replayed)


def told(job: Job, base: str, status: int, secret: str | None = None) -> Answer:
    """What the maker of a job is told."""
    view = job_view(job, base, secret=secret)
    headers = {"Location": view.urls.self}
    if status == 202:
        headers["Retry-After"] = str(_POLL_AFTER_S)
    return Answer(status, headers, view.model_dump_json().encode())


def _relied(
    connection: Connection, owner: str, given: list[Input], fresh: list[str]
) -> list[Input]:
    try:
        return blobs.rely(connection, owner, given, fresh)
    except BlobGone as error:
        raise ServiceError(409, error.code, str(error), retry_after=1) from None


def _check_any(wanted: Wanted, roles: Sequence[str]) -> None:
    if wanted.draft or wanted.request.options.engine == "fake":
        return
    check_essential(wanted.kind, roles)


def check_essential(kind: Kind, roles: Sequence[str]) -> None:
    """Refuse a job that has nothing to work on.

    Raises:
        ServiceError: It has no photos, or no mesh.
    """
    needed = _ESSENTIAL[kind]
    if not set(needed) & set(roles):
        text = f"There are no files in the field {' or '.join(needed)}. Send some."
        raise ServiceError(422, "job.no_inputs", text)
