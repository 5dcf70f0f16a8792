# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Reconstruct and score one capture as a user would; prints JSON.

    python benchmarks/captures.py sample
    python benchmarks/captures.py spot --data ../shared/data --save

Both commands run as processes of their own in an empty folder. ``--save`` keeps the result as
``benchmarks/results/ROW.json`` (``ROW_cuda.json`` on a GPU), from which ``table.py`` makes the
README's table. ``--cold``
compiles the kernels anew, as the first run after an installation does.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Target:
    """A limit on one measured number."""

    key: str
    """Of the numbers that ``measure`` collects."""
    rule: str
    """``<=``, ``>=`` or ``=``."""
    limit: float

    def judge(self, numbers: Mapping[str, float | None]) -> dict[str, Any]:
        """Compare; a number that was not measured misses its target."""
        value = numbers.get(self.key)
        met = (
            value is not None
            and {
                "<=": value <= self.limit,
                ">=": value >= self.limit,
                "=": value == self.limit,
            }[self.rule]
        )
        return {"limit": f"{self.rule} {self.limit:g}", "value": value, "met": met}


@dataclass(frozen=True)
class Row:
    """One capture and what it must show."""

    targets: tuple[Target, ...]
    holdout: int | None = None
    """Every Nth photo is kept for the score, where the capture has no test photos."""
    in_repository: bool = False
    relit: bool = False
    """The capture has photos under another light and a true base colour; see ``spot_truth.py``."""


ROWS = {
    "sample": Row(
        (
            Target("seconds_with_evaluate", "<=", 120),
            Target("psnr_white", ">=", 28),
            Target("watertight", "=", 1),
            Target("components", "=", 1),
        ),
        in_repository=True,
    ),
    "spot": Row(
        (
            Target("seconds", "<=", 240),
            Target("peak_rss_mb", "<=", 4000),
            Target("psnr_white", ">=", 30),
            Target("chamfer", "<=", 0.005),
            Target("f_score_one_percent", ">=", 0.97),
            Target("relit_psnr_white", ">=", 28),
            Target("albedo_psnr", ">=", 25),
        ),
        relit=True,
    ),
    "dino_ring": Row((Target("seconds", "<=", 240), Target("mask_iou", ">=", 0.97)), holdout=8),
    "lego_400": Row((Target("seconds", "<=", 600), Target("psnr_white", ">=", 25))),
    "gold_cape": Row((Target("seconds", "<=", 600), Target("psnr_inside", ">=", 21)), holdout=8),
}


GPU_TARGETS = {
    "spot": (
        Target("seconds_to_mesh", "<=", 10),
        Target("psnr_white", ">=", 35),
        Target("chamfer", "<=", 0.0015),
        Target("relit_psnr_white", ">=", 28),
        Target("albedo_psnr", ">=", 25),
    ),
    "dino_ring": (Target("seconds_to_mesh", "<=", 15), Target("mask_iou", ">=", 0.985)),
    "lego_400": (Target("seconds_to_mesh", "<=", 20), Target("psnr_white", ">=", 30)),
    "gold_cape": (Target("seconds_to_mesh", "<=", 30), Target("psnr_inside", ">=", 25)),
}
"""On one data-centre GPU, from the first file read to ``mesh.glb`` written."""


@dataclass(frozen=True)
class Finished:
    """What a process cost and said."""

    seconds: float
    peak_rss_mb: float
    output: str


def timed(arguments: Sequence[str], environment: Mapping[str, str]) -> Finished:
    """Run ``python -m photocast`` to its end.

    Raises:
        SystemExit: It failed; its own message stands on standard error.
    """
    command = [sys.executable, "-m", "photocast", *arguments]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env=dict(environment))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {said}")
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    return Finished(round(seconds, 1), round(usage.ru_maxrss * unit / 1e6), said)


