# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the server says about itself."""

import jsonschema
import pytest

from photocast.config import PRESETS
from photocast.jobs.presence import Presence
from photocast.wire import Options, OptionsView, SystemView


def test_the_schema_of_options_judges_as_the_service_does(service):
    shown = OptionsView.model_validate(service.client.get("/v1/options").json())
    jsonschema.Draft202012Validator.check_schema(shown.options)
    check = jsonschema.Draft202012Validator(shown.options)
    for good in ({}, {"preset": "high", "formats": ["usdz"], "seed": 3}):
        Options.model_validate(good)
        assert check.is_valid(good)
    for bad in ({"preset": "best"}, {"max_size": 1}, {"texture": 5}, {"formats": []}):
        assert not check.is_valid(bad)


def test_every_option_has_help(service):
    properties = service.client.get("/v1/options").json()["options"]["properties"]
    assert set(properties) == set(Options.model_fields)
    assert [n for n, one in properties.items() if not one.get("description")] == []


def test_every_preset_says_what_it_means(service):
    shown = OptionsView.model_validate(service.client.get("/v1/options").json())
    assert [one.name for one in shown.presets] == list(PRESETS)
    sizes = [one.means["max_size"] for one in shown.presets]
    faces = [one.means["optimize"]["faces"] for one in shown.presets]
    assert sizes == sorted(sizes)
    assert faces == [60_000, 200_000, 500_000]


@pytest.mark.parametrize("fake", [True, False])
def test_the_fake_engine_is_offered_only_where_it_is_switched_on(start, fake):
    with start(fake_engine=fake) as service:
        engines = service.client.get("/v1/options").json()["engines"]
    assert {one["name"]: one["offered"] for one in engines}["fake"] is fake


def test_the_system_shows_workers_jobs_and_limits(start):
    with start(max_photos=7) as service:
        gpu = {"id": "GPU-1", "name": "Card", "total_bytes": 8, "free_bytes": 5}
        facts = {"host": "inside", "pid": 7, "cpus": 4, "memory_bytes": 9, "gpus": [gpu]}
        Presence(service.context.database).tell("wrk_a", facts)
        service.job()
        answer = service.client.get("/v1/system")
        shown = SystemView.model_validate(answer.json())
    assert shown.workers[0].gpus[0].free_bytes == 5
    assert shown.workers[0].cpus == 4
    assert shown.jobs["queued"] == 1
    assert shown.limits["max_photos"] == 7
    assert "glb" in shown.formats
    assert shown.uptime_seconds >= 0
    assert "inside" not in answer.text, "names of hosts are nobody's business"


@pytest.mark.parametrize("path", ["/v1/system", "/v1/options"])
def test_a_key_is_needed_where_keys_are_demanded(start, path):
    with start(demand_key=True) as service:
        assert service.client.get(path).status_code == 401
