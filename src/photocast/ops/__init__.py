# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Differentiable torch functions over the kernels, each with its plain-torch twin."""
