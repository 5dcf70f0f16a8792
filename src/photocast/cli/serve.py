# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast serve``: the HTTP API, with workers of its own."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from photocast.jobs.doorbell import Doorbell
    from photocast.service.context import Context
    from photocast.service.embedded import EmbeddedWorkers
    from photocast.settings import Settings

__all__ = ["serve"]


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port.", show_default="8000")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder for everything.", show_default="photocast-data"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Workers to start, one per GPU.", show_default="1; with a broker, 0"),
    ] = None,
    fake_engine: Annotated[
        bool | None, typer.Option("--fake-engine", help="Offer an engine that pretends.")
    ] = None,
) -> None:
    """Serve the HTTP API on this machine, and run its jobs.

    Example: `photocast serve --data photocast-data`

    Every option and more can be set in the environment; see docs/service.md. Listening on another
    address than this machine's own needs a key: `photocast keys add`.
    """
    gc.disable()  # all that is imported stays, and looking at it again and again takes a while
    import uvicorn

    from photocast.service.app import create_app
    from photocast.service.context import open_context
    from photocast.settings import load_settings
    from photocast.telling import configure_logging

    settings = load_settings(
        host=host, port=port, data=data, workers=workers, fake_engine=fake_engine
    )
    configure_logging(settings.log_format)
    context = open_context(settings)  # here, where a refusal is told in words
    _check_public(settings, context)

    app = create_app(settings, _bell(settings), context)
    gc.freeze()
    gc.enable()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def _bell(settings: "Settings") -> "Callable[[Context], Doorbell] | None":
    """What rings for workers: Celery's, those of this process, or both.

    With a broker, workers are started here only if somebody says how many.
    """
    asked = "workers" in settings.model_fields_set or not settings.broker

    def made(context: "Context") -> "Doorbell":
        bells: list[Doorbell] = []
        if settings.broker:
            bells.append(_celery(settings))
        if settings.workers and asked:
            bells.append(_embedded(settings, context))
        return bells[0] if len(bells) == 1 else Carillon(bells)

    from photocast.jobs.doorbell import Carillon

    return made if settings.broker or settings.workers else None


def _celery(settings: "Settings") -> "Doorbell":
    from photocast.jobs.celery_bell import CeleryBell

    return CeleryBell(settings.broker, longest=settings.max_job_seconds)


def _embedded(settings: "Settings", context: "Context") -> "EmbeddedWorkers":
    from photocast.service.embedded import EmbeddedWorkers
    from photocast.worker.gpu import list_gpus

    made = EmbeddedWorkers(
        settings.workers,
        context.leases,
        ["--data", str(settings.data.resolve())],
        grace=settings.grace_seconds + 5,
        gpus=[gpu.id for gpu in list_gpus()],
    )
    made.start()
    return made


def _check_public(settings: "Settings", context: "Context") -> None:
    """Refuse to be reached by others without a key."""
    from photocast.jobs.keyring import Keyring

    if not settings.is_local and not Keyring(context.database).any():
        raise UserError(
            f"{settings.host} can be reached by others, and there is no key. Make one with: "
            "photocast keys add; or listen on 127.0.0.1.",
            code="serve.no_key",
        )
