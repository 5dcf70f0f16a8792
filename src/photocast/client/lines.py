# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The way to a service by httpx, for those who wait and those who await: one step at a time."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from photocast import __version__
from photocast.client.steps import Answer, Ask, Broken, Open, Read, Step
from photocast.errors import UserError

__all__ = ["AsyncLine", "Line", "http_settings"]

_BLOCK = 256 << 10
_CONNECT_S = 10.0


class Line:
    """Connections of one plan: at most one answer is open at a time."""

    def __init__(self, http: httpx.Client, timeout: float) -> None:
        self._http, self._timeout = http, timeout
        self._open: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *error: object) -> None:
        if self._open is not None:
            self._open.close()

    def do(self, step: Step) -> Answer | bytes | Broken:
        """Ask, open or read; what came of it."""
        try:
            if isinstance(step, Read):
                return next(self._chunks, b"")
            assert isinstance(step, Ask | Open)  # the others were done before
            return self._send(step)
        except httpx.RequestError as error:
            return _broken(error)

    def _send(self, step: Ask | Open) -> Answer:
        self.__exit__()
        ask = step.ask if isinstance(step, Open) else step
        request = _request(self._http, ask, _blocks(ask.body), self._timeout)
        follow = ask.method == "GET"
        response = self._open = self._http.send(request, stream=True, follow_redirects=follow)
        if isinstance(step, Open) and response.status_code < 400:
            self._chunks = response.iter_raw()
            return _answer(response, b"")
        return _answer(response, response.read())


class AsyncLine:
    """As ``Line``, awaited."""

    def __init__(self, http: httpx.AsyncClient, timeout: float) -> None:
        self._http, self._timeout = http, timeout
        self._open: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> "AsyncLine":
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._open is not None:
            await self._open.aclose()

    async def do(self, step: Step) -> Answer | bytes | Broken:
        """Ask, open or read; what came of it."""
        try:
            if isinstance(step, Read):
                assert self._chunks is not None  # plans open first
                return await anext(self._chunks, b"")
            assert isinstance(step, Ask | Open)  # the others were done before
            return await self._send(step)
        except httpx.RequestError as error:
            return _broken(error)

    async def _send(self, step: Ask | Open) -> Answer:
        await self.__aexit__()
        ask = step.ask if isinstance(step, Open) else step
        request = _request(self._http, ask, _async_blocks(ask.body), self._timeout)
        follow = ask.method == "GET"
        response = self._open = await self._http.send(request, stream=True, follow_redirects=follow)
        if isinstance(step, Open) and response.status_code < 400:
            self._chunks = response.aiter_raw()
            return _answer(response, b"")
        return _answer(response, await response.aread())


def http_settings(base_url: str, key: str | None) -> dict[str, Any]:
    """What both kinds of httpx clients are made with.

    Raises:
        UserError: The address is none.
    """
    if not _is_address(base_url):
        raise UserError(
            "The address of the service must be http:// or https:// and a host, without a name or "
            "password in it.",
            code="client.url",
        )
    headers = {"User-Agent": f"photocast/{__version__}"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {"base_url": base_url, "headers": headers}


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # looked at only when asked for
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _request(
    http: httpx.Client | httpx.AsyncClient,
    ask: Ask,
    body: Iterator[bytes] | AsyncIterator[bytes],
    timeout: float,
) -> httpx.Request:
    size = sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in ask.body)
    sends = bool(ask.body) or ask.method in ("POST", "PUT")
    return http.build_request(
        ask.method,
        ask.path,
        params=ask.params,
        headers={**ask.headers, **({"Content-Length": str(size)} if sends else {})},
        content=body if ask.body else None,
        timeout=httpx.Timeout(
            timeout, connect=min(timeout, _CONNECT_S), read=timeout + ask.patience, pool=None
        ),
    )


def _answer(response: httpx.Response, body: bytes) -> Answer:
    return Answer(response.status_code, dict(response.headers), body)


def _broken(error: httpx.RequestError) -> Broken:
    return Broken(str(error) or type(error).__name__)


def _blocks(body: Sequence[bytes | Path]) -> Iterator[bytes]:
    for part in body:
        if isinstance(part, bytes):
            yield part
            continue
        with part.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


async def _async_blocks(body: Sequence[bytes | Path]) -> AsyncIterator[bytes]:
    blocks = _blocks(body)
    while block := await asyncio.to_thread(next, blocks, b""):
        yield block
