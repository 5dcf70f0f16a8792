# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs over HTTP: look, wait, list, cancel, repeat, read what was said."""

import threading
import time

import pytest

from photocast.wire import JobPage, JobView, Problem


def test_a_job_is_shown_with_its_place_and_where_to_go_on(served):
    first, second = served.add(), served.add()
    with served.client() as client:
        answer = client.get(f"/v1/jobs/{second.id}")
        view = JobView.model_validate(answer.json())
        assert (view.id, view.state, view.progress.queue_position) == (second.id, "queued", 1)
        assert answer.headers["retry-after"] == "2"
        assert client.get(view.urls.self).json() == answer.json()
        served.context.jobs.cancel(first.id, "local")
        assert client.get(view.urls.self).json()["progress"]["queue_position"] == 0


def test_the_description_and_the_faster_route_say_the_same(served):
    """FastAPI's own route stands behind the one that answers; both must exist and agree."""
    routes = [route.path for route in served.app.routes if hasattr(route, "path")]
    assert routes.index("/v1/jobs/{job_id}") < len(routes)
    operation = served.app.openapi()["paths"]["/v1/jobs/{job_id}"]["get"]
    assert "JobView" in str(operation["responses"]["200"])
    assert {p["name"] for p in operation["parameters"]} == {"job_id", "prefer", "if-none-match"}


