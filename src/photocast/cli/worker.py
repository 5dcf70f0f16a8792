# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast worker``: take jobs from the database and run them."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from photocast.settings import Settings
    from photocast.worker.loop import Waiter

__all__ = ["worker"]


def worker(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the service.", show_default="photocast-data")
    ] = None,
    name: Annotated[str, typer.Option(help="Of this worker.", show_default="a new one")] = "",
    bell: Annotated[
        bool, typer.Option("--bell", help="Hear bells on the standard input; end when it ends.")
    ] = False,
    celery: Annotated[
        bool, typer.Option("--celery", help="Hear bells from Redis (PHOTOCAST_BROKER).")
    ] = False,
) -> None:
    """Run jobs of a service, one at a time, until told to stop.

    Example: `photocast worker --data photocast-data`

    `photocast serve` starts its own. Start others on more hosts, or for more GPUs, with the same
    database and files (PHOTOCAST_DATABASE, PHOTOCAST_FILES).
    """
    from photocast.settings import load_settings
    from photocast.telling import configure_logging
    from photocast.worker.loop import NoBell, PipeBell, worker_name

    settings = load_settings(data=data)
    configure_logging(settings.log_format)
    name, stopping = name or worker_name(), threading.Event()
    if celery:
        return _with_celery(settings, name, stopping)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    _worker(settings, name, stopping)(PipeBell(stopping) if bell else NoBell(stopping))
    return None


def _worker(
    settings: "Settings", name: str, stopping: threading.Event
) -> "Callable[[Waiter], None]":
    """What works, with all that it needs open; it takes where it hears of work."""
    from photocast.jobs.database import open_database
    from photocast.jobs.files import open_files
    from photocast.worker.loop import run_worker
    from photocast.worker.supervise import WorkerConfig

    config = WorkerConfig(
        work=settings.work_folder,
        lease_seconds=settings.lease_seconds,
        memory_bytes=settings.job_memory_bytes,
        gpu_bytes=settings.gpu_job_bytes,
        gpu_wait_seconds=settings.gpu_wait_seconds,
        grace_seconds=settings.grace_seconds,
        keep_seconds=settings.keep_artifacts_seconds,
        max_losses=settings.max_losses,
        weights=settings.weights.resolve() if settings.weights else None,
    )
    database, files = open_database(settings.database_url), open_files(settings.files_url)
    poll = settings.poll_seconds
    return lambda bell: run_worker(
        database, files, config, name=name, poll=poll, stopping=stopping, bell=bell
    )


def _with_celery(settings: "Settings", name: str, stopping: threading.Event) -> None:
    from photocast.errors import ConfigError
    from photocast.worker.celery_app import run_celery_worker

    if not settings.broker:
        raise ConfigError(
            "--celery needs the URL of Redis. Set PHOTOCAST_BROKER=redis://host:6379/0, or leave "
            "--celery out: workers then look into the database by themselves.",
            code="worker.no_broker",
        )
    run_celery_worker(
        settings.broker,
        _worker(settings, name, stopping),
        stopping,
        name=name,
        longest=settings.max_job_seconds,
    )
