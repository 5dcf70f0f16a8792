# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Webhooks: addresses that are told what becomes of a job."""
