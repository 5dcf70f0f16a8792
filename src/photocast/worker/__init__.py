# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Workers: take a job, run it in a process of its own, write down what happened."""
