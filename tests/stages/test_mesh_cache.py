# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A finished stage is kept exactly, recognised exactly, and never trusted when damaged."""

from dataclasses import replace

import numpy as np
import pytest

from photocast.data import Mesh
from photocast.stages.mesh_cache import MeshCache, photo_digest


def some_mesh(seed=0):
    random = np.random.default_rng(seed)
    vertices = random.normal(size=(7, 3)).astype(np.float32)
    faces = random.integers(0, 7, (5, 3)).astype(np.int32)
    return Mesh(vertices, faces)


def never():
    raise AssertionError("computed again")


def test_a_kept_mesh_comes_back_bit_equal(tmp_path):
    mesh = some_mesh()
    MeshCache(tmp_path / "new", "photos").get("shape", 1, lambda: mesh)
    back = MeshCache(tmp_path / "new", "photos").get("shape", 1, never)
    np.testing.assert_array_equal(back.vertices, mesh.vertices)
    np.testing.assert_array_equal(back.faces, mesh.faces)


@pytest.mark.parametrize(
    ("photos", "first", "second", "computed"),
    [
        ("a", 1, 2, []),
        ("a", 1, 3, ["second"]),
        ("a", 9, 2, ["first", "second"]),  # a stage depends on all before it
        ("b", 1, 2, ["first", "second"]),
    ],
)
def test_a_change_computes_its_stage_and_all_after_it(tmp_path, photos, first, second, computed):
    def run(photos, first, second):
        done = []
        cache = MeshCache(tmp_path, photos)
        cache.get("first", first, lambda: done.append("first") or some_mesh())
        cache.get("second", second, lambda: done.append("second") or some_mesh(1))
        return done

    assert run("a", 1, 2) == ["first", "second"]
    assert run(photos, first, second) == computed
    assert len(list(tmp_path.iterdir())) == 2  # what is replaced is removed


@pytest.mark.parametrize("size", [0, 1, 30, 0.5, -1])
def test_a_file_cut_short_is_computed_again(tmp_path, size):
    MeshCache(tmp_path, "photos").get("shape", 1, some_mesh)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: size if isinstance(size, int) else int(size * len(data))])
    other = some_mesh(5)
    assert MeshCache(tmp_path, "photos").get("shape", 1, lambda: other) is other
    back = MeshCache(tmp_path, "photos").get("shape", 1, never)
    np.testing.assert_array_equal(back.vertices, other.vertices)


@pytest.mark.parametrize("what", ["nan", "index", "names", "text"])
def test_a_file_with_wrong_contents_is_computed_again(tmp_path, what):
    MeshCache(tmp_path, "photos").get("shape", 1, some_mesh)
    (path,) = tmp_path.iterdir()
    mesh = some_mesh()
    if what == "nan":
        np.savez(path, vertices=mesh.vertices * np.nan, faces=mesh.faces)
    elif what == "index":
        np.savez(path, vertices=mesh.vertices, faces=mesh.faces + 7)
    elif what == "names":
        np.savez(path, points=mesh.vertices)
    else:
        path.write_bytes(b"not a mesh at all" * 50)
    other = some_mesh(5)
    assert MeshCache(tmp_path, "photos").get("shape", 1, lambda: other) is other


def test_a_stage_that_fails_keeps_nothing(tmp_path):
    with pytest.raises(AssertionError):
        MeshCache(tmp_path / "new", "photos").get("shape", 1, never)
    assert not (tmp_path / "new").exists()


def test_the_digest_changes_with_everything_a_photo_says(photograph, textured_sphere):
    photos = photograph(textured_sphere, count=3, size=16)
    photo = photos[1]
    pose = photo.camera.camera_from_world.copy()
    pose[0, 3] += 1e-9
    depth = np.ones(photo.mask.shape, np.float32)
    others = [
        replace(photo, name="other"),
        replace(photo, rgb=photo.rgb ^ 1),
        replace(photo, mask=photo.mask ^ 1),
        replace(photo, mask=None),
        replace(photo, depth=depth),
        replace(photo, depth=depth * 2),
        replace(photo, depth=depth, depth_confidence=np.ones(depth.shape, np.uint8)),
        replace(photo, camera=replace(photo.camera, cx=photo.camera.cx + 1e-9)),
        replace(photo, camera=replace(photo.camera, camera_from_world=pose)),
    ]
    digests = {photo_digest([photos[0], other, photos[2]]) for other in [photo, *others]}
    digests |= {photo_digest(photos[:2]), photo_digest(photos[::-1])}
    assert len(digests) == len(others) + 3
    assert photo_digest(photos) == photo_digest(list(photos))


def test_a_document_is_kept_and_a_damaged_one_made_again(tmp_path):
    found = {"kept": "lens", "numbers": {"shift": 1 / 3}}
    MeshCache(tmp_path, "photos").document("poses", 1, lambda: found)
    assert MeshCache(tmp_path, "photos").document("poses", 1, never) == found
    (path,) = tmp_path.glob("poses-*.json")
    path.write_text("{", encoding="utf-8")
    assert MeshCache(tmp_path, "photos").document("poses", 1, lambda: found) == found
    assert MeshCache(tmp_path, "photos").document("poses", 2, lambda: {"kept": "n"})["kept"] == "n"
    assert len(list(tmp_path.glob("poses-*"))) == 1
