# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``/v1/jobs/{id}/deliveries``: what a job's webhook was told, and telling it again."""

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Path

from photocast.jobs.deliveries import Deliveries, Delivery
from photocast.service.auth import Reader, Writer
from photocast.service.context import ContextOf
from photocast.service.jobs import found
from photocast.service.problems import ServiceError
from photocast.wire import DeliveryList, DeliveryTry, DeliveryView

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs/{job_id}/deliveries", tags=["webhooks"])


@router.get("")
def list_deliveries(job_id: str, caller: Reader, context: ContextOf) -> DeliveryList:
    """List a job's messages, oldest first, with how each try went."""
    job = found(context, job_id, caller)
    return DeliveryList(
        deliveries=[_view(one) for one in Deliveries(context.database).of_job(job.id)]
    )


@router.post("/{number}/redeliver", status_code=202)
def redeliver(
    job_id: str,
    number: Annotated[int, Path(ge=1, le=2**31 - 1)],
    caller: Writer,
    context: ContextOf,
) -> DeliveryView:
    """Send a message again, under its old name, so that the receiver can know it."""
    job, deliveries = found(context, job_id, caller), Deliveries(context.database)
    if number not in [one.number for one in deliveries.of_job(job.id)]:
        raise ServiceError(404, "webhook.not_found", f"The job has no message {number}.")
    again = deliveries.send_again(job.id, number)
    if again is None:
        raise ServiceError(
            409, "webhook.sending", f"Message {number} is being sent now.", retry_after=15
        )
    return _view(again)


def _view(one: Delivery) -> DeliveryView:
    tries = [
        DeliveryTry(
            at=datetime.fromtimestamp(told["at"], timezone.utc),
            seconds=told["seconds"],
            status=told["status"],
            error=told["error"],
        )
        for told in one.outcome.get("tries", ())
    ]
    waits = one.state == "waiting"
    return DeliveryView(
        number=one.number,
        message_id=one.id,
        event=one.event,
        state=one.state,  # type: ignore[arg-type]  # checked by the model
        next_try_at=datetime.fromtimestamp(one.due_at, timezone.utc) if waits else None,
        tries=tries,
    )
