# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Reference cases recorded from the original code: what went in, what came out, and how near to be.

A test marked ``golden("object", ...)`` runs on every case of ``cases.json`` that was recorded from
one of these objects; ``with_array`` narrows that to cases that hold such an array. Arguments,
seeds and tolerances come from the folder, so that another one of the same layout works as well.
"""

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
GOLDENS = Path(
    os.environ.get("PHOTOCAST_GOLDENS", ROOT / ".." / "shared" / "data" / "reconviagen_goldens")
)
ABSENT = f"no reference cases in {GOLDENS} (set PHOTOCAST_GOLDENS)"


def all_cases() -> list[dict[str, Any]]:
    """Every entry of ``cases.json``; none where the folder is absent."""
    table = GOLDENS / "cases.json"
    return json.loads(table.read_text(encoding="utf-8"))["cases"] if table.is_file() else []


def seeded_values(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """The value of a parameter, which follows from its name: the weights rule of the folder."""
    bits = np.random.PCG64(zlib.crc32(f"{seed}:{name}".encode()))
    noise = np.random.Generator(bits).standard_normal(shape, dtype=np.float32) * np.float32(0.05)
    leaf = name.rpartition(".")[2]
    is_scale = leaf == "gamma" or (leaf == "weight" and len(shape) == 1)
    return noise + np.float32(1) if is_scale else noise


class Case:
    """One reference case."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry = entry
        self.name: str = entry["name"]
        self.args: dict[str, Any] = entry["args"]
        self.repository: str = entry["upstream"]["repository"]
        with np.load(GOLDENS / entry["file"], allow_pickle=False) as arrays:
            self.arrays = dict(arrays)

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def __getitem__(self, name: str) -> Tensor:
        """An array by its full name, such as ``in_x``."""
        return torch.from_numpy(self.arrays[name].copy())

    def inputs(self, start: str) -> list[Tensor]:
        """Arrays ``start0``, ``start1``, and so on."""
        return [self[f"{start}{i}"] for i in range(100) if f"{start}{i}" in self]

    def count(self, start: str) -> int:
        """How many arrays ``start0``, ``start1``, and so on there are."""
        return sum(f"{start}{i}" in self for i in range(1000))

    def fill(self, module: nn.Module, unused: tuple[str, ...] = ()) -> nn.Module:
        """Give a module the weights of the case; its names and shapes must be exactly those.

        Args:
            module: Takes the weights.
            unused: Beginnings of names that the original has and never reads.
        """
        seed = self.entry["seed"]
        values = {name: seeded_values(name, tuple(shape), seed) for name, shape in self.weights()}
        crc = 0
        for name in sorted(values):
            crc = zlib.crc32(np.ascontiguousarray(values[name], dtype="<f4").tobytes(), crc)
        assert crc == self.entry["weights_crc32"], "the random stream of NumPy has changed"
        wanted = {k: torch.from_numpy(v) for k, v in values.items() if not k.startswith(unused)}
        ours = {name: tuple(p.shape) for name, p in module.named_parameters()}
        assert ours == {name: tuple(value.shape) for name, value in wanted.items()}
        module.load_state_dict(wanted, strict=False)
        return module.eval()

    def weights(self) -> list[tuple[str, list[int]]]:
        """Names and shapes of the parameters."""
        return self.entry.get("weights", [])

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        """Compare what submodules give the first time with the intermediate arrays."""
        seen: dict[str, Tensor] = {}
        wanted = [item["name"] for item in self.entry.get("intermediates", [])]
        hooks = []
        for path, part in module.named_modules():
            if (name := "mid_" + path.replace(".", "_")) in wanted:

                def keep(_module, _inputs, output, name=name):
                    seen.setdefault(name, output[0] if isinstance(output, tuple) else output)

                hooks.append(part.register_forward_hook(keep))
        yield
        for hook in hooks:
            hook.remove()
        assert set(seen) == set(wanted)
        for name in wanted:
            self.compare(name, seen[name].reshape(self.arrays[name].shape))

    def check(self, **outputs: Tensor | np.ndarray) -> None:
        """Compare all outputs of the case; leaving one out is a failure."""
        wanted = {item["name"] for item in self.entry["outputs"]}
        assert {f"out_{name}" for name in outputs} == wanted
        for name, value in outputs.items():
            self.compare(f"out_{name}", value)

    def compare(self, name: str, value: Tensor | np.ndarray) -> None:
        """Hold one array to the tolerance of the case."""
        golden = self.arrays[name]
        ours = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
        assert ours.shape == golden.shape, name
        rule = self.entry["tolerance"] | self.entry.get("tolerance_overrides", {}).get(name, {})
        share = rule.get("min_fraction_within")
        if golden.dtype.kind in "iub" and share is None:
            np.testing.assert_array_equal(ours, golden, err_msg=name)
            return
        if ours.size == 0:
            return
        error = np.abs(ours.astype(np.float64) - golden.astype(np.float64))
        limit = rule["atol"] + rule["rtol"] * np.abs(golden.astype(np.float64))
        if share is not None:
            within = float((error <= limit).mean())
            self._note(name, within=within, needed=share)
            assert within >= share, f"{name}: {within:.5f} of it within {rule['atol']}"
            return
        worst = np.max(np.where(error == 0, 0, error / np.maximum(limit, 1e-300)))
        self._note(name, worst_error=float(error.max()), of_tolerance=float(worst))
        assert worst <= 1, f"{name}: off by up to {error.max():.3g}, {worst:.2f} of the tolerance"

    def _note(self, array: str, **numbers: float) -> None:
        """Add a line to the file that ``PHOTOCAST_GOLDEN_REPORT`` names, if it names one."""
        if path := os.environ.get("PHOTOCAST_GOLDEN_REPORT"):
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"case": self.name, "array": array, **numbers}) + "\n")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a golden test its cases."""
    mark = metafunc.definition.get_closest_marker("golden")
    if mark is None:
        return
    array = mark.kwargs.get("with_array")
    chosen = [
        entry
        for entry in all_cases()
        if entry["upstream"]["object"] in mark.args
        and (array is None or array in {a["name"] for a in entry["inputs"] + entry["outputs"]})
    ]
    skipped = [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT))]
    metafunc.parametrize(
        "entry", chosen or skipped, ids=[entry["name"] for entry in chosen] or ["absent"]
    )


@pytest.fixture
def case(entry: dict[str, Any]) -> Iterator[Case]:
    """The case itself; no gradients are kept while it runs."""
    with torch.no_grad():
        yield Case(entry)


@pytest.fixture
def golden_cases() -> list[dict[str, Any]]:
    """All entries, or a skip with the reason."""
    if not (cases := all_cases()):
        pytest.skip(ABSENT)
    return cases


@pytest.fixture
def golden_folder() -> Path:
    """Where the reference cases lie, or a skip with the reason."""
    if not GOLDENS.is_dir():
        pytest.skip(ABSENT)
    return GOLDENS
