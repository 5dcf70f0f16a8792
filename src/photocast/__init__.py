# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos of an object in, a validated, textured mesh out."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from photocast.client import AsyncClient, Client

# On the CPU our kernels run between torch's; torch's idle threads must sleep, not spin on the cores
# the kernels need (measured: 3.5 times slower steps). Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> Any:
    """The clients of a service, imported when they are asked for."""
    if name in ("AsyncClient", "Client"):
        from photocast import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
