# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A webhook as asked for becomes the one that a job has."""

from typing import Any

from photocast.service.problems import ServiceError
from photocast.service.webhooks.guard import WebhookRefused, check_url
from photocast.service.webhooks.sign import check_secret, new_secret
from photocast.settings import Settings
from photocast.wire import WebhookRequest

__all__ = ["prepare_webhook"]


def prepare_webhook(request: WebhookRequest, settings: Settings) -> dict[str, Any]:
    """Check a webhook, and make its secret if it brings none.

    Returns:
        ``url``, ``secret`` and ``events``, for the job's row.

    Raises:
        ServiceError: There are no webhooks here, or this one cannot be used.
    """
    if not settings.webhooks:
        raise ServiceError(422, "webhook.off", "This service sends no webhooks; poll the job.")
    try:
        check_url(request.url, private=settings.webhook_private)
    except WebhookRefused as error:
        raise ServiceError(422, error.code, str(error)) from None
    secret = new_secret() if request.secret is None else request.secret
    if not check_secret(secret):
        raise ServiceError(
            422,
            "webhook.secret",
            "The webhook's secret must be whsec_ and 24 to 64 bytes in base64.",
            hint="Leave it out, and one is made.",
        )
    return {"url": request.url, "secret": secret, "events": list(request.events)}
