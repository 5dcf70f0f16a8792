# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A result comes back from its folder as it was."""

from dataclasses import replace

import numpy as np
import pytest

from photocast.data import Light, Material, Report, Scene
from photocast.errors import UserError
from photocast.formats.meshes import save_mesh
from photocast.formats.result_folder import load_result, mesh_file
from photocast.geometry.latlong import PHOTOCAST, directions
from photocast.stages.export import export
from photocast.stages.orbit import orbit_camera


def lit(mesh, up=(0.0, 0.0, 1.0)) -> Scene:
    shape = mesh.material.base_color.shape[:2]
    material = Material(
        base_color=mesh.material.base_color,
        roughness=np.full(shape, 102 / 255, np.float32),
        metallic=np.zeros(shape, np.float32),
        normal=np.tile(np.float32([0, 0, 1]), (*shape, 1)),
        unlit=False,
    )
    toward = directions(PHOTOCAST, 8, 16)
    light = Light((1.5 + toward).astype(np.float32))
    axis = np.array(up)
    cameras = {"a": orbit_camera(mesh.vertices, axis, size=(32, 24))}
    return Scene(replace(mesh, material=material), cameras, light=light, up=axis)


def test_material_light_and_cameras_come_back(tmp_path, textured_sphere):
    scene = lit(textured_sphere)
    export(scene, Report(()), tmp_path / "result")
    assert (tmp_path / "result" / "environment.exr").is_file()
    back = load_result(tmp_path / "result")
    np.testing.assert_array_equal(back.light.environment, scene.light.environment)
    np.testing.assert_array_equal(back.mesh.material.roughness, scene.mesh.material.roughness)
    np.testing.assert_array_equal(back.mesh.material.metallic, scene.mesh.material.metallic)
    np.testing.assert_allclose(back.mesh.material.normal, scene.mesh.material.normal, atol=1 / 127)
    np.testing.assert_allclose(
        back.mesh.material.base_color, scene.mesh.material.base_color, atol=1e-5
    )
    assert not back.mesh.material.unlit
    assert list(back.cameras) == ["a"]
    np.testing.assert_array_equal(back.up, scene.up)


def test_an_unlit_result_has_no_light_beside_it_and_ignores_an_old_one(tmp_path, textured_sphere):
    scene = lit(textured_sphere)
    export(scene, Report(()), tmp_path)
    unlit = replace(scene, mesh=textured_sphere)
    export(unlit, Report(()), tmp_path)
    np.testing.assert_array_equal(load_result(tmp_path).light.environment, Light().environment)
    export(unlit, Report(()), tmp_path / "new")
    assert not (tmp_path / "new" / "environment.exr").exists()


def test_a_mesh_alone_is_a_result_without_cameras(tmp_path, textured_sphere):
    save_mesh(tmp_path / "some.ply", textured_sphere)
    back = load_result(tmp_path / "some.ply")
    assert back.cameras == {}
    assert back.up.tolist() == [0, 1, 0]


def test_the_richest_mesh_of_a_folder_is_read(tmp_path, textured_sphere):
    save_mesh(tmp_path / "mesh.ply", textured_sphere)
    assert mesh_file(tmp_path).name == "mesh.ply"
    save_mesh(tmp_path / "mesh.glb", textured_sphere)
    assert mesh_file(tmp_path).name == "mesh.glb"


def test_a_folder_without_a_mesh_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"mesh\.glb, mesh\.obj, mesh\.ply") as caught:
        load_result(tmp_path)
    assert caught.value.code == "evaluate.no_mesh"
