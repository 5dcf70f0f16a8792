# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Time and memory of the networks of ``generate`` at published sizes, with random weights.

    python benchmarks/generate_gpu.py --views 8 --voxels 20000

Random weights make no object, so voxels are injected: a shell of about the wanted number. Prints
JSON: seconds and peak memory of each stage, and how much slower a guided step is when written
plainly (float32, condition projected anew, unconditional pass through attention to zeros, tables
of neighbours made anew). First it compares bfloat16 and float32 on the device with float32 on the
CPU, on tiny networks.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from photocast.config import CompensationConfig, GenerateConfig
from photocast.data import Camera
from photocast.engines.generate.compensating import draw_latent
from photocast.engines.generate.networks import Networks, precision_for
from photocast.engines.generate.sampling import Latent, sampler_config
from photocast.engines.generate.views import see
from photocast.nets.compensation import compensate_views
from photocast.nets.conditions import (
    CONDITION_LAYERS,
    ModulatedMultiViewCond,
    ModulatedSLATMultiViewCond,
)
from photocast.nets.dinov2 import vit_named
from photocast.nets.flexicubes import extract_mesh
from photocast.nets.gaussian_decoder import SLatGaussianDecoder
from photocast.nets.latent_flow import SLatFlowModel
from photocast.nets.mesh_decoder import SLatMeshDecoder
from photocast.nets.photo_input import image_features
from photocast.nets.samplers import FlowState, sample
from photocast.nets.seeded import write_test_weights
from photocast.nets.structure_decoder import SparseStructureDecoder
from photocast.nets.structure_flow import SparseStructureFlowModel
from photocast.nets.vggt import VGGT
from photocast.nets.voxels import Voxels
from photocast.nets.weights import WeightFolder
from photocast.stages.place_targets import cameras_at

FLOW = {
    "in_channels": 8,
    "out_channels": 8,
    "model_channels": 1024,
    "cond_channels": 1024,
    "num_blocks": 24,
    "num_heads": 16,
    "qk_rms_norm": True,
}
DECODER = {"latent_channels": 8, "num_blocks": 12, "num_heads": 12, "model_channels": 768}
GAUSSIANS = {
    "lr": {"_xyz": 1.0, "_features_dc": 1.0, "_opacity": 1.0, "_scaling": 1.0, "_rotation": 0.1},
    "perturb_offset": True,
    "voxel_size": 1.5,
    "num_gaussians": 32,
    "3d_filter_kernel_size": 9e-4,
    "scaling_bias": 4e-3,
    "opacity_bias": 0.1,
    "scaling_activation": "softplus",
}
COLORS = {"use_color": True}
SMALL_FLOW = {**FLOW, "num_blocks": 2, "model_channels": 64, "num_heads": 4}
SMALL_DECODER = {**DECODER, "num_blocks": 2, "model_channels": 256, "num_heads": 4}


def build(make: Callable[[], Any], device: torch.device, dtype: torch.dtype) -> Any:
    """A network with random weights, made on the device."""
    with torch.device("meta"):
        module = make()
    module.to_empty(device=device)
    for name, value in module.state_dict().items():
        leaf = name.rpartition(".")[2]
        if leaf == "gamma" or (leaf == "weight" and value.ndim == 1):
            value.fill_(1.0)
        else:
            value.normal_(std=0.02)
    module.requires_grad_(False).eval().cast(dtype)
    return module


