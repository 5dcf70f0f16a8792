# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Surfaces that sensors of known faults measured, on shapes whose distance is known exactly."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from photocast.config import DepthConfig
from photocast.data import Camera, Photo
from photocast.data.grid_frame import GridFrame
from photocast.errors import CaptureError
from photocast.stages import depth_fusion
from photocast.stages.depth_fusion import BAND, measure_depth
from photocast.stages.hull import hull_distance

_spec = importlib.util.spec_from_file_location(
    "photocast_depth_noise", Path(__file__).parents[2] / "benchmarks" / "depth_noise.py"
)
noise = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(noise)

CPU = torch.device("cpu")
BOX = np.array([[-0.7] * 3, [0.7] * 3])
FRAME = GridFrame.around(BOX, 56)
RADIUS = 0.6
SIDES = np.array([0.5, 0.35, 0.6])  # half, of the box
SIZE = 160
PLAIN = DepthConfig(fit_scale="none")


def cameras(count=10):
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z * z)
    for center in 2.5 * np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1):
        forward = -center / np.linalg.norm(center)
        right = np.cross(forward, [0.1, 0.2, 1.0])
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ center
        yield Camera(SIZE, SIZE, 1.6 * SIZE, 1.6 * SIZE, SIZE / 2, SIZE / 2, pose)


def rays(camera):
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    local = np.stack(
        [(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1
    )
    return local @ camera.camera_from_world[:3, :3]  # depth times this, from the centre


def ball(camera):
    d, o = rays(camera), camera.center
    a, b, c = (d**2).sum(-1), d @ o, o @ o - RADIUS**2
    root = b**2 - a * c
    return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, 0).astype(np.float32)


def block(camera):
    d, o = rays(camera), camera.center
    one, two = (-SIDES - o) / d, (SIDES - o) / d
    near, far = np.minimum(one, two).max(-1), np.maximum(one, two).min(-1)
    return np.where(near < far, near, 0).astype(np.float32)


def distance_to_ball(points):
    return np.linalg.norm(points, axis=-1) - RADIUS


def distance_to_block(points):
    q = np.abs(points) - SIDES
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(-1), 0)


SHAPES = {"ball": (ball, distance_to_ball), "block": (block, distance_to_block)}


def photos(shape, spoil=lambda depth, camera, number: depth, count=10):
    found = []
    for number, camera in enumerate(cameras(count)):
        depth = SHAPES[shape][0](camera)
        mask = np.where(depth > 0, 255, 0).astype(np.uint8)
        rgb = np.zeros((SIZE, SIZE, 3), np.uint8)
        seen = spoil(depth, camera, number)
        found.append(Photo(f"{number}", camera, rgb, mask, seen))
    return found


def sensor(name, bias=0.0):
    def spoil(depth, camera, number):
        return noise.sense(depth, name, camera.fx, np.random.default_rng(number), bias=bias)

    return spoil


def errors(shape, taken, config=PLAIN, frame=FRAME):
    """Share of the surface that was measured, mean and mean absolute error there [voxel]."""
    evidence = measure_depth(taken, BOX, config, device=CPU)
    fused = evidence.fuse(frame)
    axes = [np.arange(n) for n in frame.size]
    points = frame.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
    true = torch.from_numpy(SHAPES[shape][1](points) / frame.voxel)
    near = true.abs() < 1
    known = near & (fused.weight > 0)
    off = (fused.distance - true)[known]
    return float(known.sum() / near.sum()), float(off.mean()), float(off.abs().mean())


@pytest.mark.parametrize("shape", SHAPES)
def test_clean_depth_gives_the_distance_to_a_few_hundredths_of_a_voxel(shape):
    share, bias, error = errors(shape, photos(shape))
    assert share > 0.9
    assert abs(bias) < 0.03
    assert error < 0.06


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "limit"), [("kinect", 0.12), ("arkit", 0.3)])
def test_noise_leaves_a_fraction_of_a_voxel(shape, name, limit):
    share, bias, error = errors(shape, photos(shape, sensor(name)))
    assert share > 0.7
    assert abs(bias) < 0.5 * limit
    assert error < limit


