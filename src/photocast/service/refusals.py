# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Refusals that several resources make."""

import re

from photocast.service.problems import ServiceError

__all__ = ["job_not_found"]


def job_not_found(job_id: str) -> ServiceError:
    """There is no such job, or it is somebody else's; both look the same."""
    name = job_id if re.fullmatch(r"[a-z0-9_]{1,40}", job_id) else "of that name"
    return ServiceError(404, "job.not_found", f"There is no job {name}.")
