# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Carries plans out without a network: what a test's world makes of each step."""

__all__ = ["Player"]


class Player:
    """A world that has ``_do``, which answers one step."""

    def play(self, plan):
        """Carry a plan out; its result."""
        heard = None
        while True:
            try:
                step = plan.send(heard)
            except StopIteration as end:
                return end.value
            heard = self._do(step)
