# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Names, shapes and types of every tensor at published sizes, exactly."""

import gzip
import json

import pytest
import torch

from photocast.nets.conditions import ModulatedMultiViewCond, ModulatedSLATMultiViewCond
from photocast.nets.dinov2 import vit_named
from photocast.nets.gaussian_decoder import SLatGaussianDecoder
from photocast.nets.latent_flow import SLatFlowModel
from photocast.nets.mesh_decoder import SLatMeshDecoder
from photocast.nets.structure_decoder import SparseStructureDecoder
from photocast.nets.structure_flow import SparseStructureFlowModel
from photocast.nets.vggt import VGGT

# arguments of the original that only say what is built in here
BUILT_IN = {"use_checkpoint": False, "use_rope": False, "share_mod": False}
MODULES = {
    "sparse_structure_flow_model": SparseStructureFlowModel,
    "sparse_structure_decoder": SparseStructureDecoder,
    "slat_flow_model": SLatFlowModel,
    "slat_decoder_gs": SLatGaussianDecoder,
    "slat_decoder_mesh": SLatMeshDecoder,
    "sparse_structure_vggt_cond": ModulatedMultiViewCond,
    "slat_vggt_cond": lambda **args: ModulatedSLATMultiViewCond(**args, use_fp16=True),
    "slat_vggt_cond (official repository)": ModulatedSLATMultiViewCond,
    "vggt": VGGT,
    "image_cond_model": lambda **_: vit_named("dinov2_vitl14_reg", 518),
}
# never built, since they are never used
NOT_BUILT = {"vggt": ("depth_head.", "track_head."), "slat_vggt_cond": ("fuse_blocks.",)}


@pytest.fixture
def manifest(golden_folder):
    with gzip.open(golden_folder / "manifest_published.json.gz") as file:
        return json.load(file)["modules"]


def test_every_module_of_the_manifest_is_built(manifest):
    assert set(manifest) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_names_shapes_and_types_are_the_published_ones(name, manifest):
    args = {k: v for k, v in manifest[name]["args"].items() if k not in BUILT_IN}
    given = {k: v for k, v in manifest[name]["args"].items() if k in BUILT_IN}
    assert given == {k: v for k, v in BUILT_IN.items() if k in given}
    with torch.device("meta"):
        module = MODULES[name](**args)
    parameters = dict(module.named_parameters())
    ours = {
        key: (list(value.shape), str(value.dtype).removeprefix("torch."), kind)
        for key, value in module.state_dict().items()
        for kind in ["parameter" if key in parameters else "buffer"]
    }
    absent = NOT_BUILT.get(name, ())
    assert set(absent) <= set(manifest[name]["unused_prefixes"])
    published = {
        key: (shape, dtype, kind)
        for key, shape, dtype, kind in manifest[name]["tensors"]
        if not key.startswith(absent)
    }
    assert ours == published
