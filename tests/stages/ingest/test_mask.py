# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Masks from a plain background: grown from the border, settled by the other photos."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from photocast.data import View
from photocast.errors import CaptureError
from photocast.stages.ingest import decode_photos, read_capture
from photocast.stages.mask import background_mask, check_masks, has_plain_background

Y, X = np.mgrid[:120, :160]


def picture(background: tuple[int, int, int], noise: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(5)
    image = np.full((120, 160, 3), background, np.float64)
    image[disc(40)] = (180, 170, 90)
    image += rng.normal(0, noise, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def disc(radius: float) -> np.ndarray:
    return radius**2 > (X - 80) ** 2 + (Y - 60) ** 2


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("background", [(3, 3, 3), (250, 250, 250), (20, 160, 60)])
def test_a_disc_is_cut_out_of_any_plain_background(background):
    image = picture(background)
    assert has_plain_background(image)
    assert iou(background_mask(image) > 127, disc(40)) > 0.97


def test_small_dark_spots_inside_are_object_and_large_ones_are_holes():
    image = picture((2, 2, 2))
    image[58:61, 78:81] = 3
    image[70:85, 60:80] = 2
    mask = background_mask(image) > 127
    assert mask[59, 79]
    assert not mask[77, 70]


def test_dust_is_not_object():
    image = picture((2, 2, 2))
    image[10:12, 10:12] = 200
    assert not (background_mask(image) > 127)[8:14, 8:14].any()


def test_rooms_and_empty_photos_have_no_plain_background():
    rng = np.random.default_rng(2)
    assert not has_plain_background(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    assert not has_plain_background(np.full((60, 80, 3), 9, np.uint8))
    gradient = np.repeat((X[..., None] * 1.5).astype(np.uint8), 3, axis=2)
    assert not has_plain_background(gradient)


@pytest.mark.parametrize(("value", "code"), [(0.0, "empty"), (1.0, "full")])
def test_masks_that_show_nothing_are_refused(value, code):
    with pytest.raises(CaptureError) as caught:
        check_masks(["a", "b"], np.array([value, value]))
    assert caught.value.code == f"capture.masks_{code}"
    check_masks(["a", "b"], np.array([value, 0.3]))


def shaded_views(cameras, draw, tmp_path):
    """Photos of the ellipsoid, its half turned from +X lit; a dim cloth lies at the left edge."""
    views, truths = [], []
    for i, camera in enumerate(cameras(24)):
        camera = camera.resized(256, 192)
        alpha, depth = draw(camera)
        x = (np.arange(256) + 0.5 - camera.cx) / camera.fx
        y = (np.arange(192) + 0.5 - camera.cy) / camera.fy
        rays = np.stack([*np.meshgrid(x, y), np.ones((192, 256))], axis=-1)
        points = (rays * depth[..., None]) @ camera.camera_from_world[:3, :3] + camera.center
        image = np.zeros((192, 256, 3), np.uint8)
        image[:, :40] = 14  # as bright as the shadow on the object
        lit = np.where(points[..., 2] > 0.75, 16, 200)
        image[alpha > 0] = lit[alpha > 0][:, None]
        if i % 6:  # the light stands elsewhere in the other photos
            image[alpha > 0] = 200
        path = tmp_path / f"v{i:02d}.png"
        Image.fromarray(image).save(path)
        views.append(View(path.stem, path, camera))
        truths.append(alpha > 0)
    return views, truths


def test_shadows_are_settled_by_the_other_photos(cameras, draw, tmp_path):
    views, truths = shaded_views(cameras, draw, tmp_path)
    voted = decode_photos(views, mask_source="background")
    for photo, truth in zip(voted, truths, strict=True):
        assert iou(photo.mask > 127, truth) > 0.95
    alone = [decode_photos([view], mask_source="background")[0] for view in views[::6]]
    cut = [iou(p.mask > 127, t) for p, t in zip(alone, truths[::6], strict=True)]
    assert min(cut) < 0.9  # the photo alone cannot tell


def test_context_photos_settle_the_masks_of_a_few(cameras, draw, tmp_path):
    views, truths = shaded_views(cameras, draw, tmp_path)
    others = decode_photos(views[4:], mask_source="background")
    few = decode_photos(views[:4], mask_source="background", context=others)
    assert [photo.name for photo in few] == ["v00", "v01", "v02", "v03"]
    for photo, truth in zip(few, truths, strict=False):
        assert iou(photo.mask > 127, truth) > 0.95


@pytest.mark.data
def test_dino_masks_agree_with_each_other(capture_folder):
    capture = read_capture(capture_folder("dino_ring"))
    assert capture.mask_source == "background"
    photos = decode_photos(capture.views, mask_source="background")
    coverage = np.array([(photo.mask > 127).mean() for photo in photos])
    assert 0.15 < coverage.min() < coverage.max() < 0.5
    # Around a ring the outline changes smoothly, but for the flat object's two edge-on views; a
    # mask that lost a part or caught cloth stands out.
    bends = np.abs(coverage[1:-1] - (coverage[2:] + coverage[:-2]) / 2) / coverage[1:-1]
    assert np.median(bends) < 0.01
    assert bends.max() < 0.1
    for photo in photos:
        assert not (photo.mask[:, :60] > 127).any()  # the cloth
        assert not (photo.mask[:, -10:] > 127).any()


def test_masks_of_alpha_take_no_vote(layout):
    written = layout()
    written.blender()
    capture = read_capture(written.root)
    assert capture.mask_source == "alpha"
    photos = decode_photos(capture.views, mask_source="alpha")
    shuffled = [replace(view, camera=capture.views[0].camera) for view in capture.views]
    for a, b in zip(photos, decode_photos(shuffled, mask_source="alpha"), strict=True):
        assert (a.mask == b.mask).all()
