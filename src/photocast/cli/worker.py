# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast worker``: take jobs from the database and run them."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["worker"]


def worker(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the service.", show_default="photocast-data")
    ] = None,
    name: Annotated[str, typer.Option(help="Of this worker.", show_default="a new one")] = "",
    bell: Annotated[
        bool, typer.Option("--bell", help="Hear bells on the standard input; end when it ends.")
    ] = False,
) -> None:
    """Run jobs of a service, one at a time, until told to stop.

    Example: `photocast worker --data photocast-data`

    `photocast serve` starts its own. Start others on more hosts, or for more GPUs, with the same
    database and files (PHOTOCAST_DATABASE, PHOTOCAST_FILES).
    """
    from photocast.jobs.database import open_database
    from photocast.jobs.files import open_files
    from photocast.settings import load_settings
    from photocast.telling import configure_logging
    from photocast.worker.loop import NoBell, PipeBell, run_worker, worker_name
    from photocast.worker.supervise import WorkerConfig, stop_on_signals

    settings = load_settings(data=data)
    configure_logging(settings.log_format)
    config = WorkerConfig(
        work=settings.work_folder,
        lease_seconds=settings.lease_seconds,
        memory_bytes=settings.job_memory_bytes,
        gpu_bytes=settings.gpu_job_bytes,
        gpu_wait_seconds=settings.gpu_wait_seconds,
        grace_seconds=settings.grace_seconds,
        keep_seconds=settings.keep_artifacts_seconds,
        max_losses=settings.max_losses,
    )
    run_worker(
        open_database(settings.database_url),
        open_files(settings.files_url),
        config,
        name=name or worker_name(),
        poll=settings.poll_seconds,
        waiter=PipeBell if bell else NoBell,
        prepare=stop_on_signals,
    )
