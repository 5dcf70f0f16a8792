# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known about the larger captures is found."""

import numpy as np
import pytest

from photocast.stages.consistency import check_agreement, object_box
from photocast.stages.ingest import decode_photos, hold_out_every, read_capture

pytestmark = pytest.mark.data

FACTS = {
    # name: layout, views, test views, masks, unit, up
    "spot": ("blender", 48, 16, "alpha", "metre", (0, 1, 0)),
    "lego_400": ("blender", 100, 50, "alpha", "arbitrary", (0, 0, 1)),
    "dino_ring": ("middlebury", 48, 0, "background", "arbitrary", (0, 1, 0)),
    "gold_cape": ("llff", 60, 0, "file", "arbitrary", None),
    "fox": ("nerfstudio", 50, 0, "none", "arbitrary", (0, 0, 1)),
}


@pytest.mark.parametrize("name", FACTS)
def test_what_a_capture_is(name, capture_folder):
    capture = read_capture(capture_folder(name))
    layout, views, tests, masks, unit, up = FACTS[name]
    assert (capture.layout, len(capture.views), len(capture.test_views)) == (layout, views, tests)
    assert (capture.mask_source, capture.unit) == (masks, unit)
    if up is not None:
        assert capture.up @ up > 0.99
    names = [view.name for view in (*capture.views, *capture.test_views)]
    assert len(set(names)) == len(names)
    assert names[:views] == sorted(names[:views])


def test_fox_continues_with_the_photos_that_are_there(capture_folder):
    capture = read_capture(capture_folder("fox"))
    (warning,) = capture.warnings
    assert "17 photos" in warning
    assert warning.count("images/") == 5
    inside = [
        (capture.box[0] < v.camera.center).all() and (v.camera.center < capture.box[1]).all()
        for v in capture.views
    ]
    assert not any(inside)
    assert all(view.camera.distortion is not None for view in capture.views)


BOUNDS = {
    "spot": ((-0.4941, -0.8856, -0.9), (0.4941, 0.8856, 0.9)),
    "dino_ring": ((-0.0419, 0.0011, -0.0378), (0.0309, 0.0882, 0.0355)),
}


@pytest.mark.parametrize("name", ["spot", "lego_400", "dino_ring", "gold_cape"])
def test_masks_and_cameras_agree_and_bound_the_object(name, capture_folder):
    capture = read_capture(capture_folder(name))
    photos = decode_photos(capture.views[::2], mask_source=capture.mask_source, max_size=256)
    assert check_agreement(photos).score > 0.97
    box = object_box(photos)
    if name in BOUNDS:
        known = np.array(BOUNDS[name])
        size = np.linalg.norm(known[1] - known[0])
        assert (box[0] <= known[0] + 0.01 * size).all()
        assert (box[1] >= known[1] - 0.01 * size).all()
        assert np.abs(box - known).max() < 0.08 * size


def test_spot_depth_lies_on_the_true_surface(capture_folder):
    import trimesh
    from scipy.spatial import cKDTree

    folder = capture_folder("spot")
    truth = trimesh.load(folder / "ground_truth.ply")
    surface = cKDTree(trimesh.sample.sample_surface(truth, 200_000, seed=1)[0])
    capture = read_capture(folder)
    views = [capture.views[i] for i in (0, 17, 40)]
    for size in (None, 300):
        for photo in decode_photos(views, mask_source="alpha", max_size=size):
            camera = photo.camera.resized(*photo.depth.shape[::-1])
            rows, columns = np.nonzero(photo.depth > 0)
            pixels = np.stack([columns + 0.5, rows + 0.5], axis=1)
            rays = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
            depth = photo.depth[rows, columns][:, None]
            local = np.concatenate([rays * depth, depth], axis=1)
            points = (local - camera.camera_from_world[:3, 3]) @ camera.camera_from_world[:3, :3]
            distance, _ = surface.query(points)
            assert np.median(distance) < 0.005  # the sampling distance, in metres
            assert np.quantile(distance, 0.99) < 0.02


@pytest.mark.parametrize(("name", "held"), [("dino_ring", 6), ("gold_cape", 8), ("spot", 16)])
def test_the_hold_out_rule(name, held, capture_folder):
    capture = read_capture(capture_folder(name))
    split = hold_out_every(capture, 8)
    assert len(split.test_views) == held
    if not capture.test_views:
        assert split.test_views == capture.views[::8]
    assert not {v.name for v in split.views} & {v.name for v in split.test_views}
