# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The process of one job: ``python -m photocast.worker.child FOLDER``.

``FOLDER`` holds ``job.json`` and ``capture/``; the result goes to ``result/``. The process knows
nothing of databases, queues or keys; see :mod:`photocast.worker.channel` for what it says.
"""

import json
import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from photocast.errors import Cancelled, PhotocastError, UnsuitableInput, UserError
from photocast.worker.channel import Channel, die_with_supervisor
from photocast.worker.meter import Meter

__all__ = ["main"]

_REPORT_EVERY = 0.5  # seconds between messages about the same stage
_log = logging.getLogger(__name__)


class _Reports:
    """A ``Progress`` that tells the supervisor, and stops when it should."""

    def __init__(self, channel: Channel, meter: Meter) -> None:
        self._channel = channel
        self._meter = meter
        self._stage, self._began, self._last = "", time.monotonic(), 0.0
        self.stopped = False
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, **numbers: float) -> None:
        if self.stopped:
            raise Cancelled
        shown = self._meter.report(stage, done, total)
        now = time.monotonic()
        if stage != self._stage:
            self._ended(now)
            self._stage, self._began = stage, now
        elif now - self._last < _REPORT_EVERY:
            return
        self._last = now
        self._channel.send("progress", shown)

    def finish(self) -> None:
        """Tell of the last stage."""
        self._ended(time.monotonic())

    def stop(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM."""
        self.stopped = True

    def _ended(self, now: float) -> None:
        if self._stage:
            seconds = now - self._began
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + seconds
            message = f"{self._stage}: {seconds:.1f} s"
            self._channel.send("log", {"level": "info", "message": message})


def main(folder: Path) -> int:
    """Run the job that a folder describes.

    Returns:
        0 if it said how it ended; anything else is a crash.
    """
    channel = Channel(os.dup(1))
    os.dup2(2, 1)  # whatever prints must not disturb the messages
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    die_with_supervisor(job["patience"], job["renewed"])
    reports = _Reports(channel, Meter(job["weights"]))
    signal.signal(signal.SIGTERM, reports.stop)
    try:
        result = _run(job, folder, reports)
    except PhotocastError as error:
        failure: PhotocastError | None = error
    except OSError as error:
        failure = _system(error)
    except MemoryError:
        failure = _no_memory()
    except Exception as error:  # noqa: BLE001 - the process ends here; a bug fails again if tried again
        traceback.print_exc()
        failure = _bug(error)
    else:
        failure = None
    if failure is not None:
        channel.send("error", _error(failure, folder))
        return 0
    reports.finish()
    warnings = [_without_paths(text, folder) for text in result["warnings"]]
    channel.send("done", {**result, "warnings": warnings, "seconds": reports.seconds})
    return 0


def _run(job: dict[str, Any], folder: Path, progress: _Reports) -> dict[str, Any]:
    capture, out, options = folder / "capture", folder / "result", dict(job["options"])
    if job["kind"] == "mesh_report":
        from photocast.worker.mesh_job import run_mesh_report

        return run_mesh_report(options, capture, out, progress)
    if options.get("engine") == "fake":
        from photocast.worker.fake import run_fake

        return run_fake(options.get("fake") or {}, capture, out, progress)
    from photocast.worker.real import run_real

    return run_real(options, capture, out, progress, weights=job.get("networks"))


def _error(error: PhotocastError, folder: Path) -> dict[str, Any]:
    """How an error travels."""
    known = error.code != "internal"
    return {
        "code": error.code if known else "job.internal",
        "detail": _without_paths(str(error), folder),
        "retryable": not isinstance(error, UnsuitableInput | UserError),
        "canceled": isinstance(error, Cancelled),
    }


def _without_paths(text: str, folder: Path) -> str:
    """A message with files named as their owner knows them."""
    return text.replace(f"{folder / 'capture'}/", "").replace(str(folder), "the job's folder")


def _system(error: OSError) -> PhotocastError:
    return PhotocastError(
        f"The system refused: {error.strerror or type(error).__name__}. Look at the worker's disk.",
        code="system.io",
    )


def _bug(error: Exception) -> PhotocastError:
    return PhotocastError(
        f"Photocast made a mistake ({type(error).__name__}). The worker's log says where; please "
        "report it."
    )


def _no_memory() -> PhotocastError:
    return PhotocastError(
        "There is not enough memory. Use fewer or smaller photos, or the preset draft.",
        code="job.out_of_memory",
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
