# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Samplers, compensation and cameras against the original code."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from photocast.config import CompensationConfig
from photocast.nets.compensation import (
    compensate_structure,
    compensate_views,
    resized_targets,
)
from photocast.nets.hammersley import hammersley, sphere_hammersley
from photocast.nets.samplers import (
    FlowState,
    Guidance,
    GuidanceStyle,
    SamplerConfig,
    guided_velocity,
    sample,
    times,
)
from photocast.nets.ssim import ssim
from photocast.nets.view_cameras import camera_toward_origin

SAMPLERS = "trellis.pipelines.samplers.flow_euler"
PIPELINE = "trellis.pipelines.trellis_image_to_3d.TrellisVGGTTo3DPipeline"
STYLES = {
    "estheryang11/ReconViaGen": GuidanceStyle.added,
    "GAP-LAB-CUHK-SZ/ReconViaGen": GuidanceStyle.mixed,
}


class Toy:
    """The velocity that all sampler cases use, and a note of every call."""

    def __init__(self, case):
        self.conditions = {True: case["in_cond"]}
        self.conditions[False] = (
            case["in_neg_cond"] if "in_neg_cond" in case else 0 * case["in_cond"]
        )
        self.calls = []

    def __call__(self, x, t, conditional):
        self.calls.append((float(t), int(not conditional)))
        return torch.tanh(0.7 * x + self.conditions[conditional]) - 0.3 * x * (t / 1000)


def config_of(case, args):
    """Our settings for the arguments of a case."""
    guidance = None
    if "cfg_strength" in args:
        guidance = Guidance(
            style=STYLES[case.repository],
            strength=float(args["cfg_strength"]),
            interval=tuple(map(float, args.get("cfg_interval", (0, 1)))),
            rescale=float(args.get("guidance_rescale", 0)),
        )
    given = {name: float(args[name]) for name in ("rescale_t", "sigma_min") if name in args}
    given |= {name: args[name] for name in ("steps",) if name in args}
    return SamplerConfig(guidance=guidance, **given)


CLASSES = ("FlowEulerSampler", "FlowEulerCfgSampler", "FlowEulerGuidanceIntervalSampler")


@pytest.mark.golden(*(f"{SAMPLERS}.{name}" for name in CLASSES), with_array="out_pred_x_t")
def test_golden_sampling(case):
    toy, config = Toy(case), config_of(case, case.args)
    start = case["in_noise"] if "in_noise" in case else case["in_feats"]
    trajectory = sample(toy, start, config, keep=True)
    call_t, negative = zip(*toy.calls, strict=True)
    case.check(
        samples=trajectory.sample,
        pred_x_t=torch.stack(trajectory.states),
        pred_x_0=torch.stack(trajectory.clean),
        t_sequence=times(config.steps, config.rescale_t),
        call_t=np.array(call_t, dtype=np.float32),
        call_is_negative=np.array(negative, dtype=np.int32),
    )


@pytest.mark.golden(f"{SAMPLERS}.FlowEulerSampler.sample")
def test_golden_time_schedules(case):
    schedules = case.args["schedules"]
    made = [times(steps, float(rescale_t)) for steps, rescale_t in schedules]
    case.check(**{f"t_{number}": schedule for number, schedule in enumerate(made)})


@pytest.mark.golden(f"{SAMPLERS}.FlowEulerSampler", with_array="out_v_back")
def test_golden_flow_conversions(case):
    state, x, v = FlowState(float(case.args["t"])), case["in_x_t"], case["in_v"]
    clean = state.clean(x, v)
    case.check(
        x_0=clean,
        eps=state.noise(x, v),
        v_back=state.velocity(x, clean, exact=False),
        x_t=state.mix(clean, v),
        x_0_from_eps=state.clean_from_noise(x, v),
        eps_from_x_0=state.noise_from_clean(x, v),
    )


@pytest.mark.golden(f"{PIPELINE}.sample_slat")
def test_golden_draws_and_denormalised_latent(case):
    args = case.args
    torch.manual_seed(args["seed"])
    structure = torch.randn(1, 8, *[args["ss_resolution"]] * 3)
    noise = torch.randn(len(case["in_coords"]), 8)
    config = config_of(case, args["sampler_params"] | args["sampler_override"])
    normalised = sample(Toy(case), noise, config).sample
    case.check(
        ss_noise=structure,
        noise=noise,
        normalised=normalised,
        slat=normalised * torch.tensor(args["std"]) + torch.tensor(args["mean"]),
    )


