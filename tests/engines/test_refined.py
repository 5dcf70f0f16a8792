# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A generated mesh is refined by its photos, and kept as it was where that made it worse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from photocast.config import ReconstructConfig, UnwrapConfig
from photocast.data import Capture, Mesh, Scene, View
from photocast.deadline import Deadline, Paced
from photocast.engines.refined import refined
from photocast.formats.meshes import save_mesh
from photocast.progress import silent
from photocast.stages.mesh_distance import mesh_distances
from photocast.stages.unwrap import unwrap
from photocast.stages.vertex_paint import painted

CPU = torch.device("cpu")
CONFIG = ReconstructConfig(engine="generate", preset="draft", refine=True)


def ball(bump: float) -> Mesh:
    made = trimesh.creation.icosphere(4)
    x, y, _ = made.vertices.T
    vertices = made.vertices * (0.85 + bump * np.sin(3 * x) * np.cos(2 * y))[:, None]
    return Mesh(np.array(vertices, np.float32), made.faces.astype(np.int32))


@pytest.fixture(scope="module")
def photos(photograph):
    return photograph(ball(0.1), count=8, size=72)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What a prior might have made of it: too smooth, and too grey."""
    mesh = unwrap(ball(0.06), UnwrapConfig(size=128))
    mesh = replace(mesh, colors=np.full_like(mesh.vertices, 0.4))
    scene = Scene(painted(mesh, 128, CPU), cameras={}, warnings=("first",), facts={"a": 1})
    file = tmp_path_factory.mktemp("made") / "mesh.glb"
    save_mesh(file, scene.mesh)
    return scene, file


def refine(made, photos, tmp_path, seconds):
    views = tuple(View(photo.name, Path(f"{photo.name}.png"), None) for photo in photos)
    capture = Capture(tmp_path, "photos", views, mask_source="file")
    pace = Paced(silent, Deadline(seconds))
    return refined(
        made[0], photos, capture, made[1], CONFIG, pace, device=CPU, cache=tmp_path / "cache"
    )


def test_refining_brings_it_nearer_to_the_photos_and_says_by_how_much(made, photos, tmp_path):
    scene = refine(made, photos, tmp_path, None)
    facts = scene.facts["refinement"]
    assert facts["kept"] is True
    assert facts["psnr_after"] > facts["psnr_before"] + 5
    assert facts["iou_after"] > facts["iou_before"]
    assert scene.facts["a"] == 1
    assert scene.warnings[0] == "first"
    assert f"{facts['psnr_after']:.2f} dB after" in scene.warnings[-1]
    assert not scene.mesh.material.unlit
    truth = ball(0.1)
    before, after = (
        mesh_distances(s.mesh, truth, point_count=4000).chamfer for s in (made[0], scene)
    )
    assert after < before


def test_a_mesh_that_is_right_already_is_kept_as_it_was(photos, made, tmp_path):
    mesh = unwrap(ball(0.1), UnwrapConfig(size=256))
    colors = (0.5 + 0.35 * np.sin(18 * mesh.vertices + [0, 1, 2])).astype(np.float32)
    scene = Scene(painted(replace(mesh, colors=colors), 256, CPU), cameras={})
    file = tmp_path / "mesh.glb"
    save_mesh(file, scene.mesh)
    after = refine((scene, file), photos, tmp_path, 5)
    facts = after.facts["refinement"]
    assert facts["kept"] is False
    assert facts["psnr_after"] < facts["psnr_before"]
    assert after.mesh is scene.mesh
    assert "became worse" in after.warnings[-1]


def test_too_few_photos_are_told_and_nothing_happens(made, photos, tmp_path):
    scene = refine(made, photos[:2], tmp_path, 5)
    assert scene.mesh is made[0].mesh
    assert "2 photos are placed around it, and 3 are needed" in scene.warnings[-1]
    assert scene.facts["refinement"] == {"kept": False}


def test_a_mesh_that_lies_elsewhere_is_not_refined(made, photos, tmp_path):
    away = replace(made[0].mesh, vertices=made[0].mesh.vertices * np.float32(0.4))
    save_mesh(tmp_path / "mesh.glb", away)
    scene = refine((replace(made[0], mesh=away), tmp_path / "mesh.glb"), photos, tmp_path, 5)
    assert scene.mesh is away
    assert "was not refined" in scene.warnings[-1]
