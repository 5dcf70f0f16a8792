# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A child that reaches its limits still gives its parent a document with a code."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast import children
from photocast.children import CHILDREN, ask

MIB = 1 << 20


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos of 16 megapixels, which take 48 MB each."""
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    for number in range(3):
        Image.fromarray(noise).resize((4000, 4000)).save(tmp_path / f"images/{number}.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"wall_seconds": 0}, "upload.time"),
        ({"cpu_seconds": 1}, "upload.time"),
        ({"memory_bytes": 360 * MIB}, "upload.memory"),
        ({"memory_bytes": 40 * MIB}, "upload.crashed"),
    ],
)
def test_a_limit_that_is_reached_is_an_error_with_a_code(limit, code, photos, monkeypatch):
    monkeypatch.setitem(children.CHILDREN, "preflight", CHILDREN["preflight"]._replace(**limit))
    words = [str(photos)] if "cpu_seconds" not in limit else [str(many(photos))]
    found = ask("preflight", words)
    assert not found["ok"]
    assert found["error"]["code"] == code


def many(photos: Path) -> Path:
    """The same with forty links to them."""
    for number in range(40):
        (photos / f"images/link{number}.jpg").symlink_to(photos / "images/0.jpg")
    return photos
