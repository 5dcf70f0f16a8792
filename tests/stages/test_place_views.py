# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photos are placed around a known object, from cameras in a frame and a scale of their own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from photocast.config import PlaceConfig
from photocast.data import Camera, Mesh, Photo, Picture
from photocast.errors import Cancelled, ConfigError
from photocast.nets.photo_input import object_square
from photocast.progress import silent
from photocast.stages.crop_cameras import posed_photos
from photocast.stages.place_views import place_again, place_views
from photocast.stages.render import draw, drawable

CPU = torch.device("cpu")
SIZE = 192
OTHER = 2  # the photo that shows another object


def painted(vertices, faces, phase=0.0):
    colors = 0.5 + 0.35 * np.sin((11 + phase) * vertices + np.arange(3) - phase)
    return Mesh(
        vertices.astype(np.float32), faces.astype(np.int32), colors=colors.astype(np.float32)
    )


def blob(phase=0.0):
    """A lump without symmetry."""
    ball = trimesh.creation.icosphere(4)
    x, y, z = ball.vertices.T
    radius = 0.34 + 0.07 * np.sin(3 * x + 1) * np.cos(2.5 * y) + 0.05 * np.sin(5 * z + 2 * x)
    return painted(np.array(ball.vertices * radius[:, None] * [1, 0.85, 1.1]), ball.faces, phase)


def looking(center, target):
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, [0.1, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = [right, np.cross(forward, right), forward]
    pose[:3, 3] = -pose[:3, :3] @ center
    return pose


def shoot(mesh, count):
    """Photos from around, the object not quite in the middle."""
    random, item, photos = np.random.default_rng(0), drawable(mesh), []
    for number in range(count):
        turn, lift = 2 * np.pi * number / count + 0.3, random.uniform(-0.2, 0.7)
        way = [np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)]
        center = np.array(way) * random.uniform(1.8, 2.4)
        pose = looking(center, random.normal(size=3) * 0.08)
        camera = Camera(SIZE, SIZE, 1.3 * SIZE, 1.3 * SIZE, SIZE / 2, SIZE / 2, pose)
        picture = draw(item, camera, supersample=2)
        photos.append(Photo(f"{number}", camera, picture.rgb, picture.alpha))
    return photos


def disturbed(photos, degrees=4.0, share=0.04, focal=0.03):
    """In another frame and scale, each camera off by its own, all focal lengths too long."""
    random = np.random.default_rng(1)
    turn, scale, shift = Rotation.random(random_state=2).as_matrix(), 0.4, random.normal(size=3)
    changed = []
    for photo in photos:
        axis, step = random.normal(size=(2, 3))
        away = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
        center = photo.camera.center + step * share * 2 / np.linalg.norm(step)
        pose = np.eye(4)
        pose[:3, :3] = away @ photo.camera.camera_from_world[:3, :3] @ turn.T
        pose[:3, 3] = -pose[:3, :3] @ (scale * turn @ center + shift)
        length = photo.camera.fx * (1 + focal)
        camera = replace(photo.camera, fx=length, fy=length, camera_from_world=pose)
        changed.append(replace(photo, camera=camera))
    return changed


def angle(found, truth):
    between = found.camera_from_world[:3, :3] @ truth.camera_from_world[:3, :3].T
    return np.degrees(Rotation.from_matrix(between).magnitude())


def misplaced(found, truth, mesh):
    """How far apart two cameras see the object, in parts of the photo's width."""
    points = mesh.vertices[::37].astype(np.float64)
    apart = found.project(points)[0] - truth.project(points)[0]
    return np.sqrt((apart**2).sum(axis=1).mean()) / truth.width


@pytest.fixture(scope="module")
def placed():
    truth = shoot(blob(), 4)
    photos = disturbed(truth)
    other = shoot(blob(phase=2.5), 4)[OTHER]  # of the same shape even
    photos[OTHER] = replace(photos[OTHER], rgb=other.rgb)
    return truth, place_views(blob(), photos, PlaceConfig(finalists=2), CPU, silent)


def test_cameras_come_out_near_the_truth(placed):
    truth, found = placed
    for number, (photo, view) in enumerate(zip(truth, found.views, strict=True)):
        if number != OTHER:
            assert view.photo.name == photo.name
            assert angle(view.photo.camera, photo.camera) < 1.5
            assert misplaced(view.photo.camera, photo.camera, blob()) < 0.005
            distance = np.linalg.norm(view.photo.camera.center - photo.camera.center)
            assert distance < 0.08 * np.linalg.norm(photo.camera.center)
            assert view.photo.camera.fx == pytest.approx(photo.camera.fx, rel=0.08)
    assert found.other_way is None


