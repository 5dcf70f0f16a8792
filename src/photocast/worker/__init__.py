# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Workers: take a job, run it in a process of its own, write down what happened.

What users upload is touched only by children with limits, each of which answers with one JSON
document: ``clean`` and ``unzip`` take files in, ``preflight`` looks at a capture before any heavy
work, ``mesh_report`` checks a mesh.
"""
