# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Names for rows: a prefix and a UUIDv7 in base 32, so they sort by time and cannot be guessed.

Source: RFC 9562, section 5.7; the alphabet is Crockford's, in lower case.
"""

import os
import re
import time

__all__ = ["is_id", "made_at", "new_id"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26  # of 128 bits, 5 at a time


def new_id(prefix: str) -> str:
    """Make a name such as ``job_01k9…``."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80
    value |= 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    digits = [_ALPHABET[value >> 5 * place & 31] for place in range(_LENGTH)]
    return f"{prefix}_{''.join(reversed(digits))}"


def is_id(text: str, prefix: str) -> bool:
    """Whether a text has the form of a name with that prefix."""
    return re.fullmatch(f"{prefix}_[{_ALPHABET}]{{{_LENGTH}}}", text) is not None


def made_at(text: str, prefix: str) -> float:
    """When a name was made, in seconds since 1970; of what is no such name, now."""
    if not is_id(text, prefix):
        return time.time()
    value = 0
    for digit in text.removeprefix(f"{prefix}_"):
        value = value << 5 | _ALPHABET.index(digit)
    return (value >> 80) / 1000
