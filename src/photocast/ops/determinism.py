# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The switch for gradients that are the same to the last bit in every run, on CUDA too."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["deterministic", "is_deterministic"]

_enabled = False


@contextmanager
def deterministic(enabled: bool = True) -> Iterator[None]:
    """Add up gradients in integers, which do not care about the order, at some cost.

    To be open while ``backward`` runs; for the whole process. Forward passes are always the same,
    and on the CPU so are gradients; with the switch they also agree for every number of cores.
    Sums are kept in steps of 2^-36 of the largest upstream gradient of their op, and must stay
    below 2^27 times it.
    """
    global _enabled
    before, _enabled = _enabled, enabled
    try:
        yield
    finally:
        _enabled = before


def is_deterministic() -> bool:
    """Whether :func:`deterministic` is open."""
    return _enabled
