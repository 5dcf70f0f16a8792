# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Write ``docs/openapi.json``, the description of the HTTP API for machines.

    python docs/make_openapi.py

It is made from the routes in ``src/photocast/service`` and the models in ``src/photocast/wire.py``.
The file is committed, so that every change of the API is seen in a diff; a test compares.
"""

import json
from pathlib import Path

from photocast.service.app import create_app
from photocast.settings import Settings

PAGE = Path(__file__).resolve().parent / "openapi.json"


def page() -> str:
    """The description as JSON."""
    return json.dumps(create_app(Settings()).openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
