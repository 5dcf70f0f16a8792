# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the pages tell to run does what they say."""

import re
import sqlite3
import time
from pathlib import Path

import pytest

from photocast.service.webhooks.sign import new_secret, signed_headers
from photocast.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = re.findall(
    r"```python\n(.*?)```", (DOCS / "webhooks.md").read_text(encoding="utf-8"), re.S
)


@pytest.mark.parametrize("code", EXAMPLES, ids=["library", "plain"])
def test_the_pages_receivers_take_what_we_sign_and_nothing_else(code):
    space: dict = {}
    exec(code, space)
    secret, body, now = new_secret(), b'{"type": "job.failed"}', int(time.time())
    headers = signed_headers(secret, "msg_1", now, body)
    assert space["received"](secret, headers, body) == {"type": "job.failed"}
    old = signed_headers(secret, "msg_1", now - 3600, body)
    for wrong in (
        (new_secret(), headers, body),
        (secret, headers, body + b" "),
        (secret, old, body),
    ):
        with pytest.raises(Exception, match=r"(?i)signature|old"):
            space["received"](*wrong)


def test_a_backup_can_be_made_while_the_service_runs(service, tmp_path):
    job = service.job()
    source = service.context.settings.data / "photocast.db"
    connection = sqlite3.connect(source)
    connection.execute(f"VACUUM INTO '{tmp_path / 'backup.db'}'")
    connection.close()
    copy = sqlite3.connect(tmp_path / "backup.db")
    assert copy.execute("SELECT id FROM jobs").fetchall() == [(job.id,)]
    copy.close()


def test_every_limit_on_the_page_is_a_setting():
    page = (DOCS / "operations.md").read_text(encoding="utf-8").partition("## Limits")[2]
    told = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", page, re.M)))
    assert len(told) > 10
    assert set(told) - set(Settings.model_fields) == set()
