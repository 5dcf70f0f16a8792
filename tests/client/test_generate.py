# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A few photos go over HTTP to ``generate``, and its report is looked at in a browser.

The weights are a tiny seeded test model: what it makes means nothing, and everybody is told.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photocast import Client
from photocast.formats.meshes import load_mesh
from photocast.nets.seeded import write_test_weights

from .conftest import PATIENT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three of a disc on nothing."""
    folder = tmp_path_factory.mktemp("photos")
    y, x = np.mgrid[0:160, 0:192]
    for number in range(3):
        inside = (x - 80 - 10 * number) ** 2 + (y - 80) ** 2 < 3600
        pixels = np.zeros((160, 192, 4), np.uint8)
        pixels[inside] = [60 * number, 200, 255 - 60 * number, 255]
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def shown_by_a_browser(url: str, profile: Path) -> str:
    """The page after its scripts have run."""
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
    ]
    done = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", url],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return done.stdout.decode()


def test_photos_become_a_mesh_and_its_report_says_that_it_means_nothing(
    own_service, photos, tmp_path
):
    served = own_service(WEIGHTS=str(write_test_weights(tmp_path / "weights").root))
    with Client(served.url, retry=PATIENT) as client:
        job = client.submit(photos, options={"engine": "auto", "preset": "draft"})
        stages = {event.data.get("stage") for event in client.watch(job.id)}
        ended = client.wait(job.id, timeout=240)
        assert ended.state == "succeeded"
        assert {"look", "structure", "details", "mesh", "place"} <= stages
        client.fetch(job.id, tmp_path / "result")
    assert len(load_mesh(tmp_path / "result" / "mesh.glb").faces) > 100
    assert (tmp_path / "result" / "gaussians.ply").read_bytes().startswith(b"ply")
    if CHROMIUM is None:
        pytest.skip("the report was not looked at: no Chromium (Debian: chromium)")
    page = shown_by_a_browser(f"{served.url}/v1/jobs/{job.id}/report.html", tmp_path / "profile")
    assert "this result means nothing" in page
    assert "None of the 3 photos could be placed" in page
