# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The HTTP API. It stores uploads, writes jobs down and rings for workers; it computes nothing."""
