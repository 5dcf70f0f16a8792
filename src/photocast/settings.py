# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the service: one class, read once from the environment by whoever starts a process.

Each field is ``PHOTOCAST_`` and its name in capitals; options of the command line go before. A
folder of secrets (``PHOTOCAST_SECRETS_DIR``, one file per field) keeps passwords out of both.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from photocast.errors import ConfigError

__all__ = ["Settings", "load_settings"]

_MB = 1_000_000
_DAY = 86_400.0


class Settings(BaseSettings):
    """What the operator of a service decides."""

    model_config = SettingsConfigDict(
        env_prefix="PHOTOCAST_",
        extra="ignore",
        frozen=True,
    )

    data: Path = Path("photocast-data")
    """Folder for the database, files and work in progress."""
    database: str = ""
    """URL of the database; empty: a SQLite file in the data folder."""
    files: str = ""
    """Where files are stored: a folder or ``s3://bucket/prefix``; empty: in the data folder."""
    broker: str = ""
    """URL of Redis for Celery; empty: workers are started by ``serve`` and look by themselves."""
    host: str = "127.0.0.1"
    """Address to listen on; another than this machine's own needs a key first."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes any that is free."""
    public_url: str = ""
    """How clients reach the service, for links in answers; empty: as they asked."""
    trusted_hosts: tuple[str, ...] = ()
    """Further host names under which callers without a key may reach this machine's own address."""
    cors_origins: tuple[str, ...] = ()
    """Web pages of other origins that may call the service."""
    workers: int = Field(default=1, ge=0, le=64)
    """Workers that ``serve`` starts; one per GPU."""
    fake_engine: bool = False
    """Offer the engine ``fake``, for trying the service out."""
    demand_key: bool = False
    """Ask for a key even on this machine's own address."""
    docs: bool = True
    """Serve the page of the API's description."""

    lease_seconds: float = Field(default=30.0, ge=1, le=3600)
    """How long a worker may be silent before its job goes to another [s]."""
    poll_seconds: float = Field(default=2.0, ge=0.05, le=60)
    """How often a worker looks for jobs that no bell told of [s]."""
    grace_seconds: float = Field(default=20.0, ge=0, le=600)
    """Between asking a job to stop and killing it [s]."""
    max_losses: int = Field(default=2, ge=0, le=20)
    """How often a job's process may vanish before the job fails."""
    max_job_seconds: float = Field(default=4 * 3600.0, ge=1)
    """Longest run of a job [s]."""
    job_memory_bytes: int | None = Field(default=None, ge=_MB)
    """What a job's processes may take up together [bytes]; unset: no limit."""
    gpu_job_bytes: int | None = Field(default=None, ge=_MB)
    """GPU memory to wait for before a job begins [bytes]; unset: no waiting."""
    gpu_wait_seconds: float = Field(default=600.0, ge=0)
    """How long to wait for it while others hold it [s]."""

    weights: Path | None = None
    """Folder of weights, on each worker's host; with one, the engine ``generate`` is offered."""

    max_photos: int = Field(default=500, ge=1)
    """Photos of a job."""
    max_file_bytes: int = Field(default=200 * _MB, ge=1)
    """One uploaded file [bytes]."""
    max_job_bytes: int = Field(default=5000 * _MB, ge=1)
    """All files of a job [bytes]."""
    max_open_jobs: int = Field(default=100, ge=1)
    """Jobs of one owner that have not ended."""
    max_stored_bytes: int = Field(default=100_000 * _MB, ge=1)
    """Inputs and results of one owner [bytes]."""
    rate_per_second: float = Field(default=50.0, gt=0)
    """Requests of one key, on average, other than reading."""
    rate_burst: int = Field(default=200, ge=1)
    """Requests of one key at once, other than reading."""
    max_listeners: int = Field(default=1000, ge=1)
    """Listeners to events of one web process."""
    disk_reserve_bytes: int = Field(default=2000 * _MB, ge=0)
    """Free space below which nothing more is taken in [bytes]."""

    keep_uploads_seconds: float = Field(default=2 * _DAY, ge=0)
    """Unfinished uploads and drafts; 0 keeps them [s]."""
    keep_inputs_seconds: float = Field(default=0.0, ge=0)
    """Inputs after the end of a job; 0 keeps them until the job is deleted [s]."""
    keep_artifacts_seconds: float = Field(default=0.0, ge=0)
    """Results after the end of a job; 0 keeps them until the job is deleted [s]."""
    webhooks: bool = True
    """Allow jobs to name a webhook."""
    webhook_private: bool = False
    """Allow webhooks to addresses of this machine and of private networks."""
    log_format: str = Field(default="text", pattern="^(text|json)$")
    """``text`` for people, ``json`` for machines."""

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.data.resolve() / 'photocast.db'}"

    @property
    def files_url(self) -> str:
        return self.files or str(self.data.resolve() / "files")

    @property
    def work_folder(self) -> Path:
        return self.data.resolve() / "work"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines that a job can name with success."""
        generate = ("generate",) if self.weights is not None else ()
        return ("optimize", *generate, "auto", *(("fake",) if self.fake_engine else ()))

    def shown(self) -> dict[str, Any]:
        """All settings as they may be printed: without passwords."""
        hidden = {name: _redacted(getattr(self, name)) for name in ("database", "files", "broker")}
        return {**self.model_dump(mode="json"), **hidden}


def load_settings(**given: Any) -> Settings:
    """Read the environment; what is given and not ``None`` goes before.

    Raises:
        ConfigError: Settings are out of their limits, all of them named.
    """
    try:
        chosen = {name: value for name, value in given.items() if value is not None}
        secrets = os.environ.get("PHOTOCAST_SECRETS_DIR")
        return Settings(_secrets_dir=secrets, **chosen)  # type: ignore[call-arg]  # the base's own
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))} = {one['input']!r}: {one['msg']}"
            for one in error.errors()
        )
        raise ConfigError(f"Settings of the service: {wrong}.", code="config.service") from None


def _redacted(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None and "@" not in parts.netloc:
        return url
    return parts._replace(netloc=f"…@{parts.netloc.rpartition('@')[2]}").geturl()