def test_a_photo_of_another_object_is_not_trusted_and_the_others_are(placed):
    _, found = placed
    for number, view in enumerate(found.views):
        assert 0 <= view.confidence <= 1
        assert view.confidence == 0 if number == OTHER else view.confidence > 0.9, view


def test_cameras_follow_a_mesh_that_has_changed_a_little(placed):
    truth, found = placed
    tinted = replace(blob(), colors=blob().colors * np.float32(0.9))
    moved = replace(tinted, vertices=tinted.vertices + np.float32(0.01))
    steady, shifted = (place_again(mesh, found, CPU, silent) for mesh in (tinted, moved))
    for number, photo in enumerate(truth):
        if number != OTHER:
            assert steady.views[number].confidence > 0.9
            assert misplaced(steady.views[number].photo.camera, photo.camera, blob()) < 0.005
            assert misplaced(shifted.views[number].photo.camera, photo.camera, moved) > 0.005
            before, after = found.views[number].photo.camera, shifted.views[number].photo.camera
            pixels = [c.project(m.vertices[::37])[0] for c, m in ((before, blob()), (after, moved))]
            assert np.abs(pixels[0] - pixels[1]).mean() < 0.01 * SIZE


def test_another_model_is_not_trusted_and_that_takes_no_longer():
    photos, steps = disturbed(shoot(blob(), 2)), []
    box = trimesh.creation.box((0.3, 0.3, 0.9)).subdivide().subdivide()
    listen = lambda stage, done, total, **numbers: steps.append((stage, done))  # noqa: E731
    config = PlaceConfig(rotations=100)
    found = place_views(painted(box.vertices, box.faces, 2.0), photos, config, CPU, listen)
    assert max(view.confidence for view in found.views) < 0.3
    assert len(steps) < 400  # of the search, and of the fits of four ways round
    assert steps[-1] == ("place", 1)


def test_an_object_that_looks_alike_from_two_sides_says_so():
    box = trimesh.creation.box((0.3, 0.5, 0.8)).subdivide().subdivide().subdivide()
    mesh = painted(box.vertices, box.faces)
    mesh = replace(mesh, colors=np.full_like(mesh.colors, 0.4))
    photos = disturbed(shoot(mesh, 2), degrees=1, share=0.01)
    found = place_views(mesh, photos, PlaceConfig(rotations=300), CPU, silent)
    assert found.other_way == pytest.approx(180, abs=8)


def test_placing_can_be_cancelled():
    def stop(stage, done, total, **numbers):
        raise Cancelled

    with pytest.raises(Cancelled):
        place_views(blob(), disturbed(shoot(blob(), 2)), PlaceConfig(), CPU, stop)


def test_cameras_of_squares_become_cameras_of_whole_photos():
    truth = shoot(blob(), 3)
    pictures = [Picture(photo.name, photo.rgb, photo.mask) for photo in truth]
    squares = [object_square(photo.mask) for photo in truth]
    poses, fields = [], []
    for photo, square in zip(truth, squares, strict=True):
        # a network that sees each square as a camera that looks at the square's middle
        middle = np.array([square.left, square.top]) + square.side / 2
        way = np.append((middle - SIZE / 2) / photo.camera.fx, 1.0)
        turn = Rotation.align_vectors([[0, 0, 1]], [way])[0].as_matrix()
        poses.append(turn @ photo.camera.camera_from_world[:3])
        length = photo.camera.fx * np.linalg.norm(way) ** 1.5
        fields.append([2 * np.arctan(square.side / 2 / length)] * 2)
    found = posed_photos(pictures, squares, np.array(poses), np.array(fields))
    for ours, photo in zip(found, truth, strict=True):
        assert ours.camera.fx == pytest.approx(photo.camera.fx, rel=0.01)
        assert misplaced(ours.camera, photo.camera, blob()) < 0.005


def test_nonsense_from_a_network_still_makes_cameras():
    photo = shoot(blob(), 1)[0]
    picture, square = Picture("p", photo.rgb, photo.mask), object_square(photo.mask)
    (found,) = posed_photos([picture], [square], np.zeros((1, 3, 4)), np.full((1, 2), np.nan))
    assert np.isfinite(found.camera.camera_from_world).all()
    assert 0.1 * SIZE < found.camera.fx < 20 * SIZE


@pytest.mark.parametrize("fields", [{"rotations": 0}, {"least_confidence": 1.5}, {"finalists": 0}])
def test_settings_outside_their_limits_are_refused(fields):
    with pytest.raises(ConfigError, match=r"place\."):
        PlaceConfig(**fields)
