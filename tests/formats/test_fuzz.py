# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files end in one sentence: those that once did not, and a few fresh ones each time.

``python benchmarks/fuzz_readers.py`` tries many more.
"""

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from photocast.errors import PhotocastError

ROOT = Path(__file__).parents[2]
CORPUS = sorted(p for p in (Path(__file__).parent / "corpus").glob("*/*") if p.is_dir())


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "photocast_fuzz_readers", ROOT / "benchmarks" / "fuzz_readers.py"
    )
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_stays_mended(fuzzer, tmp_path, case):
    target = {t.name: t for t in fuzzer.targets(tmp_path)}[case.parent.name]
    damaged = {
        path.relative_to(case).as_posix(): path.read_bytes()
        for path in case.rglob("*")
        if path.is_file()
    }
    alike = max(target.folders, key=lambda files: len(set(files) & set(damaged)))
    for name, data in {**alike, **damaged}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with warnings.catch_warnings(), fuzzer.alarmed():
        warnings.simplefilter("error")
        outcome = fuzzer.judge(target, tmp_path / next(iter(alike)))
    assert not outcome.startswith("!"), outcome


def test_the_corpus_is_small_and_of_known_readers(fuzzer, tmp_path):
    assert {case.parent.name for case in CORPUS} <= {t.name for t in fuzzer.targets(tmp_path)}
    files = [path for case in CORPUS for path in case.rglob("*") if path.is_file()]
    assert files
    assert max(path.stat().st_size for path in files) < 8192


def test_good_files_are_read_by_every_reader(fuzzer, tmp_path):
    for target in fuzzer.targets(tmp_path):
        for number, files in enumerate(target.folders):
            folder = tmp_path / target.name / str(number)
            for name, data in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            assert target.read(folder / next(iter(files))) is not None


def test_the_fuzzer_sees_a_crash_a_hang_and_a_lie(fuzzer, tmp_path, monkeypatch):
    def fail(path: Path) -> None:
        raise IndexError("seven")

    def boast(path: Path) -> None:
        raise PhotocastError("two\nlines", code="x")

    def spin(path: Path) -> None:
        while True:
            pass

    monkeypatch.setattr(fuzzer, "MAX_SECONDS", 0.2)
    with fuzzer.alarmed():
        for read, words in ((fail, "IndexError"), (boast, "message"), (spin, "more than")):
            outcome = fuzzer.judge(fuzzer.Target("x", [], read), tmp_path)
            assert outcome.startswith("!")
            assert words in outcome


def test_a_child_that_dies_is_a_finding_and_the_batch_goes_on(fuzzer, monkeypatch):
    outcomes = fuzzer.run_batch(fuzzer.Batch("stl", 0, 6, 0), die_at=3)
    assert [outcome.startswith("!") for outcome in outcomes.values()] == [0, 0, 0, 1, 0, 0]


@pytest.mark.timeout(120)
def test_fresh_damage_finds_nothing(fuzzer):
    result = fuzzer.fuzz(1200, seed=20)
    assert result["findings"] == []
    assert result["inputs"] >= 1200
    # The damage is neither so light nor so heavy that one outcome is all there is.
    assert all("read" in counts and len(counts) > 1 for counts in result["outcomes"].values())
