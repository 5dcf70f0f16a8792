# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs: what they are, where they are written down, who works on them, where their files lie."""
