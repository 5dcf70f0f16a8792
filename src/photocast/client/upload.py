# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Sending a job: only the files that the service does not hold yet, each until it has arrived.

Files are named by their hash first. Those that the owner has stored before are not sent again, so
a submission that was cut off goes on where it ended when it is simply made again.
"""

import base64
import re
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import quote

from photocast.client.captures import LocalFile
from photocast.client.download import sha256_of
from photocast.client.errors import ClientError
from photocast.client.retry import Retry, asked, read_as
from photocast.client.steps import Ask, Plan, Together, Work
from photocast.wire import InputRef, JobRequest, JobView

__all__ = ["digest_header", "sent", "unknown_inputs"]

AT_ONCE = 4
"""Files on their way at the same time."""


def sent(
    request: JobRequest,
    files: Sequence[LocalFile],
    key: str,
    retry: Retry,
    told: Callable[[LocalFile], None],
) -> Plan[JobView]:
    """Make a job of local files and let it wait for a worker.

    Args:
        request: The job, without its files.
        files: What it is made of.
        key: Makes sure that a request which is repeated makes one job.
        retry: How often to ask again.
        told: Receives each file that the service has.

    Raises:
        ClientError: The service refuses the job or a file, or does not answer.
    """
    hashes: list[str] = []
    for file in files:
        hashes.append((yield Work(partial(sha256_of, file.path))))
    refs = [
        InputRef(role=file.role, name=file.name, sha256=found)
        for file, found in zip(files, hashes, strict=True)
    ]
    draft, held = yield from _drafted(request, refs, key, retry)
    for place in sorted(held):
        told(files[place])
    path = f"/v1/jobs/{quote(draft.id, safe='')}"
    yield Together(
        [
            _put(path, file, ref, retry, told)
            for place, (file, ref) in enumerate(zip(files, refs, strict=True))
            if place not in held
        ],
        AT_ONCE,
    )
    job = yield from _submitted(path, key, retry)
    return job.model_copy(update={"webhook_secret": draft.webhook_secret})  # told only once


def digest_header(sha256: str) -> dict[str, str]:
    """The hash of a body as RFC 9530 writes it."""
    text = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"Content-Digest": f"sha-256=:{text}:"}


def unknown_inputs(error: ClientError) -> set[int]:
    """The places of the inputs that the service does not hold; none if it refused otherwise."""
    items = error.problem.errors if error.problem and error.code == "input.unknown" else []
    found = [re.search(r"/inputs/(\d+)", item.pointer) for item in items]
    return {int(match[1]) for match in found if match}


def _drafted(
    request: JobRequest, refs: Sequence[InputRef], key: str, retry: Retry
) -> Plan[tuple[JobView, set[int]]]:
    """Make a draft of the files that the service holds; which those are."""
    held = list(range(len(refs)))
    for turn in range(len(refs) + 1):  # a refusal names some of those that lack, not always all
        inputs = [refs[place] for place in held]
        body = request.model_copy(update={"inputs": inputs}).model_dump_json(exclude_none=True)
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{key}-{turn}"}
        ask = Ask(method="POST", path="/v1/jobs/draft", headers=headers, body=[body.encode()])
        try:
            answer = yield from asked(ask, retry)
        except ClientError as error:
            lacking = unknown_inputs(error)
            if not lacking:
                raise
            held = [place for index, place in enumerate(held) if index not in lacking]
        else:
            return read_as(JobView, answer), set(held)
    raise AssertionError("a draft without inputs lacks none")


def _put(
    path: str, file: LocalFile, ref: InputRef, retry: Retry, told: Callable[[LocalFile], None]
) -> Plan[None]:
    assert ref.sha256 is not None  # it was made of one
    headers = {"Content-Type": "application/octet-stream", **digest_header(ref.sha256)}
    place = f"{path}/inputs/{file.role}/{quote(file.name)}"
    ask = Ask(method="PUT", path=place, headers=headers, body=[file.path])
    yield from asked(ask, retry)
    told(file)


def _submitted(path: str, key: str, retry: Retry) -> Plan[JobView]:
    headers = {"Idempotency-Key": f"{key}-submit"}
    ask = Ask(method="POST", path=f"{path}/submit", headers=headers, harmless=True)
    try:
        answer = yield from asked(ask, retry)
    except ClientError as error:
        if error.code != "job.invalid_state":
            raise
        answer = yield from asked(Ask(method="GET", path=path), retry)  # an earlier try arrived
        job = read_as(JobView, answer)
        if job.state == "draft":
            raise
        return job
    return read_as(JobView, answer)
