# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Carries plans out: ``Client`` waits for each step, ``AsyncClient`` awaits it.

What to ask and what to make of the answers is in :mod:`photocast.client.core`, once for both.
"""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent import futures
from contextlib import closing
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from photocast.client.core import Plans
from photocast.client.lines import AsyncLine, Line, http_settings
from photocast.client.retry import Retry
from photocast.client.sse import JobEvent
from photocast.client.steps import Item, Pause, Plan, Step, Together, Work
from photocast.errors import Cancelled
from photocast.wire import JobView, LogLine

__all__ = ["AsyncClient", "Client"]

P = ParamSpec("P")
T = TypeVar("T")


def _once(
    plan: Callable[Concatenate[Plans, P], Plan[T]],
) -> Callable[Concatenate["Client", P], T]:
    """A method that waits for the result of a plan."""

    @functools.wraps(plan)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(plan(self._plans, *args, **kwargs))

    return method


def _each(
    plan: Callable[Concatenate[Plans, P], Plan[None]], item: type[T]
) -> Callable[Concatenate["Client", P], Iterator[T]]:
    """A method that gives what a plan tells, one after the other."""
    del item  # for the type checker

    @functools.wraps(plan)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._iterate(plan(self._plans, *args, **kwargs))

    return method


def _once_async(
    plan: Callable[Concatenate[Plans, P], Plan[T]],
) -> Callable[Concatenate["AsyncClient", P], Awaitable[T]]:
    """As :func:`_once`, awaited."""

    @functools.wraps(plan)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(plan(self._plans, *args, **kwargs))

    return method


def _each_async(
    plan: Callable[Concatenate[Plans, P], Plan[None]], item: type[T]
) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[T]]:
    """As :func:`_each`, awaited."""
    del item  # for the type checker

    @functools.wraps(plan)
    def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._iterate(plan(self._plans, *args, **kwargs))

    return method


class Client:
    """A service, for callers that wait. Threads may share one; close it, or use ``with``."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        timeout: float = 30.0,
        retry: Retry | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            base_url: Address of the service.
            key: Who asks; a service on this machine may need none.
            timeout: Longest silence of the service [s].
            retry: How often and how soon to ask again.

        Raises:
            UserError: The address is none.
        """
        self._timeout = timeout
        self._plans = Plans(retry=retry or Retry())
        self._http = httpx.Client(**http_settings(base_url, key))

    submit = _once(Plans.submit)
    preflight = _once(Plans.preflight)
    mesh_report = _once(Plans.mesh_report)
    jobs = _each(Plans.jobs, JobView)
    job = _once(Plans.job)
    watch = _each(Plans.watch, JobEvent)
    wait = _once(Plans.wait)
    cancel = _once(Plans.cancel)
    rerun = _once(Plans.rerun)
    delete = _once(Plans.delete)
    logs = _each(Plans.logs, LogLine)
    artifacts = _once(Plans.artifacts)
    fetch = _once(Plans.fetch)
    report = _once(Plans.report)
    system = _once(Plans.system)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self, plan: Plan[T], over: threading.Event | None = None) -> T:
        with closing(plan), Line(self._http, self._timeout) as line:
            heard: Any = None
            while True:
                try:
                    step = plan.send(heard)
                except StopIteration as end:
                    result: T = end.value
                    return result
                heard = self._do(step, line, over or threading.Event())

    def _iterate(self, plan: Plan[None]) -> Iterator[Any]:
        with closing(plan), Line(self._http, self._timeout) as line:
            heard: Any = None
            while True:
                try:
                    step = plan.send(heard)
                except StopIteration:
                    return
                heard = None
                if isinstance(step, Item):
                    yield step.value
                else:
                    heard = self._do(step, line, threading.Event())

    def _do(self, step: Step, line: Line, over: threading.Event) -> Any:
        if over.wait(step.seconds if isinstance(step, Pause) else 0.0):
            raise Cancelled("Another file could not be had.")
        if isinstance(step, Pause):
            return None
        if isinstance(step, Work):
            return step.do()
        if isinstance(step, Together):
            return self._together(step)
        return line.do(step)

    def _together(self, step: Together) -> list[Any]:
        over = threading.Event()
        with futures.ThreadPoolExecutor(step.at_once, "photocast-client") as pool:
            running = [pool.submit(self._run, plan, over) for plan in step.plans]
            try:
                ended, others = futures.wait(running, return_when=futures.FIRST_EXCEPTION)
                return [one.result() for one in (ended if others else running)]
            finally:
                over.set()
                pool.shutdown(wait=False, cancel_futures=True)


class AsyncClient:
    """A service, for callers that await (asyncio). Close it, or use ``async with``."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        timeout: float = 30.0,
        retry: Retry | None = None,
    ) -> None:
        """Prepare; the arguments are those of :class:`Client`."""
        self._timeout = timeout
        self._plans = Plans(retry=retry or Retry())
        self._http = httpx.AsyncClient(**http_settings(base_url, key))

    submit = _once_async(Plans.submit)
    preflight = _once_async(Plans.preflight)
    mesh_report = _once_async(Plans.mesh_report)
    jobs = _each_async(Plans.jobs, JobView)
    job = _once_async(Plans.job)
    watch = _each_async(Plans.watch, JobEvent)
    wait = _once_async(Plans.wait)
    cancel = _once_async(Plans.cancel)
    rerun = _once_async(Plans.rerun)
    delete = _once_async(Plans.delete)
    logs = _each_async(Plans.logs, LogLine)
    artifacts = _once_async(Plans.artifacts)
    fetch = _once_async(Plans.fetch)
    report = _once_async(Plans.report)
    system = _once_async(Plans.system)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _run(self, plan: Plan[T]) -> T:
        with closing(plan):
            async with AsyncLine(self._http, self._timeout) as line:
                heard: Any = None
                while True:
                    try:
                        step = plan.send(heard)
                    except StopIteration as end:
                        result: T = end.value
                        return result
                    heard = await self._do(step, line)

    async def _iterate(self, plan: Plan[None]) -> AsyncIterator[Any]:
        with closing(plan):
            async with AsyncLine(self._http, self._timeout) as line:
                heard: Any = None
                while True:
                    try:
                        step = plan.send(heard)
                    except StopIteration:
                        return
                    heard = None
                    if isinstance(step, Item):
                        yield step.value
                    else:
                        heard = await self._do(step, line)

    async def _do(self, step: Step, line: AsyncLine) -> Any:
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, Work):
            return await asyncio.to_thread(step.do)
        if isinstance(step, Together):
            return await self._together(step)
        return await line.do(step)

    async def _together(self, step: Together) -> list[Any]:
        turns = asyncio.Semaphore(step.at_once)

        async def in_turn(plan: Plan[Any]) -> Any:
            async with turns:
                return await self._run(plan)

        tasks = [asyncio.create_task(in_turn(plan)) for plan in step.plans]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