@pytest.mark.golden(f"SparseTensor arithmetic of {PIPELINE}.sample_slat")
def test_golden_denormalise(case):
    args = case.args
    case.check(slat=case["in_feats"] * torch.tensor(args["std"]) + torch.tensor(args["mean"]))


@pytest.mark.golden("trellis.utils.loss_utils.ssim / l1_loss")
def test_golden_ssim(case):
    each = ssim(case["in_a"], case["in_b"])
    l1 = F.l1_loss(case["in_a"], case["in_b"])
    case.check(ssim_per_image=each, ssim_mean=each.mean(), l1_mean=l1)


def compensated(case, x, correct):
    """One step with a corrected velocity: the state after it, and the velocity."""
    args = case.args
    t, t_prev = float(args["t"]), float(args["t_prev"])
    v = guided_velocity(Toy(case), x, t, config_of(case, args))
    v = correct(v, FlowState(t), CompensationConfig(rate=float(args["learning_rate"])))
    return x - (t - t_prev) * v, v


@pytest.mark.golden(f"{SAMPLERS}.FlowEulerGuidanceIntervalSampler.sample_ss_once_opt_delta_v")
def test_golden_structure_compensation(case):
    def decode(z):
        return 3 * torch.tanh(z.sum(dim=1, keepdim=True)) - 0.5

    x = case["in_x_t"]
    x_prev, v = compensated(
        case,
        x,
        lambda v, state, config: compensate_structure(
            x, v, state, decode, case["in_target"], config
        ),
    )
    case.check(x_prev=x_prev, v=v)


# Published constants of the latents; the stand-in renderer sees denormalised ones.
MEAN = (-2.1687545776367188, -0.004347046371549368, -0.13352349400520325, -0.08418072760105133)
MEAN += (-0.5271206498146057, 0.7238689064979553, -1.1414450407028198, 1.2039363384246826)
STD = (2.377650737762451, 2.386378288269043, 2.124418020248413, 2.1748552322387695)
STD += (2.663944721221924, 2.371192216873169, 2.6217446327209473, 2.684523105621338)


@pytest.mark.golden(f"{SAMPLERS}.FlowEulerGuidanceIntervalSampler.sample_slat_once_opt_delta_v")
def test_golden_view_compensation(case):
    x, masks = case["in_feats"], case["in_masks"]
    targets = resized_targets(case["in_images"])
    size = targets.shape[-1]
    column = torch.arange(size, dtype=torch.float32)
    view = torch.arange(len(masks), dtype=torch.float32)[:, None, None, None]
    channel = torch.arange(3, dtype=torch.float32)[:, None, None]
    waves = 0.05 * (view + 1) * column + 0.03 * (channel + 1) * column[:, None]

    def render(clean):
        feats = clean * torch.tensor(STD) + torch.tensor(MEAN)
        level = (feats * masks).mean(dim=(1, 2))
        return 0.5 + 0.4 * torch.sin(waves + level[:, None, None, None])

    def squares(a, b):
        return ((a - b) ** 2).mean(dim=(1, 2, 3))

    losses = []

    def correct(v, state, config):
        v, found = compensate_views(x, v, state, render, targets, config, (squares, squares))
        losses.extend(found)
        return v

    x_prev, v = compensated(case, x, correct)
    case.check(view_losses=torch.stack(losses), x_prev=x_prev, v=v)


@pytest.mark.golden("trellis.utils.random_utils.hammersley_sequence / sphere_hammersley_sequence")
def test_golden_hammersley(case):
    outputs = {}
    for number, (dim, count) in enumerate(case.args["hammersley"]):
        points = [hammersley(dim, index, count) for index in range(count)]
        outputs[f"hammersley_{number}"] = np.array(points)
    for number, (count, offset, remap) in enumerate(case.args["sphere"]):
        start = tuple(map(float, offset))
        angles = [sphere_hammersley(index, count, start, remap) for index in range(count)]
        outputs[f"sphere_{number}"] = np.array(angles)
    case.check(**outputs)


@pytest.mark.golden("trellis.utils.render_utils.yaw_pitch_r_fov_to_extrinsics_intrinsics")
def test_golden_cameras_around_the_object(case):
    args = case.args
    angles = [sphere_hammersley(index, args["views"]) for index in range(args["views"])]
    cameras = [camera_toward_origin(*pair, float(args["r"]), float(args["fov"])) for pair in angles]
    extrinsics, intrinsics = map(torch.stack, zip(*cameras, strict=True))
    case.check(yaw_pitch=np.array(angles), extrinsics=extrinsics, intrinsics=intrinsics)