def measure(name: str, capture: Path, *, device: str, cold: bool) -> dict[str, Any]:
    """Reconstruct, evaluate, and compare with the targets."""
    row = ROWS[name]
    split = [] if row.holdout is None else ["--holdout", str(row.holdout)]
    common = ["--device", device, "--quiet"]
    with tempfile.TemporaryDirectory(prefix="photocast-benchmark-") as folder:
        out = Path(folder) / "result"
        environment = dict(os.environ)
        if cold:
            environment["WARP_CACHE_PATH"] = str(Path(folder) / "kernels")
        made = timed(["reconstruct", str(capture), "--out", str(out), *split, *common], environment)
        truth = relit_options(capture, Path(folder) / "truth") if row.relit else []
        scored = timed(
            ["evaluate", str(out), "--capture", str(capture), "--json", *split, *truth, *common],
            environment,
        )
        run = json.loads((out / "run.json").read_text(encoding="utf-8"))
        checks = json.loads((out / "report.json").read_text(encoding="utf-8"))["checks"]
    found = json.loads(scored.output)
    scores = {key: value for key, value in found["mean"].items() if key != "name"}
    for part in ("mesh", "relit", "albedo"):
        scores |= found[part] or {}
    facts = {check["name"]: check["value"] for check in checks}
    scores |= {key: int(facts[f"mesh.{key}"]) for key in ("watertight", "components", "faces")}
    total = round(made.seconds + scored.seconds, 1)
    numbers = {
        **scores,
        "seconds": made.seconds,
        "seconds_with_evaluate": total,
        "peak_rss_mb": made.peak_rss_mb,
        "seconds_to_mesh": run["seconds_to_mesh"],
    }
    targets = row.targets if device == "cpu" else GPU_TARGETS.get(name, row.targets)
    return {
        "row": name,
        "commit": commit(),
        "machine": machine(run["machine"]["gpu"] if device != "cpu" else None),
        "date": date.today().isoformat(),
        "versions": run["versions"],
        "cold_kernels": cold,
        "views_scored": len(found["views"]),
        "seconds": made.seconds,
        "seconds_with_evaluate": total,
        "peak_rss_mb": made.peak_rss_mb,
        "stage_seconds": run["seconds"],
        "scores": scores,
        "seconds_to_mesh": run["seconds_to_mesh"],
        "targets": {target.key: target.judge(numbers) for target in targets},
    }


def relit_options(capture: Path, truth: Path) -> list[str]:
    """Options of ``evaluate`` for base colour and the other light of ``spot``."""
    maker = ROOT / "benchmarks" / "spot_truth.py"
    subprocess.run(
        [sys.executable, str(maker), str(capture), str(truth)], check=True, stdout=sys.stderr
    )
    return [
        *("--albedo", str(truth / "mesh.glb")),
        *("--relit", str(capture / "transforms_relit.json")),
        *("--light", str(capture / "environment_relit.exr")),
        *("--light-convention", "mitsuba"),
    ]


def commit() -> str:
    """Short name of the commit, with ``-dirty`` if tracked files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def machine(gpu: str | None) -> dict[str, Any]:
    """What it ran on."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": cores,
        "gpu": gpu,
        "os": platform.platform(terse=True),
    }


def main() -> None:
    """Measure the row named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("row", choices=ROWS)
    default = os.environ.get("PHOTOCAST_DATA", ROOT / ".." / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the captures")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--cold", action="store_true", help="compile the kernels anew")
    parser.add_argument("--save", action="store_true", help="keep as benchmarks/results/ROW.json")
    options = parser.parse_args()
    folder = ROOT / "examples" if ROWS[options.row].in_repository else options.data
    capture = (folder / options.row).resolve()
    if not capture.is_dir():
        parser.error(f"{capture} is not there; name the folder of the captures with --data")
    result = measure(options.row, capture, device=options.device, cold=options.cold)
    text = json.dumps(result, indent=2) + "\n"
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        name = options.row if options.device == "cpu" else f"{options.row}_{options.device}"
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
