# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What travels over HTTP, for the service and its clients alike.

What is received is strict: an unknown field is a mistake. What is sent may grow by fields within
``/v1``; none is removed, renamed or given another meaning.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from photocast.config import POSE_MODES, PRESETS

__all__ = [
    "ROLES",
    "ArtifactList",
    "ArtifactView",
    "DeliveryList",
    "DeliveryTry",
    "DeliveryView",
    "DeviceView",
    "EngineView",
    "FakeOptions",
    "InputRef",
    "InputView",
    "JobPage",
    "JobProgress",
    "JobRequest",
    "JobUrls",
    "JobView",
    "Labels",
    "LogLine",
    "LogPage",
    "Options",
    "OptionsView",
    "PresetView",
    "Problem",
    "ProblemItem",
    "RerunRequest",
    "Role",
    "SystemView",
    "WebhookRequest",
    "WorkerView",
]

Role = Literal["images", "masks", "depths", "cameras", "capture", "mesh"]
ROLES: tuple[Role, ...] = ("images", "masks", "depths", "cameras", "capture", "mesh")
"""What a file is for; ``capture`` is a file of a whole capture folder, named by its path there."""
StateName = Literal["draft", "queued", "running", "succeeded", "failed", "canceled"]
Labels = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=63)], Annotated[str, Field(max_length=255)]],
    Field(max_length=32),
]
FileName = Annotated[str, Field(min_length=1, max_length=255)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Sent(BaseModel):
    """The service writes it; a client of an older version must not stumble over new fields."""

    model_config = ConfigDict(extra="ignore")


class _Received(BaseModel):
    """The service reads it."""

    model_config = ConfigDict(extra="forbid")


class FakeOptions(_Received):
    """What the engine ``fake`` pretends."""

    seconds: float = Field(default=2.0, ge=0, le=3600)
    """How long it works [s]."""
    fails: Literal["input", "internal", "crash", "hang", "memory", "device", "poor"] | None = None
    """How it fails, if it does."""
    at: float = Field(default=0.5, ge=0, lt=1)
    """When it fails, as a share of its work."""


class Options(_Received):
    """How a job is done; what is left out follows the preset."""

    engine: Literal["optimize", "generate", "auto", "fake"] = "optimize"
    """How to reconstruct; ``auto`` chooses by what there is."""
    preset: Literal["draft", "standard", "high"] = "standard"
    """How much time to spend."""
    formats: list[Literal["glb", "gltf", "obj", "ply", "stl", "3mf", "usdz"]] = Field(
        default=["glb"], min_length=1, max_length=7
    )
    """Mesh files to make; a GLB is always among them."""
    holdout_every: int | None = Field(default=None, ge=0, le=1000)
    """Keep every Nth photo for testing; 0 uses all; null keeps the capture's own split."""
    max_size: int | None = Field(default=None, ge=64, le=8192)
    """Longest side of a photo [px]; null decides by preset."""
    max_seconds: float | None = Field(default=None, ge=5, le=86400)
    """When to be done, at some cost in quality [s]; null takes all the time it needs."""
    poses: Literal["auto", "off", "on"] = "auto"
    """Correct cameras that are slightly off; ``auto``: where it helps."""
    reference: str = Field(default="", max_length=255)
    """Photo by which ``generate`` places the others."""
    refine: bool = False
    """Refine what ``generate`` made by the photos, with ``optimize``."""
    compensate: bool = False
    """Let the photos correct what ``generate`` makes, before the mesh is final."""
    atlas: Literal["own", "xatlas"] = "own"
    """Whose charts the UV map has; those of xatlas where the worker has it."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Same seed, same result on the CPU."""
    profile: Literal["view", "print", "simulate"] = "view"
    """Rules by which ``mesh_report`` judges."""
    fake: FakeOptions | None = None
    """For the engine ``fake``."""


class WebhookRequest(_Received):
    """Where to tell of a job; signed as Standard Webhooks asks."""

    url: str = Field(max_length=2000)
    """An https address; it gets a POST."""
    secret: str | None = Field(default=None, min_length=24, max_length=512)
    """``whsec_`` and base64; null makes one, which is shown once."""
    events: list[Literal["job.started", "job.succeeded", "job.failed", "job.canceled"]] = Field(
        default=["job.succeeded", "job.failed", "job.canceled"], min_length=1, max_length=4
    )
    """What to tell of."""


class InputRef(_Received):
    """A file that was uploaded before: by tus, or in an earlier job."""

    role: Role
    name: FileName
    """Unique within its role; for ``capture``, a path inside the folder."""
    upload_id: str | None = Field(default=None, max_length=40)
    """A finished upload."""
    sha256: Sha256 | None = None
    """The content of a file that this owner has stored."""


class JobRequest(_Received):
    """A new job."""

    options: Options = Field(default_factory=Options)
    labels: Labels = Field(default_factory=dict)
    """Anything, for the owner's own use."""
    webhook: WebhookRequest | None = None
    inputs: list[InputRef] = Field(default_factory=list, max_length=5000)
    """Files that are stored already; others come with the request."""


class RerunRequest(_Received):
    """A new job on the inputs of another."""

    options: dict[str, Any] = Field(default_factory=dict, max_length=32)
    """Options that differ from those of the other job."""
    labels: Labels | None = None
    """Null takes those of the other job."""


class ProblemItem(_Sent):
    """One of several things that are wrong."""

    pointer: str
    """Where, as a JSON pointer into the request or the job."""
    code: str
    detail: str
    name: str | None = None
    """A file's name."""
    value: float | str | None = None
    """What was found."""
    limit: float | str | None = None
    """What is allowed."""


class Problem(_Sent):
    """What went wrong (RFC 9457)."""

    type: str
    """Address of an explanation."""
    title: str
    status: int
    code: str
    """Stable; docs/errors.md lists all."""
    detail: str
    retryable: bool
    """Whether the same request may succeed later."""
    hint: str | None = None
    request_id: str | None = None
    errors: list[ProblemItem] = Field(default_factory=list)


class JobProgress(_Sent):
    """How far a job is."""

    percent: float | None = None
    """0..100; it never falls within an attempt."""
    stage: str | None = None
    stage_index: int | None = None
    stage_count: int | None = None
    message: str | None = None
    queue_position: int | None = None
    """How many jobs are before it, while it waits."""
    eta_seconds: float | None = None
    """Time left, from what earlier jobs took [s]."""


class JobUrls(_Sent):
    """Where to go on from a job; not to be built by clients."""

    self: str
    events: str
    logs: str
    cancel: str
    rerun: str
    inputs: str
    report: str
    artifacts: str
    deliveries: str | None = None
    """Only of a job with a webhook."""


class JobView(_Sent):
    """A job as its owner sees it."""

    id: str
    kind: Literal["reconstruct", "mesh_report"]
    state: StateName
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: JobProgress
    inputs: dict[str, Any]
    """Number of files by role, and ``bytes``."""
    options: dict[str, Any]
    labels: dict[str, str]
    attempt: int
    cancel_requested_at: datetime | None
    parent_id: str | None
    """The job that this one repeats."""
    verdict: Literal["pass", "warn", "fail"] | None
    """Of the mesh report; a poor mesh is not a failed job."""
    warnings: list[str]
    artifacts_state: Literal["none", "available", "expired"]
    expires_at: datetime | None
    """When the files will be removed; the job's record stays."""
    error: Problem | None
    webhook_secret: str | None = None
    """Only in the answer that made it."""
    urls: JobUrls


class JobPage(_Sent):
    """Some jobs, newest first."""

    jobs: list[JobView]
    next_page_token: str | None
    """For the next page; null at the end."""


class InputView(_Sent):
    """A file of a job."""

    role: str
    name: str
    size: int
    sha256: str


class ArtifactView(_Sent):
    """A file that a job made."""

    name: str
    size: int
    sha256: str
    media_type: str
    url: str


class ArtifactList(_Sent):
    """What a job made."""

    state: Literal["none", "available", "expired"]
    expires_at: datetime | None
    artifacts: list[ArtifactView]


class LogLine(_Sent):
    """Something that a job said."""

    number: int
    """Grows; ``after`` takes it."""
    at: datetime
    level: str
    message: str


class LogPage(_Sent):
    """Some of what a job said, oldest first."""

    lines: list[LogLine]
    next_after: int
    """For the next page."""


class DeliveryTry(_Sent):
    """One attempt to send a message."""

    at: datetime
    seconds: float
    status: int | None
    """Of the answer; null: there was none."""
    error: str | None
    """Why there was none."""


class DeliveryView(_Sent):
    """A message to a job's webhook."""

    number: int
    message_id: str
    """The header ``webhook-id``, the same in every try."""
    event: str
    state: Literal["waiting", "delivered", "dead"]
    """``dead``: it is not tried again unless somebody asks."""
    next_try_at: datetime | None
    tries: list[DeliveryTry]
    """The last ones, oldest first."""


class DeliveryList(_Sent):
    """What a job's webhook was told, oldest first."""

    deliveries: list[DeliveryView]


class PresetView(_Sent):
    """What a preset stands for."""

    name: str
    about: str
    means: dict[str, Any]
    """``max_size`` of photos [px], then by engine: ``faces`` and side of the ``texture`` [px]."""


class EngineView(_Sent):
    """A way to reconstruct."""

    name: str
    about: str
    offered: bool
    """Whether this server is set up for it."""


class OptionsView(_Sent):
    """What a job can be told."""

    options: dict[str, Any]
    """JSON Schema of ``options``, with help and limits."""
    presets: list[PresetView]
    engines: list[EngineView]


class DeviceView(_Sent):
    """A GPU of a worker."""

    name: str
    total_bytes: int
    free_bytes: int
    """When the worker was last seen."""


class WorkerView(_Sent):
    """A worker that was seen in the last minute."""

    id: str
    started_at: datetime
    seen_at: datetime
    cpus: int | None
    memory_bytes: int | None
    gpus: list[DeviceView]


class SystemView(_Sent):
    """What runs here."""

    version: str
    uptime_seconds: float
    """Of the web process that answers."""
    workers: list[WorkerView]
    jobs: dict[str, int]
    """Everybody's, by state."""
    limits: dict[str, float]
    """By name of the setting; sizes in bytes, times in seconds; 0 keeps files."""
    formats: list[str]
    webhooks: bool
    """Whether jobs may name one."""


assert PRESETS == ("draft", "standard", "high")  # the lists above are for type checkers
assert set(POSE_MODES) == {"auto", "off", "on"}
