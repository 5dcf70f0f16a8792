# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to jobs, in whatever order: only moves of the table, each told once."""

import itertools
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from hypothesis.strategies import sampled_from

from photocast.jobs.database import open_database
from photocast.jobs.lease import LeaseTable, Outcome
from photocast.jobs.record import FINAL, MOVES, Job, Kind, NewJob, State
from photocast.jobs.store import JobStore

MAX_LOSSES = 2


class Jobs(RuleBasedStateMachine):
    """Drives the store and a model of it; every claim is kept, also those that are out of date."""

    names = Bundle("names")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = open_database(f"sqlite:///{self.folder / 'jobs.db'}")
        self.store = JobStore(self.database)
        self.table = LeaseTable(self.database, max_losses=MAX_LOSSES)
        self.model: dict[str, list[State]] = {}
        self.losses: dict[str, int] = {}
        self.held: dict[str, int] = {}
        """The attempt that holds each running job."""

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @rule(target=names, draft=sampled_from([False, True]))
    def create(self, draft: bool) -> str:
        new = NewJob(owner="ada", kind=Kind.RECONSTRUCT, options={}, labels={}, max_seconds=1.0)
        job = self.store.create(new, draft=draft)
        self.model[job.id] = [job.state]
        self.losses[job.id] = 0
        return job.id

    @rule(name=names)
    def submit(self, name: str) -> None:
        done = self.store.submit(name, "ada")
        assert (done is not None) == (self.model[name][-1] is State.DRAFT)
        self._moved(name, done)

    @rule(target=claims, worker=sampled_from(["w1", "w2"]))
    def claim_oldest(self, worker: str) -> object:
        waiting = [n for n, states in self.model.items() if states[-1] is State.QUEUED]
        job = self.table.claim(worker)
        assert (job is None) == (not waiting)
        return self._claimed(job)

    @rule(target=claims, name=names, worker=sampled_from(["w1", "w2"]))
    def hear_a_bell(self, name: str, worker: str) -> object:
        job = self.table.claim(worker, name)
        assert (job is None) == (self.model[name][-1] is not State.QUEUED)
        return self._claimed(job)

    @rule(job=claims)
    def beat(self, job: Job) -> None:
        assert (self.table.beat(job) is not None) == self._holds(job)

    @rule(name=names)
    def cancel(self, name: str) -> None:
        before = self.model[name][-1]
        done = self.store.cancel(name, "ada")
        assert (done is None) == (before in FINAL)
        self._moved(name, done)

    @rule(
        job=claims,
        state=sampled_from([State.SUCCEEDED, State.FAILED, State.CANCELED, State.QUEUED]),
        lost=sampled_from([False, True]),
    )
    def finish(self, job: Job, state: State, lost: bool) -> None:
        ended = self.table.finish(job, Outcome(state=state, lost=lost))
        assert (ended is not None) == self._holds(job)
        self._ended(job, ended, lost)

    @rule(job=consumes(claims))
    def take_back(self, job: Job) -> None:
        now = self.store.get(job.id, None)
        assert now is not None
        ended = self.table.take_back(now) if self._holds(job) else None
        self._ended(job, ended, True)

    @rule(worker=sampled_from(["w1", "w2"]))
    def release(self, worker: str) -> None:
        for ended in self.table.release(worker):
            self._ended(ended, ended, True)

    @invariant()
    def the_rows_are_as_the_model(self) -> None:
        for name, states in self.model.items():
            job = self.store.get(name, None)
            assert job is not None
            told = [e.data["state"] for e in self.store.events(name, kinds=["state"])]
            assert told == [state.value for state in states]
            assert job.state is states[-1]
            assert all(b in MOVES[a] for a, b in itertools.pairwise(states))
            assert job.attempt == states.count(State.RUNNING)
            assert job.losses == self.losses[name] <= MAX_LOSSES + 1
            assert (job.lease_owner is not None) == (job.state is State.RUNNING)
            assert (job.finished_at is not None) == (job.state in FINAL)

    def _claimed(self, job: Job | None) -> object:
        if job is None:
            return multiple()
        self._moved(job.id, job)
        self.held[job.id] = job.attempt
        return job

    def _holds(self, job: Job) -> bool:
        running = self.model[job.id][-1] is State.RUNNING
        return running and self.held[job.id] == job.attempt

    def _ended(self, job: Job, ended: Job | None, lost: bool) -> None:
        if ended is not None:
            self.losses[job.id] += lost
            self._moved(job.id, ended)

    def _moved(self, name: str, job: Job | None) -> None:
        if job is not None and job.state is not self.model[name][-1]:
            self.model[name].append(job.state)


Jobs.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
test_any_sequence_of_steps_keeps_to_the_table_of_moves = Jobs.TestCase
