# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The deployment keeps to what docs/scale.md promises of it."""

from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_redis_forgets_nothing(services: dict[str, Any]):
    command = " ".join(services["redis"]["command"])
    for words in ("--maxmemory-policy noeviction", "--appendonly yes", "--requirepass"):
        assert words in command


def test_only_the_api_has_a_port_and_only_on_this_machine(services: dict[str, Any]):
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published == {"api": ["127.0.0.1:8000:8000"]}


def test_every_container_is_restarted_reaped_watched_and_cannot_write(services: dict[str, Any]):
    for name, one in services.items():
        assert one["restart"] == "unless-stopped", name
        assert one["init"], name
        assert one["read_only"], name
        assert one["healthcheck"]["test"], name
        assert "ALL" in one.get("cap_drop", ["ALL"]), name


def test_a_worker_has_time_to_give_its_job_back(services: dict[str, Any]):
    assert services["worker-0"]["stop_grace_period"] == "120s"
    device = services["worker-0"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["device_ids"] == ["0"]


def test_images_do_not_run_as_root():
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for part in text.split("\nFROM ")[2:]:
        assert "\nUSER photocast\n" in part
        assert '\nCMD ["photocast"' in part, "no shell stands between it and SIGTERM"
