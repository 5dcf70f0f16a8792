# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What owners see of their jobs, on each database."""

import pytest

from photocast.jobs.database import Database
from photocast.jobs.lease import LeaseTable, Outcome
from photocast.jobs.record import Artifact, Input, State
from photocast.jobs.store import JobStore

PHOTO = Input(role="images", name="ä 1.jpg", key="inputs/ada/00", sha256="00", size=7)
MESH = Artifact(name="mesh.glb", key="artifacts/j/1/mesh.glb", sha256="11", size=9, media_type="m")


def test_a_job_is_read_as_it_was_written(store: JobStore, new_job):
    options = {"engine": "fake", "nested": {"list": [1, 2.5, None, True], "text": "ß∑"}}
    webhook = {"url": "https://example.org", "events": []}
    made = store.create(new_job(options=options, webhook=webhook), [PHOTO])
    read = store.get(made.id, "ada")
    assert read == made
    assert (read.options, read.webhook) == (options, webhook)
    assert read.labels == {"sku": "Ä-7"}
    assert read.inputs == {"images": 1, "bytes": 7}
    assert store.inputs(made.id) == [PHOTO]


def test_nobody_finds_the_jobs_of_others(store: JobStore, new_job):
    job = store.create(new_job("ada"))
    assert store.get(job.id, "bob") is None
    assert store.cancel(job.id, "bob") is None
    assert store.delete(job.id, "bob") is None
    assert store.listed("bob", count=10) == []
    assert store.get(job.id, None) == job


def test_jobs_are_listed_newest_first_page_by_page(store: JobStore, new_job):
    made = [store.create(new_job()).id for _ in range(7)]
    first = store.listed("ada", count=4)
    second = store.listed("ada", count=4, before=first[-1].id)
    assert sorted([job.id for job in first + second]) == sorted(made)
    assert [job.id for job in first + second] == sorted(made, reverse=True)
    assert store.listed("ada", count=9, states=[State.RUNNING]) == []


def test_a_draft_takes_files_until_it_is_submitted(store: JobStore, new_job):
    draft = store.create(new_job(), draft=True)
    assert store.put_input(draft.id, "ada", PHOTO).inputs == {"images": 1, "bytes": 7}
    assert store.put_input(draft.id, "ada", PHOTO).inputs == {"images": 1, "bytes": 7}
    assert store.submit(draft.id, "ada").state is State.QUEUED
    assert store.put_input(draft.id, "ada", PHOTO) is None
    assert store.submit(draft.id, "ada") is None


def test_events_tell_of_each_state_once_and_in_order(store: JobStore, database: Database, new_job):
    job, table = store.create(new_job()), LeaseTable(database)
    table.finish(table.claim("w"), Outcome(state=State.SUCCEEDED, artifacts=[MESH]))
    told = [(event.type, event.data.get("state")) for event in store.events(job.id)]
    assert told == [
        ("state", "queued"),
        ("state", "running"),
        ("state", "succeeded"),
        ("artifact", None),
    ]
    assert store.newest_event(job.id) == store.events(job.id)[-1].id
    assert store.artifacts(job.id) == [MESH]


def test_a_deleted_job_takes_all_that_hangs_on_it_along(
    store: JobStore, database: Database, new_job
):
    job, table = store.create(new_job(), [PHOTO]), LeaseTable(database)
    running = table.claim("w")
    assert store.delete(job.id, "ada") is None, "it runs"
    table.finish(running, Outcome(state=State.SUCCEEDED, artifacts=[MESH]))
    assert store.delete(job.id, "ada").id == job.id
    assert (store.inputs(job.id), store.artifacts(job.id), store.events(job.id)) == ([], [], [])


def test_what_an_owner_takes_up_is_counted(store: JobStore, new_job):
    store.create(new_job())
    store.create(new_job(), draft=True)
    store.create(new_job("bob"))
    store.cancel(store.create(new_job()).id, "ada")
    assert store.usage("ada").open_jobs == 2
    assert store.counts() == {
        "draft": 1, "queued": 2, "running": 0, "succeeded": 0, "failed": 0, "canceled": 1,
    }  # fmt: skip


def test_a_place_in_the_queue_is_the_number_of_jobs_before(store: JobStore, new_job):
    jobs = [store.create(new_job()) for _ in range(3)]
    assert [store.standing(job.id).place for job in jobs] == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 3, 1203])
def test_open_jobs_are_told_from_those_that_ended(store: JobStore, new_job, count: int):
    alive, ended = store.create(new_job()), store.create(new_job())
    store.cancel(ended.id, None)
    strangers = [f"job_{number}" for number in range(count)]
    assert store.open_of([alive.id, ended.id, *strangers]) == {alive.id}
    assert store.versions([alive.id, *strangers]) == {alive.id: alive.version}
