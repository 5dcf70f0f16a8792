# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos of an object in, a validated, textured mesh out."""

import os

# On the CPU our kernels run between torch's; torch's idle threads must sleep, not spin on the cores
# the kernels need (measured: 3.5 times slower steps). Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__all__ = ["__version__"]
