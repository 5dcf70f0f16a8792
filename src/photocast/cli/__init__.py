# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line. One file per command; each imports its heavy rooms when it runs."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run ``photocast`` with the arguments of this process."""
    from photocast.cli.boundary import run

    sys.exit(run(sys.argv[1:]))
