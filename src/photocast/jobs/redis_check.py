# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Is a Redis fit to hold bells? It must forget nothing, and should survive a restart.

A queue of Celery is one list in Redis, and the coldest of its keys just while jobs wait behind a
long one. Any policy of eviction may take it, silently; ``noeviction`` refuses the next write, which
is seen. Asked with INFO, which managed services answer though they hide CONFIG.
"""

import logging

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from photocast.errors import ConfigError, PhotocastError

__all__ = ["RedisDown", "check_redis"]

_log = logging.getLogger(__name__)
_TIMEOUT_S = 0.5


class RedisDown(PhotocastError):
    """Redis does not answer."""

    def __init__(self, error: RedisError) -> None:
        reason = str(error).partition("\n")[0][:120]
        super().__init__(
            f"Redis does not answer ({reason}). Check that it runs; jobs are kept meanwhile.",
            code="redis.unavailable",
        )


def check_redis(url: str) -> None:
    """Refuse a Redis that may lose bells while it runs; warn of one that loses them in a restart.

    Raises:
        ConfigError: It evicts keys when its memory is full.
        RedisDown: It does not answer.
    """
    with Redis.from_url(
        url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    ) as client:
        try:
            memory, persistence = client.info("memory"), client.info("persistence")
        except ResponseError as error:  # not permitted, or not known there
            _unknown(str(error))
            return
        except RedisError as error:
            raise RedisDown(error) from error
    _judge(memory.get("maxmemory_policy"), persistence.get("aof_enabled"))


def _judge(policy: str | None, saved: int | None) -> None:
    if policy is None:
        return _unknown("it does not tell")
    if policy != "noeviction":
        raise ConfigError(
            f"Redis has maxmemory-policy {policy}, which drops waiting bells without a word when "
            "memory is full. Set maxmemory-policy noeviction.",
            code="redis.policy",
        )
    if not saved:
        _log.warning(
            "Redis keeps no append-only file: after its restart bells are rung again, later. Set "
            "appendonly yes.",
            extra={"event": "redis.persistence"},
        )


def _unknown(reason: str) -> None:
    _log.warning(
        "cannot see how Redis is set up (%s); it must have maxmemory-policy noeviction",
        reason,
        extra={"event": "redis.unknown"},
    )
