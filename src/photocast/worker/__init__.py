# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of the service that touches what users upload, in child processes with limits.

A parent starts each child with :func:`photocast.worker.limits.run_limited` and reads one JSON
document from it: ``clean`` and ``unzip`` take files in, ``preflight`` looks at a capture before any
heavy work, ``mesh_report`` checks a mesh.
"""