class Stages:
    """Seconds and peak memory by stage."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.rows: dict[str, dict[str, float]] = {}

    def run(self, name: str, work: Callable[[], Any], *, warm: Callable[[], Any] | None = None):
        """Do and measure; ``warm`` comes before, unmeasured."""
        if warm is not None:
            warm()
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        result = work()
        if cuda:
            torch.cuda.synchronize()
        row = {"seconds": round(time.perf_counter() - start, 4)}
        if cuda:
            row["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
        self.rows[name] = row
        return result


def shell(count: int, side: int, device: torch.device) -> Voxels:
    """About ``count`` voxels around a sphere in a grid."""
    places = torch.cartesian_prod(*[torch.arange(side, device=device)] * 3)
    far = (places + 0.5 - side / 2).norm(dim=1)
    chosen = torch.argsort((far - 0.4 * side).abs())[: min(count, len(places) // 2)].sort().values
    return Voxels(torch.nn.functional.pad(places[chosen], (1, 0)).int())


def agreement(device: torch.device) -> dict[str, float]:
    """Relative differences to the CPU in float32, on a tiny seeded model."""
    with tempfile.TemporaryDirectory() as root:
        folder = write_test_weights(Path(root))
        images = torch.rand(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
        truth = see(Networks(folder, torch.device("cpu"), torch.float32), images)
        found = {}
        for dtype in (torch.float32, precision_for(device)):
            ours = see(Networks(folder, device, dtype), images)
            for name, a, b in (
                ("structure condition", ours.structure, truth.structure),
                ("view condition", ours.views[0], truth.views[0]),
            ):
                error = (a.cpu() - b).norm() / b.norm()
                found[f"{name} in {dtype}"] = float(f"{error:.2g}")
            found |= latent_agreement(folder, device, dtype, truth)
    return found


def latent_agreement(
    folder: WeightFolder, device: torch.device, dtype: torch.dtype, conditions: Any
) -> dict[str, float]:
    """The same of one step of each flow and of the decoders."""
    results = []
    random = torch.Generator().manual_seed(1)
    dense = torch.randn(1, 8, 2, 2, 2, generator=random)
    coords = shell(150, 8, torch.device("cpu")).coords
    rows = torch.randn(len(coords), 8, generator=random)
    for where, precision in ((torch.device("cpu"), torch.float32), (device, dtype)):
        networks = Networks(folder, where, precision)
        voxels, t = Voxels(coords.to(where)), torch.tensor([500.0], device=where)
        views = [view.to(where) for view in conditions.views]
        with networks.use("sparse_structure_flow_model") as flow:
            structure = flow(dense.to(where), t, conditions.structure.to(where))
        with networks.use("sparse_structure_decoder") as decoder:
            logits = decoder(dense.to(where))
        with networks.use("slat_flow_model") as flow:
            details = flow(rows.to(where), voxels, t, views)
        with networks.use("slat_decoder_gs") as decoder:
            gaussians = decoder(rows.to(where), voxels).ply()
        with networks.use("slat_decoder_mesh") as decoder:
            cubes, _ = decoder(rows.to(where), voxels)
        results.append([x.cpu().double() for x in (structure, logits, details, gaussians, cubes)])
    names = ("structure flow", "structure decoder", "latent flow", "gaussians", "cubes")
    return {
        f"{name} in {dtype}": float(f"{(ours - truth).norm() / truth.norm():.2g}")
        for name, truth, ours in zip(names, *results, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--voxels", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true", help="small networks, to try the script")
    args = parser.parse_args()
    device = torch.device(args.device)
    dtype = precision_for(device)
    with torch.inference_mode():
        near = agreement(device)
        stages = Stages(device)
        measure(args, device, dtype, stages)
    measure_compensation(args, device, dtype, stages)
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else None
    facts = {"gpu": gpu, "torch": torch.__version__, "precision": str(dtype), **vars(args)}
    sampling = sum(stages.rows[name]["seconds"] for name in ("structure flow", "latent flow"))
    document = {**facts, "sampling_seconds": sampling, "stages": stages.rows, "agreement": near}
    print(json.dumps(document, indent=2))  # noqa: T201


def measure(
    args: argparse.Namespace, device: torch.device, dtype: torch.dtype, stages: Stages
) -> None:
    """Every stage of one object, each network dropped after its stage."""
    small = args.small
    flow_args, decoder_args = (SMALL_FLOW, SMALL_DECODER) if small else (FLOW, DECODER)
    side = 56 if small else 518
    images = torch.rand(args.views, 3, side, side, device=device)
    config = GenerateConfig(structure_steps=args.steps, detail_steps=args.steps)

    vggt = build(VGGT if not small else lambda: VGGT(depth=24, patch_embed="conv"), device, dtype)
    layers = stages.run(
        "vggt",
        lambda: vggt.aggregator(images[None], keep=CONDITION_LAYERS),
        warm=lambda: vggt.aggregator(images[None, :1], keep=()),
    )
    poses = stages.run("camera head", lambda: vggt.camera_head(layers[23]))
    del vggt, poses
    dino = build(lambda: vit_named("dinov2_vitl14_reg", 518), device, dtype)
    features = stages.run(
        "dinov2", lambda: torch.cat([image_features(dino, image[None]) for image in images])[None]
    )
    del dino
    net = build(
        lambda: ModulatedMultiViewCond(1024, 3072, num_init_tokens=64 if small else 4096),
        device,
        dtype,
    )
    cond = stages.run("structure condition", lambda: net(layers, features))
    net = build(lambda: ModulatedSLATMultiViewCond(1024, 3072), device, dtype)
    views = stages.run("view conditions", lambda: net(layers, features))
    del net, layers

    grid = 4 if small else 16
    flow = build(lambda: SparseStructureFlowModel(grid, **flow_args), device, dtype)
    noise = torch.randn(1, 8, grid, grid, grid, device=device)
    t = torch.tensor([700.0], device=device)

    def structure() -> Any:
        seen = flow.project(cond)
        settings = sampler_config(config, "structure")
        return sample(lambda x, t, yes: flow(x, t, seen if yes else None), noise, settings)

    latent = stages.run("structure flow", structure, warm=lambda: flow(noise, t, cond)).sample
    seen = flow.project(cond)
    stages.run(
        "one guided step of the structure flow",
        lambda: (flow(noise, t, seen), flow(noise, t, None)),
    )
    flow.cast(torch.float32)
    stages.run(
        "one guided step of the structure flow, written plainly",
        lambda: (flow(noise, t, cond), flow(noise, t, 0 * cond)),
        warm=lambda: flow(noise, t, cond),
    )
    del flow, seen
    net = build(
        lambda: SparseStructureDecoder(1, 8, 2, (64, 32, 16) if small else (512, 128, 32)),
        device,
        dtype,
    )
    stages.run("structure decoder", lambda: net(latent), warm=lambda: net(latent))
    del net

    voxels = shell(args.voxels, 16 if small else 64, device)
    stages.rows["voxels"] = {"fine": len(voxels), "coarse": len(voxels.coarse()[0])}
    flow = build(lambda: SLatFlowModel(64, **flow_args), device, dtype)
    rows = torch.randn(len(voxels), 8, device=device)

    def details() -> Any:
        seen = flow.project(views)
        settings = sampler_config(config, "details")
        return sample(lambda x, t, yes: flow(x, voxels, t, seen if yes else None), rows, settings)

    latents = stages.run("latent flow", details, warm=lambda: flow(rows, voxels, t, views)).sample
    seen, coords = flow.project(views), voxels.coords
    stages.run(
        "one guided step of the latent flow",
        lambda: (flow(rows, voxels, t, seen), flow(rows, voxels, t, None)),
    )
    flow.cast(torch.float32)
    nothing = [0 * view for view in views]
    stages.run(
        "one guided step of the latent flow, written plainly",
        lambda: (flow(rows, Voxels(coords), t, views), flow(rows, Voxels(coords), t, nothing)),
        warm=lambda: flow(rows, voxels, t, views),
    )
    del flow, views, seen, nothing
    res = 16 if small else 64
    net = build(
        lambda: SLatGaussianDecoder(res, representation_config=GAUSSIANS, **decoder_args),
        device,
        dtype,
    )
    net.offset_perturbation.copy_(net.computed_buffers()["offset_perturbation"])
    stages.run("gaussian decoder", lambda: net(latents, voxels), warm=lambda: net(latents, voxels))
    net = build(
        lambda: SLatMeshDecoder(res, representation_config=COLORS, **decoder_args), device, dtype
    )
    net.out_layer.bias[:8] = -0.5  # a surface around the voxels, rather than noise everywhere
    cubes, fine = stages.run("mesh decoder", lambda: net(latents, Voxels(voxels.coords)))
    mesh = stages.run(
        "flexicubes", lambda: extract_mesh(fine.coords[:, 1:], cubes, 4 * net.resolution)
    )
    stages.rows["mesh"] = {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}


def measure_compensation(
    args: argparse.Namespace, device: torch.device, dtype: torch.dtype, stages: Stages
) -> None:
    """One corrected step of the second flow, and one look at the photos without gradient."""
    side, decoder_args = (16, SMALL_DECODER) if args.small else (64, DECODER)
    decoder = build(
        lambda: SLatMeshDecoder(side, representation_config=COLORS, **decoder_args), device, dtype
    )
    decoder.out_layer.bias[:8] = -0.5
    voxels = shell(args.voxels, side, device)
    config = CompensationConfig(worst=100.0)  # noise is near to nothing
    around = [ring_camera(2 * np.pi * k / args.views, config.size) for k in range(args.views)]
    cameras = cameras_at(around, config.size, 1.0, device)

    def render(rows: torch.Tensor) -> torch.Tensor:
        return draw_latent(decoder, Latent(rows, voxels), cameras, config.size)

    x, v, other = (torch.randn(len(voxels), 8, device=device) for _ in range(3))
    with torch.no_grad():
        targets = render(other)  # the first look also compiles, and makes the tables
        stages.run("compensation, one look", lambda: render(x))
    state = FlowState(0.375)
    for which in ("first", "later"):  # the first loads kernels and chooses among them
        name = f"compensation, {which} step of {config.iterations} looks"
        _, losses = stages.run(name, lambda: compensate_views(x, v, state, render, targets, config))
        assert len(losses) == config.iterations


def ring_camera(turn: float, size: int) -> Camera:
    """From a distance of 2, with a field of view of 40 degrees."""
    eye = 2 * np.array([np.cos(turn) * 0.95, np.sin(turn) * 0.95, 0.3])
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = [right, np.cross(forward, right), forward]
    pose[:3, 3] = -pose[:3, :3] @ eye
    focal = size / 2 / np.tan(np.radians(20))
    return Camera(size, size, focal, focal, size / 2, size / 2, pose)


if __name__ == "__main__":
    main()
