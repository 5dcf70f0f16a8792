# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What jobs made: lists, downloads, the report; and the end of a job with all its files."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from photocast.jobs.erase import erase
from photocast.jobs.files_rules import attachment
from photocast.jobs.record import Artifact, Job, State
from photocast.service.auth import Reader, Writer
from photocast.service.context import Context, ContextOf
from photocast.service.jobs import found, shown
from photocast.service.problems import ServiceError
from photocast.service.ranges import Served, serve
from photocast.service.views import artifact_view, at, base_of
from photocast.wire import ArtifactList, JobView

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs", tags=["results"])
_LINK_S = 600
_PAGE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file."},
    206: {"content": {"application/octet-stream": {}}, "description": "The part asked for."},
    302: {"description": "The file is at another address for some minutes."},
    304: {"description": "It has not changed."},
}


@router.get("/{job_id}/artifacts")
def list_artifacts(
    request: Request, job_id: str, caller: Reader, context: ContextOf
) -> ArtifactList:
    """List what a job made."""
    job, base = found(context, job_id, caller), base_of(request, context)
    made = context.jobs.artifacts(job.id) if job.artifacts_state == "available" else []
    return ArtifactList(
        state=job.artifacts_state,  # type: ignore[arg-type]  # checked by the model
        expires_at=at(job.expires_at),
        artifacts=[artifact_view(job, one, base) for one in made],
    )


@router.head("/{job_id}/artifacts/{name:path}", response_class=Response, include_in_schema=False)
@router.get("/{job_id}/artifacts/{name:path}", response_class=Response, responses=_FILE)
def read_artifact(
    request: Request, job_id: str, name: str, caller: Reader, context: ContextOf
) -> Response:
    """Download a file, or a range of its bytes."""
    one = _artifact(context, found(context, job_id, caller), name)
    filename = one.name.rpartition("/")[2]
    served = Served(
        key=one.key,
        size=one.size,
        sha256=one.sha256,
        media_type=one.media_type,
        disposition=attachment(filename),
    )
    if request.method == "GET" and "if-none-match" not in request.headers:
        link = context.files.presigned_url(one.key, _LINK_S, filename)
        if link is not None:
            return RedirectResponse(link, 302, headers={"Cache-Control": "private, no-store"})
    return serve(request, context.files, served)


@router.get("/{job_id}/report", response_class=Response, responses=_FILE)
def read_report(request: Request, job_id: str, caller: Reader, context: ContextOf) -> Response:
    """Read the report of a job, as JSON."""
    one = _artifact(context, found(context, job_id, caller), "report.json")
    served = Served(key=one.key, size=one.size, sha256=one.sha256, media_type="application/json")
    return serve(request, context.files, served)


@router.get("/{job_id}/report.html", response_class=Response, responses=_FILE)
def read_report_page(request: Request, job_id: str, caller: Reader, context: ContextOf) -> Response:
    """Read the report of a job, as a page without scripts."""
    one = _artifact(context, found(context, job_id, caller), "report.html")
    served = Served(
        key=one.key,
        size=one.size,
        sha256=one.sha256,
        media_type="text/html; charset=utf-8",
        policy=_PAGE,
    )
    return serve(request, context.files, served)


@router.delete(
    "/{job_id}",
    status_code=204,
    response_class=Response,
    responses={202: {"model": JobView, "description": "It still ran; delete it again later."}},
)
def delete_job(request: Request, job_id: str, caller: Writer, context: ContextOf) -> Response:
    """Forget a job with its files. One that runs is cancelled first: then ask again."""
    job = found(context, job_id, caller)
    work = context.settings.work_folder
    if erase(context.database, context.files, work, job.id, caller.sees) is not None:
        return Response(status_code=204)
    job = context.jobs.cancel(job.id, caller.sees) or found(context, job_id, caller)
    view = shown(context, job, base_of(request, context))
    headers = {"Retry-After": "2", "Location": view.urls.self}
    return Response(view.model_dump_json(), 202, headers, media_type="application/json")


def _artifact(context: Context, job: Job, name: str) -> Artifact:
    """A file that a job made.

    Raises:
        ServiceError: There is none, not yet, or not any more.
    """
    if job.artifacts_state == "expired":
        raise ServiceError(
            410, "artifacts.expired", "The files of this job have expired; run it again."
        )
    made = context.jobs.artifacts(job.id)
    one = next((one for one in made if one.name == name), None)
    if one is None:
        waits = job.state in (State.DRAFT, State.QUEUED, State.RUNNING)
        when = f"; it is {job.state.value}" if waits else ""
        text = f"The job has made no file {ascii(name)[1:-1][:80]!r}{when}."
        raise ServiceError(404, "artifact.not_found", text)
    return one
