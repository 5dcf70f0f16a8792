# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights are tried on known photos: the same comes out, other weights are told apart."""

import json
import shutil

import pytest

from photocast.cli.boundary import run
from photocast.errors import WeightsError
from photocast.known_photos import EXPECTED, compare, read_expected, write_expected
from photocast.nets.seeded import write_test_weights


def verify(folder, *words, capsys):
    """Exit code, and what was printed as JSON or complained."""
    code = run(["weights", "verify", "--folder", str(folder), "--device", "cpu", "--quiet", *words])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out.startswith("{") else said.err


def test_weights_make_the_same_again_and_changed_ones_do_not(tmp_path, capsys):
    folder = write_test_weights(tmp_path / "weights").root
    code, said = verify(folder, "--run", capsys=capsys)
    assert code != 0
    assert "weights.no_expectation" in said
    words = ("--record", "--json", "--out", str(tmp_path / "a.glb"))
    code, said = verify(folder, *words, capsys=capsys)
    assert code == 0
    assert said["ran"]["where"] == "cpu float32"
    assert said["ran"]["measured"]["voxels"] > 0
    assert (tmp_path / "a.glb").stat().st_size > 1000
    code, again = verify(folder, "--run", "--json", capsys=capsys)
    assert (code, again["ran"]) == (0, said["ran"])
    other = write_test_weights(tmp_path / "other", seed=1).root
    shutil.copy(folder / EXPECTED, other)
    code, said = verify(other, "--run", capsys=capsys)
    assert code != 0
    assert "weights.differs" in said


def test_what_is_expected_of_other_devices_stays(tmp_path):
    path = tmp_path / "expected.json"
    assert read_expected(path) == {}
    write_expected(path, "cpu float32", {"voxels": 10.0})
    write_expected(path, "cuda bfloat16", {"voxels": 11.0})
    assert read_expected(path)["cpu float32"] == {"voxels": 10.0}
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(WeightsError, match="damaged"):
        read_expected(path)


def test_numbers_are_compared_within_what_rounding_explains():
    expected = {"voxels": 1000.0, "area": 2.0}
    assert compare(expected, {"voxels": 1025.0, "area": 2.01}) == []
    assert len(compare(expected, {"voxels": 1040.0, "area": 2.02})) == 2
    assert len(compare(expected, {"voxels": float("nan")})) == 2, "missing, and no number"
