# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``python -m photocast``."""

from photocast.cli import main

main()
