# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A bell over Celery: a message with the name of a job, for whichever worker is free.

The database is the queue of record. A message that is lost, late or doubled costs time at most: the
worker that hears it claims the job in the database, or finds that there is nothing to claim.
"""

import logging
import time

from photocast.errors import ConfigError, UserError

try:
    from celery import Celery
    from kombu.exceptions import KombuError
    from redis.exceptions import RedisError
except ModuleNotFoundError as error:
    raise UserError(
        f"Bells over Celery need {error.name}, which is not installed. "
        "Install it with: pip install 'photocast[scale]'",
        code="install.scale",
    ) from error

from photocast.jobs.redis_check import RedisDown, check_redis

__all__ = ["QUEUE", "RING", "CeleryBell", "celery_app"]

QUEUE = "photocast"
RING = "photocast.ring"
"""The task: one argument, the name of a job."""
_log = logging.getLogger(__name__)
_SEND_S = 0.4
_SILENT_S = 5.0
_HOUR = 3600
# For a sender: it gives up soon and tries once, because the reconciler rings again anyway.
_HASTY = {
    "socket_timeout": _SEND_S,
    "socket_connect_timeout": _SEND_S,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "connect_retries_timeout": _SEND_S,
}


def celery_app(broker: str, longest: float, *, hasty: bool = False) -> Celery:
    """Celery as we use it, for those who ring and those who hear.

    Args:
        broker: URL of Redis.
        longest: Seconds that a job may run.
        hasty: For a sender that has no time to wait.
    """
    app = Celery("photocast", broker=broker, set_as_current=False)
    # Only a message that was not acknowledged is delivered again. We acknowledge before we start,
    # so this time decides nothing; it is long because the shortest of all apps would win.
    visibility = int(longest) + _HOUR
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_publish_retry=False,
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        visibility_timeout=visibility,
        broker_transport_options={
            "visibility_timeout": visibility,
            "health_check_interval": 30,
            "socket_keepalive": True,
            **(_HASTY if hasty else {}),
        },
    )
    return app


class CeleryBell:
    """Rings by sending a message; silent for a while after one could not be sent."""

    def __init__(self, broker: str, *, longest: float) -> None:
        """Look at Redis, and get ready.

        Raises:
            ConfigError: Redis may lose messages (``redis.policy``).
        """
        self._broker = broker
        self._app = celery_app(broker, longest, hasty=True)
        self._silent_until = 0.0
        try:
            check_redis(broker)
        except RedisDown as error:  # jobs are taken in meanwhile
            self._fall_silent(error)

    def ring(self, job_id: str) -> bool:
        """Send a message; false, at once or nearly so, if Redis does not take it."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            self._app.send_task(RING, [job_id], queue=QUEUE, retry=False)
        except (KombuError, RedisError, OSError) as error:
            self._fall_silent(error)
            return False
        return True

    def problem(self) -> str | None:
        """Why nobody would hear."""
        try:
            check_redis(self._broker)
        except (RedisDown, ConfigError) as error:
            return str(error)
        return None

    def close(self) -> None:
        """Give connections back."""
        self._app.close()

    def _fall_silent(self, error: Exception) -> None:
        self._silent_until = time.monotonic() + _SILENT_S
        _log.warning("cannot ring: %s", error, extra={"event": "bell.silent"})
