# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines turn photographs into a Scene. They never import each other."""
