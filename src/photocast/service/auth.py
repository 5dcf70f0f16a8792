# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Who asks, and what they may do.

A key in ``Authorization: Bearer`` names an owner. Without a key, and only while the service listens
on this machine's own address, the caller is the owner ``local``. A web page in a browser on this
machine could also ask then, so such a request must name this machine as its host, and must not come
from a page of another origin.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from photocast.jobs.keyring import SCOPES, Key, Keyring
from photocast.service.context import Context, context_of
from photocast.service.problems import ServiceError

__all__ = ["Admin", "Caller", "Reader", "Writer", "caller_of", "reads"]

_OWN_NAMES = ("127.0.0.1", "localhost", "::1")
_REMEMBER_S = 5.0  # how long a revoked key may still be taken for good
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    owner: str
    key_id: str
    scopes: tuple[str, ...]

    @property
    def is_admin(self) -> bool:
        return "admin" in self.scopes

    @property
    def sees(self) -> str | None:
        """Whose jobs are seen; ``None``: everybody's."""
        return None if self.is_admin and self.key_id else self.owner


_LOCAL = Caller("local", "", SCOPES)


class KeyCache:
    """Remembers keys for a few seconds, so that polling does not look each one up again."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._found: dict[str, tuple[float, Key]] = {}

    def known(self, text: str) -> Key | None:
        """A key that was found a moment ago."""
        at, key = self._found.get(text, (0.0, None))
        fresh = time.monotonic() - at < _REMEMBER_S
        ended = key is not None and key.expires_at is not None and key.expires_at <= time.time()
        return key if fresh and not ended else None

    def look_up(self, text: str) -> Key | None:
        """Ask the database."""
        key = self._keyring.find(text)
        if len(self._found) >= _MOST_REMEMBERED:
            self._found.clear()
        if key is not None:
            self._found[text] = (time.monotonic(), key)
        return key


async def caller_of(request: Request) -> Caller:
    """Find out who asks.

    Raises:
        ServiceError: There is no key where one is needed, or it does not hold.
    """
    context = context_of(request)
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer" or not text.strip():
            raise _refused("The Authorization header must be 'Bearer' and a key.")
        cache: KeyCache = request.app.state.keys
        key = cache.known(text.strip())
        key = key or await run_in_threadpool(cache.look_up, text.strip())
        if key is None:
            raise _refused("The key is unknown, revoked or expired.")
        return Caller(key.owner, key.id, key.scopes)
    if not context.settings.is_local or context.settings.demand_key:
        raise _refused("A key is needed: send 'Authorization: Bearer' and the key.")
    _check_local(request, context)
    return _LOCAL


def allowed(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency: who asks, if they may do this; counted against their rate."""

    async def find(request: Request) -> Caller:
        caller = await caller_of(request)
        if scope not in caller.scopes and not caller.is_admin:
            raise ServiceError(
                403,
                "auth.scope",
                f"The key lacks the scope {scope}; it has {', '.join(caller.scopes) or 'none'}.",
                hint="Make another with: photocast keys add --scope …",
            )
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            request.app.state.rates.take(caller.key_id or caller.owner)
        return caller

    return find


reads = allowed("jobs:read")
Reader = Annotated[Caller, Depends(reads)]
Writer = Annotated[Caller, Depends(allowed("jobs:write"))]
Admin = Annotated[Caller, Depends(allowed("admin"))]


def _refused(detail: str) -> ServiceError:
    return ServiceError(
        401,
        "auth.required",
        detail,
        hint="Make a key with: photocast keys add",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _check_local(request: Request, context: Context) -> None:
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    if host not in (*_OWN_NAMES, *context.settings.trusted_hosts):
        raise ServiceError(
            403,
            "auth.host",
            f"The request names the host {host!r}; without a key it must be 127.0.0.1 or "
            "localhost.",
        )
    origin = request.headers.get("origin")
    same = origin in (f"{request.url.scheme}://{request.headers.get('host')}", None)
    if not same and origin not in context.settings.cors_origins:
        raise ServiceError(
            403, "auth.origin", f"The page {origin} may not use this service without a key."
        )
