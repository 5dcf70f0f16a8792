# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Charts by xatlas keep every promise of our own; without it, or late, our own are taken."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from photocast.config import ReconstructConfig, UnwrapConfig
from photocast.deadline import Deadline, Paced
from photocast.errors import ConfigError
from photocast.progress import silent
from photocast.stages import xatlas_charts
from photocast.stages.unwrap import unwrap
from photocast.stages.validate import measure

_spec = importlib.util.spec_from_file_location(
    "photocast_test_unwrap", Path(__file__).with_name("test_unwrap.py")
)
ours = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ours)

XATLAS = UnwrapConfig(size=512, padding=4, atlas="xatlas")
needs_xatlas = pytest.mark.skipif(
    importlib.util.find_spec("xatlas") is None, reason="xatlas is not installed (extra xatlas)"
)


def facts(mesh):
    return {check.name: check.value for check in measure(mesh, with_thickness=False).checks}


@needs_xatlas
@pytest.mark.parametrize("name", ours.SHAPES)
def test_no_texel_belongs_to_two_faces_and_charts_keep_their_distance(name):
    mesh, notes = ours.SHAPES[name](), []
    result = unwrap(mesh, XATLAS, notes=notes)
    assert len(notes) == (name == "a face without area"), notes  # it gives nothing for that
    np.testing.assert_array_equal(result.faces, mesh.faces)
    count, owner = ours.claims(result, 512)
    assert count.max() <= 1
    assert (ours.signed_areas(result) < 0).all(), "every face, and none mirrored (v points down)"
    assert result.uvs.min() >= 0
    assert result.uvs.max() <= 1
    if name in ("cube", "moebius", "noisy"):
        assert ours.gap_between_charts(result, owner) >= 4


@needs_xatlas
@pytest.mark.parametrize("name", ["sphere", "torus", "noisy"])
def test_its_charts_stretch_less_and_use_about_as_much_of_the_map(name):
    own, other = (
        facts(unwrap(ours.SHAPES[name](), UnwrapConfig(size=512, atlas=atlas)))
        for atlas in ("own", "xatlas")
    )
    assert other["uv.stretch_p95"] < 1.25 < own["uv.stretch_p95"]
    assert other["uv.used"] > 0.8 * own["uv.used"]
    assert other["uv.overlap"] == own["uv.overlap"] == 0


@needs_xatlas
def test_texels_are_alike_in_size_over_the_surface():
    result = unwrap(ours.SHAPES["noisy"](), XATLAS)
    corners = result.vertices.astype(np.float64)[result.faces]
    sides = corners[:, 1:] - corners[:, :1]
    area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    density = np.sqrt(np.abs(ours.signed_areas(result)) / np.maximum(area, 1e-300))
    order = np.argsort(density)
    reached = np.cumsum(area[order]) / area.sum()
    low, middle, high = (density[order][np.searchsorted(reached, at)] for at in (0.02, 0.5, 0.98))
    assert low > 0.7 * middle
    assert high < 1.4 * middle


STAND_INS = {
    "raise ImportError": "xatlas is not installed: pip install 'photocast[xatlas]'",
    "import os; os.abort()": "xatlas failed",
    "import time; time.sleep(60)": "xatlas took more than 1 s and was stopped",
}


@pytest.mark.parametrize("code", STAND_INS)
def test_when_it_is_absent_crashes_or_hangs_our_own_charts_are_taken(code, tmp_path, monkeypatch):
    (tmp_path / "xatlas.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(xatlas_charts, "_SECONDS", 1.0)
    mesh, notes = ours.SHAPES["cube"](), []
    if "sleep" not in code:
        monkeypatch.setattr(xatlas_charts, "_SECONDS", 60.0)
    result = unwrap(mesh, XATLAS, notes=notes)
    (note,) = notes
    assert note.startswith("The UV map is our own, not that of xatlas: ")
    assert STAND_INS[code] in note
    own = unwrap(mesh, UnwrapConfig(size=512, padding=4))
    np.testing.assert_array_equal(result.uvs, own.uvs)


def test_a_run_of_limited_time_gives_it_a_quarter_of_what_is_left(tmp_path, monkeypatch):
    (tmp_path / "xatlas.py").write_text("import time; time.sleep(60)", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    notes = []
    unwrap(ours.SHAPES["cube"](), XATLAS, Paced(silent, Deadline(8.0)), notes=notes)
    assert "xatlas took more than 2 s" in notes[0]


def test_another_name_is_refused():
    for config in (UnwrapConfig, ReconstructConfig):
        with pytest.raises(ConfigError, match="own"):
            config(atlas="best")