def test_points_in_mid_air_do_harm_only_where_outlines_are_trusted():
    def flying(depth, camera, number):
        rng = np.random.default_rng(number)
        near = noise.outlines(depth) & (rng.random(depth.shape) < 0.5)
        return np.where(near & (depth > 0), depth - 0.15 * rng.random(depth.shape), depth).astype(
            np.float32
        )

    taken = photos("block", flying, count=6)
    _, _, wary = errors("block", taken)
    _, _, naive = errors("block", taken, replace(PLAIN, edge=0))
    assert wary < 0.08
    assert naive > 1.5 * wary


def test_a_view_that_is_all_wrong_does_harm_only_where_views_are_averaged():
    def some_wrong(depth, camera, number):
        return depth * np.float32(1.03 if number % 8 == 4 else 1)

    taken = photos("ball", some_wrong, count=24)
    _, _, robust = errors("ball", taken)
    _, _, mean = errors("ball", taken, replace(PLAIN, robust=1e6))
    assert robust < 0.1
    assert mean > 1.5 * robust


def test_steep_views_do_harm_where_all_are_trusted_alike():
    def too_far_when_steep(depth, camera, number):
        d = rays(camera)
        point = camera.center + d * depth[..., None]
        face = np.abs(np.abs(point) - SIDES).argmin(-1)[..., None]
        cosine = np.abs(np.take_along_axis(d, face, -1))[..., 0] / np.linalg.norm(d, axis=-1)
        return np.where((depth > 0) & (cosine < 0.35), depth + 0.06, depth).astype(np.float32)

    taken = photos("block", too_far_when_steep)
    _, _, wary = errors("block", taken)
    _, _, naive = errors("block", taken, replace(PLAIN, min_cosine=0.0))
    assert wary < 0.1
    assert naive > 1.5 * wary


def test_doubtful_pixels_of_the_sensor_do_harm_only_where_its_word_is_not_taken():
    taken = []
    for photo in photos("ball"):
        bad = np.zeros((SIZE, SIZE), bool)
        bad[:, ::24] = bad[:, 1::24] = bad[:, 2::24] = bad[:, 3::24] = True
        bad = bad | np.roll(bad, 8, 1)
        depth = np.where(bad, photo.depth * np.float32(1.02), photo.depth)
        sure = np.where(bad, 0, 255).astype(np.uint8)
        taken.append(replace(photo, depth=depth, depth_confidence=sure))
    _, _, told = errors("ball", taken)
    _, _, untold = errors("ball", [replace(photo, depth_confidence=None) for photo in taken])
    assert told < 0.06
    assert untold > 2 * told


