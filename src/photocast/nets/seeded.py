# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A tiny model with seeded weights, to drive the engine in tests. What it makes means nothing.

The folder has the layout of the published weights, so everything from reading the files on is the
same code. A few values are set so that a run ends with a small closed block.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from photocast.nets.tensor_file import write_tensors
from photocast.nets.weights import (
    DINO_FOLDER,
    NETWORKS,
    PIPELINE,
    VGGT_FOLDER,
    NetworkFiles,
    WeightFolder,
)

__all__ = ["TEST_NOTE", "write_test_weights"]

TEST_NOTE = "TEST MODEL: seeded random weights. What it makes means nothing."

_IMAGE, _VGGT, _DINO, _MODEL = 56, 32, 48, 64
_FLOW = {
    "in_channels": 8,
    "out_channels": 8,
    "model_channels": _MODEL,
    "cond_channels": _DINO,
    "num_blocks": 2,
    "num_heads": 4,
    "qk_rms_norm": True,
}
_CONDITION = {"channels": _DINO, "ctx_channels": 2 * _VGGT + _DINO}
_DECODER = {"resolution": 8, "latent_channels": 8, "num_blocks": 2, "num_heads": 4}
_GAUSSIANS = {
    "lr": {"_xyz": 1.0, "_features_dc": 1.0, "_opacity": 1.0, "_scaling": 1.0, "_rotation": 0.1},
    "perturb_offset": True,
    "voxel_size": 1.5,
    "num_gaussians": 4,
    "2d_filter_kernel_size": 0.1,
    "3d_filter_kernel_size": 9e-4,
    "scaling_bias": 4e-3,
    "opacity_bias": 0.1,
    "scaling_activation": "softplus",
}
_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "sparse_structure_flow_model": ("SparseStructureFlowModel", {"resolution": 2, **_FLOW}),
    "sparse_structure_decoder": (
        "SparseStructureDecoder",
        {
            "out_channels": 1,
            "latent_channels": 8,
            "num_res_blocks": 1,
            "num_res_blocks_middle": 1,
            "channels": [32, 16, 8],
        },
    ),
    "sparse_structure_vggt_cond": (
        "ModulatedMultiViewCond",
        {**_CONDITION, "num_heads": 4, "num_init_tokens": 16},
    ),
    "slat_flow_model": (
        "SLatFlowModel",
        {"resolution": 8, "patch_size": 2, "io_block_channels": [16], **_FLOW},
    ),
    "slat_vggt_cond": ("ModulatedSLATMultiViewCond", _CONDITION),
    "slat_decoder_gs": (
        "SLatGaussianDecoder",
        {**_DECODER, "model_channels": 48, "representation_config": _GAUSSIANS},
    ),
    "slat_decoder_mesh": (
        "SLatMeshDecoder",
        {**_DECODER, "model_channels": 256, "representation_config": {"use_color": True}},
    ),
}
_SAMPLER = {
    "name": "FlowEulerGuidanceIntervalSampler",
    "args": {"sigma_min": 1e-5},
    "params": {"steps": 4, "cfg_strength": 3.0, "cfg_interval": [0.5, 1.0], "rescale_t": 3.0},
}


def write_test_weights(root: Path, seed: int = 0) -> WeightFolder:
    """Write the folder; equal seeds give equal files."""
    for name, (kind, args) in _MODELS.items():
        _write_json(root / PIPELINE / "ckpts" / f"{name}.json", {"name": kind, "args": args})
    _write_json(
        root / PIPELINE / "pipeline.json",
        {
            "name": "TrellisVGGTTo3DPipeline",
            "args": {
                "test_weights": True,
                "note": TEST_NOTE,
                "models": {name: f"ckpts/{name}" for name in _MODELS},
                "sparse_structure_sampler": _SAMPLER,
                "slat_sampler": _SAMPLER,
                "slat_normalization": {"mean": [0.0] * 8, "std": [1.0] * 8},
                "image_cond_model": "dinov2_vitl14_reg",
            },
        },
    )
    vggt = {"img_size": _IMAGE, "embed_dim": _VGGT, "num_heads": 2, "patch_embed": "conv"}
    vggt |= {"point_features": 32, "point_channels": [16, 16, 16, 16]}
    _write_json(root / VGGT_FOLDER / "config.json", vggt)
    dino = {"img_size": _IMAGE, "embed_dim": _DINO, "depth": 2, "num_heads": 4}
    _write_json(root / DINO_FOLDER / "dinov2_vitl14_reg.json", dino)
    folder = WeightFolder(root)
    for name in NETWORKS:
        files = folder.network(name)
        write_tensors(files.tensors, _seeded(files, seed), note=TEST_NOTE)
    return folder


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def _seeded(files: NetworkFiles, seed: int) -> dict[str, Tensor]:
    """Small random numbers; around one for what scales."""
    module: nn.Module = files.build()
    tensors = {}
    for name, value in module.named_parameters():
        bits = np.random.PCG64(zlib.crc32(f"{seed}:{files.name}:{name}".encode()))
        noise = np.random.Generator(bits).standard_normal(tuple(value.shape), dtype=np.float32)
        leaf = name.rpartition(".")[2]
        scales = leaf == "gamma" or (leaf == "weight" and value.ndim == 1)
        tensors[name] = torch.from_numpy(noise * 0.05 + scales)
    if files.name == "sparse_structure_decoder":
        _occupy_the_inside(tensors)
    if files.name == "slat_decoder_mesh":
        tensors["out_layer.bias"][:8] = -0.5  # all cubes lie inside: the surface encloses them
    return tensors


def _occupy_the_inside(tensors: dict[str, Tensor]) -> None:
    """Make logits count the neighbours inside the grid: above zero but for the outermost voxels."""
    tensors["out_layer.0.weight"] *= 0.02
    tensors["out_layer.0.bias"][:] = 1.0
    level = float(torch.nn.functional.silu(torch.tensor(1.0)))
    weight = tensors["out_layer.2.weight"]
    weight[:] = 1 / weight[0, :, 0, 0, 0].numel()
    tensors["out_layer.2.bias"][:] = -22.0 * level
