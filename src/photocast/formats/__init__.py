# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Bytes to nouns and back, one file per format. Only here do axes and colour spaces change."""