@pytest.mark.parametrize("way", ["scale", "scale_shift"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_scale_that_is_one_percent_off_is_found_and_undone(shape, way):
    taken = photos(shape, sensor("clean", bias=0.01))
    _, off, _ = errors(shape, taken)
    _, left, error = errors(shape, taken, DepthConfig(fit_scale=way))
    assert off > 0.4
    assert abs(left) < 0.2 * off
    assert error < 0.2


def test_every_view_gets_the_scale_it_needs():
    biases = np.linspace(0.99, 1.01, 10)
    taken = photos("block", lambda depth, camera, number: depth * np.float32(biases[number]))
    evidence = measure_depth(taken, BOX, DepthConfig(), device=CPU)
    np.testing.assert_allclose(np.array(evidence.alignment.scale) * biases, 1, atol=1e-3)
    assert evidence.alignment.after < 0.3 * evidence.alignment.before


@pytest.mark.parametrize("way", ["scale", "scale_shift"])
def test_a_scale_that_the_views_cannot_show_is_not_made_up(way, monkeypatch):
    monkeypatch.setattr(depth_fusion, "_WORTH", 2.0)  # take whatever is found
    # All look from nearly one place, so each scale fits as well as any other.
    place = next(cameras())
    taken = []
    for number in range(6):
        pose = place.camera_from_world.copy()
        pose[:3, 3] += 0.005 * number
        camera = replace(place, camera_from_world=pose)
        depth = ball(camera)
        seen = noise.sense(depth, "kinect", camera.fx, np.random.default_rng(number))
        mask, rgb = np.where(depth > 0, 255, 0).astype(np.uint8), np.zeros((SIZE, SIZE, 3))
        taken.append(Photo(f"{number}", camera, rgb.astype(np.uint8), mask, seen))
    evidence = measure_depth(taken, BOX, DepthConfig(fit_scale=way), device=CPU)
    assert abs(np.mean(evidence.alignment.scale) - 1) < 3e-3


def test_maps_that_agree_are_left_alone():
    evidence = measure_depth(photos("block"), BOX, DepthConfig(), device=CPU)
    if evidence.alignment is not None:
        np.testing.assert_allclose(evidence.alignment.scale, 1, atol=3e-4)
    assert measure_depth(photos("block")[:1], BOX, DepthConfig(), device=CPU).alignment is None


def test_the_agreement_is_told():
    told = []
    measure_depth(
        photos("ball", sensor("clean", bias=0.01)),
        BOX,
        DepthConfig(),
        device=CPU,
        progress=lambda stage, done, total, **numbers: told.append((stage, done, total, numbers)),
    )
    assert [entry[:3] for entry in told] == [("depth", 0, 1), ("depth", 1, 1)]
    assert told[-1][3]["after"] < 0.5 * told[-1][3]["before"]


def test_where_nothing_was_measured_the_hull_stands_and_nothing_is_anchored():
    taken = photos("ball")
    some = [replace(photo, depth=photo.depth if n < 2 else None) for n, photo in enumerate(taken)]
    hull = hull_distance(taken, FRAME, device=CPU)
    fused = measure_depth(some, BOX, PLAIN, device=CPU).fuse(FRAME)
    anchor = fused.anchor(hull)
    blank = fused.weight == 0
    assert 0.3 < blank.float().mean() < 0.95
    assert (anchor[..., 1][blank] == 0).all()
    assert torch.equal(fused.over(hull)[blank], hull[blank])
    assert (anchor[..., 1][~blank] > 0).all()
    assert anchor[..., 1].max() <= 1


def test_space_that_is_seen_through_is_empty_though_all_masks_cover_it():
    taken = [
        replace(photo, mask=np.full((SIZE, SIZE), 255, np.uint8), depth=wall_behind(photo))
        for photo in photos("ball")
    ]
    fused = measure_depth(taken, BOX, PLAIN, device=CPU).fuse(FRAME)
    hull = hull_distance(taken, FRAME, device=CPU)
    axes = [np.arange(n) for n in FRAME.size]
    points = FRAME.to_world(np.stack(np.meshgrid(*axes, indexing="ij"), -1))
    outside = torch.from_numpy(distance_to_ball(points)) > 3 * FRAME.voxel
    assert (hull[outside] < 0).all()
    assert (fused.over(hull)[outside] > 0).float().mean() > 0.97
    assert (fused.distance[outside & (fused.weight > 0)] > 0.8 * BAND).float().mean() > 0.97


def wall_behind(photo):
    return np.where(photo.depth > 0, photo.depth, np.float32(4.5))


def test_depth_in_another_unit_than_the_cameras_is_refused_with_the_factor():
    taken = [replace(photo, depth=photo.depth * 1000) for photo in photos("ball")]
    with pytest.raises(CaptureError, match=r"8\d\d times") as caught:
        measure_depth(taken, BOX, DepthConfig(), device=CPU)
    assert caught.value.code == "capture.depth_disagrees"


def test_no_depth_at_all_is_no_evidence():
    blank = [replace(photo, depth=np.zeros_like(photo.depth)) for photo in photos("ball")]
    assert measure_depth(blank, BOX, DepthConfig(), device=CPU) is None
    bare = [replace(photo, depth=None) for photo in blank]
    assert measure_depth(bare, BOX, DepthConfig(), device=CPU) is None
