# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Another renderer sees in our files what we mean; its parts run where mitsuba is installed."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from photocast.data import Camera, Light, Material, Mesh, Scene
from photocast.formats.environment import environment_exr
from photocast.formats.meshes import save_mesh
from photocast.geometry.latlong import PHOTOCAST, directions
from photocast.geometry.upright import upright_matrix
from photocast.stages.ingest import decode_photos, read_capture
from photocast.stages.lit_drawing import render_for_scores
from photocast.stages.metrics import psnr

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    path = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"photocast_script_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (1, 2, -3)])
def test_the_foreign_reader_finds_the_mesh_upright_with_its_uvs(tmp_path, textured_sphere, up):
    axis = np.array(up, dtype=float)
    save_mesh(tmp_path / "mesh.glb", textured_sphere, up=axis)
    found = script("foreign_eyes").read_glb(tmp_path / "mesh.glb")
    turn = upright_matrix(axis)
    corners = textured_sphere.vertices[textured_sphere.faces] @ turn.T
    np.testing.assert_allclose(found.vertices[found.faces], corners, atol=1e-5)
    np.testing.assert_allclose(
        found.uvs[found.faces], textured_sphere.uvs[textured_sphere.uv_faces], atol=1e-6
    )
    np.testing.assert_allclose(found.glb_from_capture[:3, :3], turn, atol=1e-6)


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (1, 2, -3)])
@pytest.mark.parametrize("tilt", [(0.6, 0, 0.8), (-0.6, 0, 0.8), (0, 0.6, 0.8), (0, -0.6, 0.8)])
def test_a_normal_map_leans_to_the_same_side_of_the_same_light(tmp_path, up, tilt):
    mi = pytest.importorskip("mitsuba")
    mi.set_variant("scalar_rgb")
    eyes = script("foreign_eyes")
    # A grey square facing +Z, lit from around +X in red and from around +Y in green.
    toward = directions(PHOTOCAST, 16, 32)
    light = np.zeros((16, 32, 3), np.float32)
    light[..., 0], light[..., 1] = toward[..., 0] > 0.5, toward[..., 1] > 0.5
    mesh = Mesh(
        vertices=np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]),
        faces=np.int32([[0, 1, 2], [0, 2, 3]]),
        uvs=np.float32([[0, 1], [1, 1], [1, 0], [0, 0]]),
        uv_faces=np.int32([[0, 1, 2], [0, 2, 3]]),
        material=Material(
            base_color=np.full((4, 4, 3), 0.5, np.float32),
            roughness=np.ones((4, 4), np.float32),
            normal=np.tile(np.float32(tilt), (4, 4, 1)),
            unlit=False,
        ),
    )
    axis = np.array(up, dtype=float)
    save_mesh(tmp_path / "mesh.glb", mesh, up=axis)
    (tmp_path / "light.exr").write_bytes(environment_exr(light, up=axis))
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = 3
    exported = eyes.read_glb(tmp_path / "mesh.glb")
    sensor = eyes.sensor_of(mi, Camera(8, 8, 8.0, 8.0, 4.0, 4.0, pose), exported, 64)
    scene = eyes.scene_of(mi, exported, tmp_path / "light.exr")
    picture = np.array(mi.render(scene, sensor=sensor, spp=64))[2:6, 2:6].mean(axis=(0, 1))
    for channel, lean in enumerate(tilt[:2]):
        wanted = {0.6: (0.13, 0.2), 0: (0.06, 0.1), -0.6: (0, 0.03)}[lean]
        assert wanted[0] <= picture[channel] <= wanted[1]


def test_the_truth_of_spot_looks_like_its_photos(capture_folder):
    folder = capture_folder("spot")
    truth = script("spot_truth").true_scene(folder)
    capture = read_capture(folder)
    (photo,) = decode_photos(capture.test_views[:1], mask_source=capture.mask_source, max_size=128)
    mesh = truth.mesh
    assert mesh.uvs is not None
    as_in_the_file = replace(mesh, uvs=(mesh.uvs * [1, -1] + [0, 1]).astype(np.float32))
    inside = photo.mask > 250
    scores = []
    for each in (mesh, as_in_the_file):
        rgb, _ = render_for_scores(Scene(each, {}, light=Light()), style="base_color")(photo.camera)
        scores.append(psnr(rgb / 255, photo.rgb / 255, mask=inside))
    assert scores[0] > scores[1] + 3
