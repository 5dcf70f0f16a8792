# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""How much one key may ask for: a bucket of tokens each, per process."""

import time

from photocast.service.problems import ServiceError

__all__ = ["Rates"]

_MOST = 10_000


class Rates:
    """Token buckets by key."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._rate, self._burst = per_second, burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> None:
        """Count one request.

        Raises:
            ServiceError: There were too many; it says when to come again.
        """
        now = time.monotonic()
        tokens, at = self._buckets.get(name, (float(self._burst), now))
        tokens = min(tokens + (now - at) * self._rate, float(self._burst))
        if tokens < 1.0:
            raise ServiceError(
                429,
                "rate.limited",
                f"More than {self._burst} requests at once or {self._rate:g} a second.",
                retry_after=(1.0 - tokens) / self._rate,
            )
        if len(self._buckets) >= _MOST:  # a full bucket is as good as none
            self._buckets.clear()
        self._buckets[name] = (tokens - 1.0, now)
