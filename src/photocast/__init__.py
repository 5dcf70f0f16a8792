# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos of an object in, a validated, textured mesh out."""

__version__ = "0.1.0"

__all__ = ["__version__"]
