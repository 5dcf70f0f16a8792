# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The engine ``generate`` from photos to a painted mesh, at published sizes with random weights.

    python benchmarks/generate_run.py --views 8 --voxels 20000 [--low-memory] [--keep FOLDER]

Writes a folder of weights first, 4.7 GB in half precision, unless ``--keep`` names one that is
there already. Photos are of the built-in sample object. Random weights make no object, so voxels
are injected, a ball's shell, and its cubes are all but closed. Prints JSON: seconds and peak of
GPU memory of each stage, and of the whole run, files and decoding of photos included. What is
measured is the engine's own code; nothing it makes means anything.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from generate_gpu import COLORS, DECODER, FLOW, GAUSSIANS, shell

from photocast.config import SampleConfig, generate_preset
from photocast.data import Picture
from photocast.engines.generate import Generate, engine
from photocast.nets import seeded
from photocast.nets.tensor_file import write_tensors
from photocast.nets.weights import NETWORKS, WeightFolder
from photocast.progress import silent
from photocast.stages.pictures import decode_pictures, find_pictures
from photocast.stages.sample import make_sample

CONDITION = {"channels": 1024, "ctx_channels": 3072}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "sparse_structure_flow_model": ("SparseStructureFlowModel", {"resolution": 16, **FLOW}),
    "sparse_structure_decoder": (
        "SparseStructureDecoder",
        {
            "out_channels": 1,
            "latent_channels": 8,
            "num_res_blocks": 2,
            "num_res_blocks_middle": 2,
            "channels": [512, 128, 32],
        },
    ),
    "sparse_structure_vggt_cond": (
        "ModulatedMultiViewCond",
        {**CONDITION, "num_init_tokens": 4096},
    ),
    "slat_flow_model": ("SLatFlowModel", {"resolution": 64, **FLOW}),
    "slat_vggt_cond": ("ModulatedSLATMultiViewCond", CONDITION),
    "slat_decoder_gs": (
        "SLatGaussianDecoder",
        {"resolution": 64, **DECODER, "representation_config": GAUSSIANS},
    ),
    "slat_decoder_mesh": (
        "SLatMeshDecoder",
        {"resolution": 64, **DECODER, "representation_config": COLORS},
    ),
}


def write_weights(root: Path, device: torch.device) -> None:
    """Random tensors under the published names."""
    with patch.object(seeded, "_MODELS", MODELS), patch.object(seeded, "_seeded", _nothing):
        folder = seeded.write_test_weights(root)
    for path in (root / "vggt-object-v0-1", root / "dinov2"):
        for settings in path.glob("*.json"):
            settings.unlink()  # published ones are the defaults
    for name in NETWORKS:
        files = folder.network(name)
        tensors = {}
        for key, value in files.build().named_parameters():
            leaf = key.rpartition(".")[2]
            scales = leaf == "gamma" or (leaf == "weight" and value.ndim == 1)
            made = torch.randn(value.shape, device=device) * 0.02 + scales
            tensors[key] = made.half().cpu()
        if name == "slat_decoder_mesh":
            tensors["out_layer.bias"][:8] = -0.5  # all cubes lie inside: a surface around them
        write_tensors(files.tensors, tensors, note=seeded.TEST_NOTE)


def _nothing(*_: Any) -> dict[str, torch.Tensor]:
    return {}


class Stages:
    """Listens to the engine's progress."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.rows: dict[str, dict[str, float]] = {}
        self._name, self._start = "", 0.0

    def __call__(self, stage: str, done: int, total: int, **_: Any) -> None:
        if stage == self._name:
            return
        self.close()
        self._name, self._start = stage, time.perf_counter()

    def close(self) -> None:
        """Write down what the stage took, up to now."""
        if self.cuda:
            torch.cuda.synchronize()
        if self._name:
            row = self.rows.setdefault(self._name, {"seconds": 0.0})
            row["seconds"] = round(row["seconds"] + time.perf_counter() - self._start, 2)
            if self.cuda:
                peak = round(torch.cuda.max_memory_allocated() / 1e9, 2)
                row["peak_gb"] = max(peak, row.get("peak_gb", 0.0))
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()


def photos(count: int, device: torch.device) -> tuple[Picture, ...]:
    """Of the sample object, with masks."""
    config = SampleConfig(view_count=count, test_view_count=0, size=768, sample_count=8)
    with tempfile.TemporaryDirectory() as folder:
        make_sample(Path(folder), config, device=device, progress=silent)
        return decode_pictures(find_pictures(Path(folder)), silent)


def measure(views: int, voxels: int, weights: Path, device: torch.device, low: bool) -> Any:
    """Run once."""
    config = replace(
        generate_preset("standard"),
        weights=str(weights),
        structure_steps=25,
        detail_steps=25,
        low_memory=low,
        device=device.type,
    )
    pictures = photos(views, device)
    real = engine.sample_structure
    side = WeightFolder(weights).network("slat_flow_model").args["resolution"]
    injected = shell(voxels, int(side), device)

    def structure(*args: Any) -> Any:
        with patch("photocast.engines.generate.sampling.occupied", lambda _: injected.coords):
            return real(*args)

    stages = Stages(device)
    start = time.perf_counter()
    with patch.object(engine, "sample_structure", structure):
        made = Generate().run(pictures, config, stages)
    stages.close()
    return {
        "views": views,
        "voxels": made.scene.facts["voxels"],
        "low_memory": low,
        "seconds": round(time.perf_counter() - start, 2),
        "peak_gb": max((row.get("peak_gb", 0.0) for row in stages.rows.values()), default=0.0),
        "faces_decoded": made.scene.facts["faces_decoded"],
        "stages": stages.rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, nargs="+", default=[8])
    parser.add_argument("--voxels", type=int, default=20_000)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--low-memory", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the weights")
    args = parser.parse_args()
    device = torch.device(args.device)
    with tempfile.TemporaryDirectory() as temporary:
        weights = args.keep or Path(temporary)
        if not weights.is_dir() or not any(weights.iterdir()):
            write_weights(weights, device)
        rows = [measure(v, args.voxels, weights, device, args.low_memory) for v in args.views]
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else None
    print(json.dumps({"gpu": gpu, "torch": torch.__version__, "runs": rows}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