def test_an_unchanged_job_costs_no_body(served):
    job = served.add()
    with served.client() as client:
        tag = client.get(f"/v1/jobs/{job.id}").headers["etag"]
        again = client.get(f"/v1/jobs/{job.id}", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        client.post(f"/v1/jobs/{job.id}/cancel")
        changed = client.get(f"/v1/jobs/{job.id}", headers={"If-None-Match": tag})
        assert (changed.status_code, changed.json()["state"]) == (200, "canceled")
        assert "retry-after" not in changed.headers


def test_a_long_poll_answers_when_something_happens_and_not_before(served):
    job = served.add()
    threading.Timer(1.0, served.context.jobs.cancel, (job.id, "local")).start()
    with served.client() as client:
        began = time.monotonic()
        answer = client.get(f"/v1/jobs/{job.id}", headers={"Prefer": "wait=10"})
        assert answer.json()["state"] == "canceled"
        assert 0.9 < time.monotonic() - began < 3.0


def test_a_long_poll_ends_when_nothing_happens(served):
    job = served.add()
    with served.client() as client:
        began = time.monotonic()
        answer = client.get(f"/v1/jobs/{job.id}", headers={"Prefer": "wait=1"})
        assert (answer.status_code, answer.json()["state"]) == (200, "queued")
        assert 0.9 < time.monotonic() - began < 3.0


def test_two_who_have_seen_different_things_are_both_told(served):
    job = served.add()
    hub = served.app.state.hub
    answers = []

    def wait(tag):
        with served.client() as client:
            headers = {"Prefer": "wait=5", "If-None-Match": tag}
            answers.append(client.get(f"/v1/jobs/{job.id}", headers=headers).status_code)

    old = '"1.0"'  # this one has missed the last change, so it is answered at once
    with served.client() as client:
        new = client.get(f"/v1/jobs/{job.id}").headers["etag"]
    threads = [threading.Thread(target=wait, args=(tag,)) for tag in (old, new)]
    for thread in threads:
        thread.start()
    while hub.listeners < 1:
        time.sleep(0.01)
    served.context.jobs.cancel(job.id, "local")
    for thread in threads:
        thread.join()
    assert answers == [200, 200]


def test_pages_show_every_job_once_newest_first(served):
    made = [served.add().id for _ in range(7)]
    seen, token = [], None
    with served.client() as client:
        while True:
            query = {"page_size": 3} | ({"page_token": token} if token else {})
            page = JobPage.model_validate(client.get("/v1/jobs", params=query).json())
            seen += [job.id for job in page.jobs]
            served.add()  # those that come meanwhile do not shift the pages
            if (token := page.next_page_token) is None:
                break
    assert seen == made[::-1]


def test_a_list_can_be_of_some_states(served):
    one, two = served.add(), served.add()
    with served.client() as client:
        client.post(f"/v1/jobs/{one.id}/cancel")
        found = client.get("/v1/jobs", params={"state": ["queued", "running"]}).json()["jobs"]
        assert [job["id"] for job in found] == [two.id]
        wrong = client.get("/v1/jobs", params={"state": "lost"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "request.invalid")


@pytest.mark.parametrize("token", ["x", "am9iXzE", "☃", "a" * 300])
def test_a_made_up_page_token_is_refused(served, token):
    with served.client() as client:
        answer = client.get("/v1/jobs", params={"page_token": token})
        assert answer.status_code == 422


def test_cancelling_twice_is_harmless_and_after_the_end_is_refused(served):
    job = served.add(seconds=0.1)
    with served.client() as client:
        claimed = served.context.leases.claim("w")
        one = client.post(f"/v1/jobs/{job.id}/cancel")
        two = client.post(f"/v1/jobs/{job.id}/cancel")
        assert (one.status_code, two.status_code) == (202, 202)
        assert one.json()["cancel_requested_at"] == two.json()["cancel_requested_at"] is not None
        assert one.json()["state"] == "running"
        served.context.leases.release("w")
        assert client.get(f"/v1/jobs/{job.id}").json()["state"] == "canceled"
        late = client.post(f"/v1/jobs/{job.id}/cancel")
        assert (late.status_code, late.json()["code"]) == (409, "job.invalid_state")
        assert claimed.attempt == 1


def test_a_job_is_repeated_with_other_options(served):
    job = served.add(seconds=0.1, fails="input")
    served.work()
    with served.client() as client:
        body = {"options": {"preset": "draft", "fake": {"seconds": 0.1}}}
        answer = client.post(f"/v1/jobs/{job.id}/rerun", json=body)
        again = JobView.model_validate(answer.json())
        assert (answer.status_code, again.parent_id, again.state) == (202, job.id, "queued")
        assert again.options["preset"] == "draft"
        served.work()
        assert client.get(again.urls.self).json()["state"] == "succeeded"
        assert client.get(f"/v1/jobs/{job.id}").json()["state"] == "failed"  # history stays
        wrong = client.post(f"/v1/jobs/{job.id}/rerun", json={"options": {"preset": "best"}})
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["pointer"] == "/options/preset"


def test_a_failed_job_says_what_to_do_in_the_same_form_as_a_refusal(served):
    job = served.add(seconds=0.1, fails="input")
    served.work()
    with served.client() as client:
        error = Problem.model_validate(client.get(f"/v1/jobs/{job.id}").json()["error"])
        assert (error.code, error.retryable) == ("capture.empty", False)
        assert error.detail == "The photos show nothing. Take others."
        refusal = Problem.model_validate(client.get("/v1/jobs/nothing").json())
        assert (refusal.code, refusal.status) == ("job.not_found", 404)
        assert refusal.request_id.startswith("req_")


def test_what_a_job_said_can_be_read_in_parts(served):
    job = served.add(seconds=0.2)
    served.work()
    with served.client() as client:
        whole = client.get(f"/v1/jobs/{job.id}/logs").json()
        assert [line["message"].partition(":")[0] for line in whole["lines"]] == ["work"]
        rest = client.get(f"/v1/jobs/{job.id}/logs", params={"after": whole["next_after"]}).json()
        assert (rest["lines"], rest["next_after"]) == ([], whole["next_after"])


def test_an_owner_may_not_have_more_open_jobs_than_allowed(serve):
    with serve(max_open_jobs=2) as served, served.client() as client:
        job = served.add()
        served.add()
        answer = client.post(f"/v1/jobs/{job.id}/rerun", json={})
        assert (answer.status_code, answer.json()["code"]) == (429, "quota.jobs")
        assert int(answer.headers["retry-after"]) > 0
