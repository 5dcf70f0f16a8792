# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a client can do, as plans: requests, answers and decisions, without a connection.

Each method of ``Client`` and ``AsyncClient`` is one of these, carried out.
"""

import threading
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import RootModel, ValidationError

from photocast.client.captures import Capture, LocalFile, chosen_files
from photocast.client.download import saved
from photocast.client.errors import ClientError, JobFailed, retry_after
from photocast.client.forms import form
from photocast.client.retry import Retry, asked, read_as
from photocast.client.steps import Answer, Ask, Item, Pause, Plan, Together
from photocast.client.upload import AT_ONCE, sent
from photocast.client.watch import follow, settle
from photocast.errors import ConfigError
from photocast.progress import Progress, silent
from photocast.wire import (
    ArtifactList,
    JobPage,
    JobRequest,
    JobView,
    LogPage,
    Options,
    RerunRequest,
    WebhookRequest,
)

__all__ = ["Plans"]

_DELETE_AGAIN_S = 2.0
_LOOK_S = 600.0  # the service may look at a large capture for so long


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """Plans that share how often to ask again."""

    retry: Retry = field(default_factory=Retry)

    def submit(
        self,
        capture: Capture,
        *,
        options: Options | Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        webhook: WebhookRequest | str | None = None,
        progress: Progress = silent,
    ) -> Plan[JobView]:
        """Send a capture and let it wait for a worker.

        Files that the service holds already are not sent again.

        Args:
            capture: A capture folder, a list of photos, or lists of files by role.
            options: How the job is done; see ``photocast.wire.Options``.
            labels: Anything, for your own use.
            webhook: An address to tell when the job has ended.
            progress: Told how many files the service has.

        Returns:
            The job as it waits.

        Raises:
            CaptureError: The files are not there.
            ClientError: The service refuses, or does not answer.
        """
        files = chosen_files(capture)
        request = _request(
            options=options or {},
            labels=labels or {},
            webhook={"url": webhook} if isinstance(webhook, str) else webhook,
        )
        count = _Count("upload", len(files), progress)

        def told(file: LocalFile) -> None:
            count.add(done=1, size=file.path.stat().st_size)

        key = f"submit-{uuid.uuid4()}"
        return (yield from sent(request, files, key, self.retry, told))

    def preflight(
        self, capture: Capture, *, options: Options | Mapping[str, Any] | None = None
    ) -> Plan[dict[str, Any]]:
        """Ask whether a capture can be reconstructed, and what is wrong with each photo.

        The files are sent, looked at, and not kept.

        Args:
            capture: As for ``submit``.
            options: As for ``submit``.
        """
        request = _request(options=options or {})
        fields = {"request": request.model_dump_json(exclude_none=True)}
        headers, body = form(fields, chosen_files(capture))
        ask = Ask(
            method="POST",
            path="/v1/jobs",
            params={"validate_only": "true"},
            headers=headers,
            body=body,
            harmless=True,
            patience=_LOOK_S,
        )
        return read_as(_Object, (yield from asked(ask, self.retry))).root

    def mesh_report(
        self, mesh: str | Path, *, profile: str = "view", key: str | None = None
    ) -> Plan[JobView]:
        """Have a mesh checked, whoever made it; the job's report says what is wrong with it.

        Args:
            mesh: A mesh file.
            profile: Rules to judge by: ``view``, ``print`` or ``simulate``.
            key: As for ``rerun``.
        """
        (file,) = chosen_files({"mesh": [mesh]})
        headers, body = form({"profile": profile}, [file])
        headers["Idempotency-Key"] = key or f"mesh-{uuid.uuid4()}"
        ask = Ask(method="POST", path="/v1/mesh-reports", headers=headers, body=body)
        return read_as(JobView, (yield from asked(ask, self.retry)))

    def jobs(self, *, state: str | Collection[str] = ()) -> Plan[None]:
        """Iterate over jobs, newest first; pages are asked for as they are needed.

        Args:
            state: Only jobs in this state, or in one of these.
        """
        states = [state] if isinstance(state, str) else list(state)
        token: str | None = ""
        while token is not None:
            params: dict[str, str | list[str]] = {"state": states} if states else {}
            if token:
                params["page_token"] = token
            answer = yield from asked(Ask(method="GET", path="/v1/jobs", params=params), self.retry)
            page = read_as(JobPage, answer)
            for job in page.jobs:
                yield Item(job)
            token = page.next_page_token

    def job(self, job_id: str) -> Plan[JobView]:
        """Look at a job."""
        return read_as(JobView, (yield from self._get(_path(job_id))))

    def watch(self, job_id: str) -> Plan[None]:
        """Iterate over what happens to a job, as ``JobEvent``, until it ends.

        Streams that break are taken up again after the last event. Where no events come through,
        the job is looked at instead, and changes are told as a ``snapshot``. The last event is
        ``end``.
        """
        yield from follow(_path(job_id), self.retry)

    def wait(self, job_id: str, timeout: float | None = None) -> Plan[JobView]:
        """Wait until a job has succeeded.

        Args:
            job_id: Which.
            timeout: How long [s]; ``None``: as long as it takes.

        Raises:
            JobFailed: It has failed, or was canceled.
            ClientError: That took too long; its code is ``client.timeout``.
        """
        job = yield from settle(_path(job_id), self.retry, timeout)
        if job.state != "succeeded":
            raise JobFailed(job)
        return job

    def cancel(self, job_id: str) -> Plan[JobView]:
        """Ask a job to stop; asking again changes nothing."""
        ask = Ask(method="POST", path=_path(job_id, "cancel"), harmless=True)
        return read_as(JobView, (yield from asked(ask, self.retry)))

    def rerun(
        self,
        job_id: str,
        *,
        options: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Plan[JobView]:
        """Make a new job of the same inputs.

        Args:
            job_id: The job to repeat.
            options: What differs.
            labels: Of the new job; ``None``: those of the other.
            key: Two calls with the same key make one job; a new one if not given.
        """
        wanted = RerunRequest(
            options=dict(options or {}), labels=None if labels is None else dict(labels)
        )
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key or f"rerun-{uuid.uuid4()}",
        }
        ask = Ask(
            method="POST",
            path=_path(job_id, "rerun"),
            headers=headers,
            body=[wanted.model_dump_json().encode()],
        )
        return read_as(JobView, (yield from asked(ask, self.retry)))

    def delete(self, job_id: str) -> Plan[None]:
        """Erase a job with its files; one that runs is stopped first."""
        ask = Ask(method="DELETE", path=_path(job_id))
        while (answer := (yield from asked(ask, self.retry))).status == 202:  # it still runs
            yield Pause(retry_after(answer, time.time()) or _DELETE_AGAIN_S)

    def logs(self, job_id: str, *, after: int = 0) -> Plan[None]:
        """Iterate over what a job has said, as ``LogLine``, oldest first.

        Args:
            job_id: Which.
            after: The number of the last line that is known.
        """
        more = True
        while more:
            page = read_as(LogPage, (yield from self._get(_path(job_id, "logs"), after=after)))
            for line in page.lines:
                yield Item(line)
            more, after = bool(page.lines), page.next_after

    def artifacts(self, job_id: str) -> Plan[ArtifactList]:
        """List the files that a job made."""
        return read_as(ArtifactList, (yield from self._get(_path(job_id, "artifacts"))))

    def fetch(
        self,
        job_id: str,
        out: str | Path,
        *,
        names: Collection[str] = (),
        progress: Progress = silent,
    ) -> Plan[list[Path]]:
        """Bring the files of a job here; those that are here already stay.

        Every file is verified by its hash. A fetch that was cut off goes on where it ended.

        Args:
            job_id: Which.
            out: Folder for them.
            names: Only these files.
            progress: Told how many files are here.

        Returns:
            Where they are.

        Raises:
            ClientError: There are none, or one cannot be had.
        """
        listed = yield from self.artifacts(job_id)
        there = {one.name: one for one in listed.artifacts}
        if absent := sorted(set(names) - set(there)):
            raise ClientError(
                f"The job has no file {absent[0]!r}; it has: {', '.join(there) or 'none'}.",
                code="client.no_artifact",
            )
        wanted = [there[name] for name in names or there]
        if not wanted:
            raise ClientError(
                f"There are no files to fetch: those of the job are {listed.state!r}. Wait for its "
                "end; make it again if they have expired.",
                code="client.no_artifact",
            )
        count = _Count("fetch", len(wanted), progress)

        def one(name: str) -> Plan[Path]:
            path, told = _path(job_id, "artifacts", name), count.add_bytes
            found = yield from saved(there[name], path, Path(out), self.retry, told)
            count.add(done=1)
            return found

        places: list[Path] = yield Together([one(artifact.name) for artifact in wanted], AT_ONCE)
        return places

    def report(self, job_id: str) -> Plan[dict[str, Any]]:
        """Read the report on the mesh that a job made."""
        return read_as(_Object, (yield from self._get(_path(job_id, "report")))).root

    def system(self) -> Plan[dict[str, Any]]:
        """Read what the service is: version, devices, queue, limits."""
        return read_as(_Object, (yield from self._get("/v1/system"))).root

    def _get(self, path: str, **params: str | int) -> Plan[Answer]:
        return asked(Ask(method="GET", path=path, params=params), self.retry)


def _request(**fields: Any) -> JobRequest:
    """A job as it is asked for.

    Raises:
        ConfigError: There is no such option, label or webhook.
    """
    try:
        return JobRequest.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise ConfigError(f"{where} = {wrong['input']!r}: {wrong['msg']}.") from None


class _Object(RootModel[dict[str, Any]]):
    """JSON whose fields are described elsewhere."""


class _Count:
    """Counts files and bytes of plans that run at the same time."""

    def __init__(self, stage: str, total: int, progress: Progress) -> None:
        self._stage, self._total, self._progress = stage, total, progress
        self._done, self._size = 0, 0
        self._lock = threading.Lock()

    def add(self, *, done: int = 0, size: int = 0) -> None:
        with self._lock:
            self._done += done
            self._size += size
            self._progress(self._stage, self._done, self._total, MB=self._size / 1e6)

    def add_bytes(self, size: int) -> None:
        self.add(size=size)


def _path(job_id: str, *below: str) -> str:
    return "/".join(["/v1/jobs", quote(job_id, safe=""), *map(quote, below)])
