# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``Idempotency-Key``: a request that is sent again is answered as the first time.

What a key did is in the database, in the same transaction as what it did. Besides, a process that
still reads the first request refuses a second one at once, before its files are sent.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

from fastapi import Header, Request, Response
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from photocast.jobs.once import Answer, Mismatch, recall, remember
from photocast.service.auth import Caller
from photocast.service.context import Context
from photocast.service.problems import ServiceError

__all__ = ["IdempotencyKey", "answered", "fingerprint", "one_at_a_time", "response"]

IdempotencyKey = Annotated[
    str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")
]
_TRIES = 5
_in_flight: set[tuple[int, str, str]] = set()
"""Application, owner and key of the requests that this process is reading."""


@contextlib.contextmanager
def one_at_a_time(request: Request, caller: Caller, key: str | None) -> Iterator[None]:
    """Refuse a second request with the same key while the first is here.

    Raises:
        ServiceError: It is; it says when to come again.
    """
    if key is None:
        yield
        return
    mark = (id(request.app), caller.owner, key)
    if mark in _in_flight:
        raise ServiceError(
            409,
            "idempotency.in_flight",
            f"The first request with the Idempotency-Key {key!r} is not answered yet.",
            retry_after=2,
        )
    _in_flight.add(mark)
    try:
        yield
    finally:
        _in_flight.discard(mark)


def fingerprint(
    request: Request, body: Mapping[str, object], files: Sequence[tuple[str, str, str]] = ()
) -> str:
    """What makes a request the same: method, path, JSON, and role, name and hash of its files."""
    parts = [request.method, request.url.path, body, sorted(files)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def answered(
    context: Context,
    caller: Caller,
    key: str | None,
    print_: str,
    make: Callable[[Connection], Answer],
) -> tuple[Answer, bool]:
    """Do something once, and tell whether it was done before.

    Args:
        context: Has the database.
        caller: Whose key it is.
        key: The key; without one, it is done each time.
        print_: Of the request.
        make: Does it, inside the transaction; may be called again if another was faster.

    Raises:
        ServiceError: The key was used for another request.
    """
    for last in range(_TRIES - 1, -1, -1):
        try:
            with context.database.write() as connection:
                try:
                    before = key and recall(connection, caller.owner, key, print_)
                except Mismatch as error:
                    raise ServiceError(422, error.code, str(error)) from None
                if before:
                    return before, True
                answer = make(connection)
                if key is not None:
                    remember(connection, caller.owner, key, print_, answer)
                return answer, False
        except IntegrityError:  # another process wrote the same rows at the same time
            if not last:
                raise
    raise AssertionError  # the loop returns or raises


def response(answer: Answer, replayed: bool) -> Response:
    """An answer as it is sent."""
    headers = {**answer.headers, **({"Idempotency-Replayed": "true"} if replayed else {})}
    return Response(answer.body, answer.status, headers, media_type="application/json")
