# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys of callers and the presence of workers, on each database."""

import pytest

from photocast.errors import UserError
from photocast.jobs.database import Database
from photocast.jobs.keyring import Keyring
from photocast.jobs.presence import Presence
from photocast.jobs.stage_history import StageHistory


def test_a_key_is_found_by_its_text_until_it_is_revoked(database: Database):
    ring = Keyring(database)
    assert not ring.any()
    text, key = ring.add(owner="ada", name="laptop", scopes=["jobs:read"])
    assert ring.find(text) == key
    assert ring.find(text + "x") is None
    assert key.allows("jobs:read")
    assert not key.allows("jobs:write")
    assert ring.revoke(key.id)
    assert not ring.revoke(key.id)
    assert ring.find(text) is None
    assert not ring.any()
    assert [one.id for one in ring.all()] == [key.id]


def test_a_key_ends_at_its_time(database: Database):
    text, _ = Keyring(database).add(owner="ada", seconds=-1.0)
    assert Keyring(database).find(text) is None


def test_a_key_has_no_scope_that_there_is_not(database: Database):
    with pytest.raises(UserError, match="no scope 'jobs:burn'"):
        Keyring(database).add(owner="ada", scopes=["jobs:burn"])


def test_the_text_of_a_key_is_not_in_the_database(database: Database):
    text, _ = Keyring(database).add(owner="ada")
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM keys").all()
    assert text not in str(rows)


def test_a_worker_is_seen_until_it_is_forgotten(database: Database):
    presence = Presence(database)
    presence.tell("w1", {"host": "a"})
    presence.tell("w1", {"host": "b"})
    presence.tell("w2", {})
    assert [(one.id, one.facts) for one in presence.seen()] == [("w1", {"host": "b"}), ("w2", {})]
    presence.forget("w1")
    assert [one.id for one in presence.seen()] == ["w2"]


def test_stages_take_as_long_as_their_median(database: Database):
    history = StageHistory(database)
    for seconds in (1.0, 2.0, 9.0):
        history.add("fake", {"work": seconds})
    assert history.weights("fake") == {"work": 2.0}
    assert history.weights("other") == {}
