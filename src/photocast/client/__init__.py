# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Ask a Photocast service: ``Client`` for callers that wait, ``AsyncClient`` for those that await.

steps      what a plan asks of the world, and what it hears back
core       every method as a plan; captures, upload, download, watch, sse, retry are its parts
edges      carries plans out with httpx
"""

from photocast.client.edges import AsyncClient, Client
from photocast.client.errors import ClientError, JobFailed
from photocast.client.retry import Retry
from photocast.client.sse import JobEvent

__all__ = ["AsyncClient", "Client", "ClientError", "JobEvent", "JobFailed", "Retry"]
