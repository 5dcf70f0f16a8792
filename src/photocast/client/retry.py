# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""When to ask again: exponential backoff with full jitter, never sooner than the service asks."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from photocast.client.errors import ClientError, failure, refusal, retry_after
from photocast.client.steps import Answer, Ask, Broken, Pause, Plan

__all__ = ["PASSING", "Retry", "asked", "paused", "read_as"]

_log = logging.getLogger(__name__)
PASSING = (408, 425, 429, 502, 503, 504)
"""Refusals that say nothing about the next time."""
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how soon."""

    count: int = 6
    """Times to ask again."""
    base: float = 0.5
    """Longest pause before the first of them; it doubles each time [s]."""
    longest: float = 15.0
    """Longest pause of our own choice [s]."""
    patience: float = 120.0
    """Longest pause that a service may ask for; one that asks for more is told of at once [s]."""
    draw: Callable[[], float] = random.random
    """A number in 0..1."""

    def pause(self, tried: int, wanted: float | None = None) -> float | None:
        """How long to wait before asking again; ``None``: not at all.

        Args:
            tried: How often that was done before.
            wanted: What the service asks for [s].
        """
        if tried >= self.count or (wanted or 0.0) > self.patience:
            return None
        jitter = self.draw() * min(self.base * 2.0**tried, self.longest)
        return (wanted or 0.0) + jitter  # after a common wait, callers still come one by one

    def after(self, ask: Ask, got: Answer | Broken, tried: int) -> float | None:
        """As :meth:`pause`, for what came of a request."""
        if not ask.may_repeat:
            return None
        if isinstance(got, Broken):
            return self.pause(tried)
        wanted = retry_after(got, time.time())
        passing = got.status in PASSING or (got.status in (409, 507) and wanted is not None)
        return self.pause(tried, wanted) if passing else None


def asked(ask: Ask, retry: Retry) -> Plan[Answer]:
    """Ask until there is an answer below 400, or no more reason to.

    Raises:
        ClientError: The service refused, or did not answer.
    """
    tried = 0
    while True:
        got: Answer | Broken = yield ask
        if isinstance(got, Answer) and got.status < 400:
            return got
        yield from paused(ask, got, retry, tried)
        tried += 1


def paused(ask: Ask, got: Answer | Broken, retry: Retry, tried: int) -> Plan[None]:
    """Wait before a request is made again.

    Raises:
        ClientError: It should not be.
    """
    error = refusal(got) if isinstance(got, Answer) else failure(ask.path, got)
    seconds = retry.after(ask, got, tried)
    if seconds is None:
        raise error
    event = {"event": "client.retry", "code": error.code}
    _log.warning("%s Asking again in %.1f s.", error, seconds, extra=event)
    yield Pause(seconds)


def read_as(model: type[Model], answer: Answer) -> Model:
    """The body of an answer.

    Raises:
        ClientError: It is something else.
    """
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"])) or "the whole"
        raise ClientError(
            f"The answer is not what this version of Photocast expects ({where}: {wrong['msg']}). "
            "Check the address; or bring client and service to the same version.",
            code="client.answer",
        ) from None
