# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Every piece of the museum is mended as far as it can be, and never made worse."""

from dataclasses import replace

import numpy as np
import pytest

from photocast.data import Mesh
from photocast.formats.meshes import load_mesh, save_mesh
from photocast.stages.repair import repair
from photocast.stages.validate import check_file

RANK = {"fail": 0, "warn": 1, "pass": 2}
NO_MESH = ("nan", "no_faces")

MENDED = {
    # piece: the verdict by "print" after a repair with all holes filled
    "open": "pass",
    "flipped": "pass",
    "duplicated": "pass",
    "zero_area": "pass",
    "self_intersecting": "pass",
    "spike": "pass",
    "looped_tube": "pass",
    "folded_strip": "fail",  # how an open sheet should run is for a person to say
    "inside_out": "pass",
    "nested_solids": "pass",
    "nested_shells": "warn",  # a hollow stays a hollow
    "two_bodies_touching": "pass",
    "non_manifold_edge": "warn",  # two bodies, apart
    "non_manifold_vertex": "warn",
    "touching_along_an_edge": "warn",
    "moebius": "fail",  # a surface with one side is no solid
}


@pytest.mark.parametrize("profile", ["view", "print", "simulate"])
def test_no_piece_gets_worse_by_its_own_report(piece, profile, tmp_path):
    if piece.name in NO_MESH:
        pytest.skip("it has a report, but no mesh")
    path = piece.write(tmp_path)
    made = repair(load_mesh(path), profile, holes="all")
    out = tmp_path / f"mended{piece.suffix}"
    save_mesh(out, made.mesh)
    before, after = (check_file(p, profile).report for p in (path, out))
    assert RANK[after.verdict] >= RANK[before.verdict]
    assert after.score >= before.score
    old = {check.name: check.verdict for check in before.checks}
    failed = [sum(c.verdict == "fail" for c in r.checks) for r in (before, after)]
    for check in after.checks:
        if check.verdict is not None and old[check.name] is not None:
            fewer_failures = check.verdict == "warn" and failed[1] < failed[0]
            assert RANK[check.verdict] >= RANK[old[check.name]] or fewer_failures, check.name
    assert (made.before.score, made.after.score) == (before.score, after.score)


def test_pieces_are_mended_as_far_as_they_can_be(pieces, tmp_path):
    pytest.importorskip("manifold3d", reason="not installed")
    found = {}
    for name in MENDED:
        made = repair(load_mesh(pieces[name].write(tmp_path)), "print", holes="all")
        found[name] = made.after.verdict
    assert found == MENDED


def test_what_is_good_stays_as_it_is_bit_by_bit(pieces):
    for name in ("good_sphere", "good_texture", "genus_5"):
        mesh = pieces[name].make()
        made = repair(mesh, "print")
        assert made.changes == ()
        np.testing.assert_array_equal(
            made.mesh.vertices[made.mesh.faces], mesh.vertices[mesh.faces]
        )
        if mesh.uvs is not None:
            np.testing.assert_array_equal(
                made.mesh.uvs[made.mesh.uv_faces], mesh.uvs[mesh.uv_faces]
            )
            assert made.mesh.material is mesh.material


def test_a_hole_is_filled_with_one_point_of_the_map(pieces):
    whole = pieces["good_texture"].make()
    mesh = replace(whole, faces=whole.faces[1:], uv_faces=whole.uv_faces[1:])
    made = repair(mesh, "print", holes="all").mesh
    assert len(made.faces) == 12
    corners = made.uvs[made.uv_faces[-1]]
    assert (corners == corners[0]).all()
    np.testing.assert_array_equal(made.uvs[made.uv_faces[:-1]], mesh.uvs[mesh.uv_faces])


def test_a_large_hole_is_left_open_unless_asked(pieces):
    mesh = pieces["open"].make()
    small = repair(mesh, "print")
    assert small.after.verdict == "fail"
    (change,) = small.changes
    assert "1 holes were left open, up to 1.414 units wide: fill them with --fill-holes all." in (
        change.text)  # fmt: skip
    every = repair(mesh, "print", holes="all")
    values = {check.name: check.value for check in every.after.checks}
    assert values["mesh.volume"] == pytest.approx(1.0)


def test_two_spheres_become_one_solid_of_the_right_volume(pieces):
    pytest.importorskip("manifold3d", reason="not installed")
    made = repair(pieces["self_intersecting"].make(), "print")
    values = {check.name: check.value for check in made.after.checks}
    assert values["mesh.components"] == 1
    assert values["shape.self_intersecting_faces"] == 0
    # Two unit balls, 0.927 apart, less the lens that both have.
    apart = np.linalg.norm([0.9, 0.1, 0.2])
    lens = np.pi * (4 + apart) * (2 - apart) ** 2 / 12
    assert values["mesh.volume"] == pytest.approx(8 / 3 * np.pi - lens, rel=0.02)


def test_uniting_keeps_uvs_and_the_texture(pieces):
    pytest.importorskip("manifold3d", reason="not installed")
    one = pieces["good_texture"].make()
    both = replace(
        one,
        vertices=np.concatenate([one.vertices, one.vertices + np.float32([0.5, 0.3, 0.2])]),
        faces=np.concatenate([one.faces, one.faces + 8]),
        uv_faces=np.concatenate([one.uv_faces, one.uv_faces]),
    )
    made = repair(both, "print").mesh
    assert made.material is both.material
    # On every cube each side is an affine image of its square: position tells the UV.
    for corners, uvs in zip(made.vertices[made.faces], made.uvs[made.uv_faces], strict=True):
        sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        lengths = np.linalg.norm(uvs - np.roll(uvs, 1, axis=0), axis=1)
        np.testing.assert_allclose(lengths, 0.3 * sides, atol=1e-4)


def test_floaters_go_and_the_record_counts_them(pieces):
    ball = pieces["good_sphere"].make()
    speck = pieces["good_cube"].make()
    both = replace(
        ball,
        vertices=np.concatenate([ball.vertices, speck.vertices * np.float32(0.05) + 3]),
        faces=np.concatenate([ball.faces, speck.faces + len(ball.vertices)]),
    )
    made = repair(both, "print")
    assert [change.step for change in made.changes] == ["floaters"]
    assert "1 parts of less than 1 % of the area were dropped, with 12 triangles." in (
        made.changes[0].text)  # fmt: skip
    assert len(made.mesh.faces) == len(ball.faces)


def values_of(state):
    return {check.name: check.value for check in state.checks}


def test_a_spike_is_smoothed_and_nothing_else_moves(pieces):
    ball = pieces["good_sphere"].make()
    mesh = pieces["spike"].make()
    uvs = np.random.default_rng(0).random((len(mesh.vertices), 2)).astype(np.float32)
    made = repair(replace(mesh, uvs=uvs, uv_faces=mesh.faces), "print")
    assert [change.step for change in made.changes] == ["tangles"]
    assert "11 vertices were moved" in made.changes[0].text
    assert values_of(made.after)["shape.self_intersecting_faces"] == 0
    np.testing.assert_array_equal(made.mesh.uvs[made.mesh.uv_faces], uvs[mesh.faces])
    corners = made.mesh.vertices[made.mesh.faces]
    np.testing.assert_allclose(corners, ball.vertices[ball.faces], atol=0.05)
    still = (corners == mesh.vertices[mesh.faces]).all(axis=2)
    assert (~still).sum() <= 11 * 6


def test_a_tube_through_itself_is_united_where_it_crosses_and_keeps_its_uvs(pieces):
    pytest.importorskip("manifold3d", reason="not installed")
    tube = pieces["looped_tube"].make()
    uvs = tube.vertices[:, :2] / 8 + np.float32(0.5)  # position tells the UV
    made = repair(replace(tube, uvs=uvs, uv_faces=tube.faces), "print")
    (change,) = made.changes
    assert "2 parts, 1 of them cut from parts that pass through themselves," in change.text
    before, after = values_of(made.before), values_of(made.after)
    assert before["shape.self_intersecting_faces"] > 50
    assert after["shape.self_intersecting_faces"] == 0
    assert after["mesh.components"] == after["mesh.genus"] == 1
    assert 0.95 * before["mesh.volume"] < after["mesh.volume"] < before["mesh.volume"]
    # No lid is left: every corner has the UV of its place.
    places = made.mesh.vertices[made.mesh.faces][..., :2] / 8 + 0.5
    np.testing.assert_allclose(made.mesh.uvs[made.mesh.uv_faces], places, atol=1e-5)


def test_what_only_a_person_can_decide_is_left_and_said(pieces):
    made = repair(pieces["folded_strip"].make(), "print")
    assert made.changes[-1].step == "intersections"
    assert "is for you to decide" in made.changes[-1].text
    assert made.mesh.faces.tolist() == pieces["folded_strip"].make().faces.tolist()


def test_a_part_that_cannot_be_cut_apart_is_left_and_said(pieces):
    pytest.importorskip("manifold3d", reason="not installed")
    ball = pieces["good_sphere"].make()
    waves = 0.6 * np.sin(ball.vertices @ np.float32([[3, 4, 1], [2, -5, 3], [-4, 1, 3]]))
    mesh = replace(ball, vertices=ball.vertices + waves.astype(np.float32))
    made = repair(mesh, "print")
    assert values_of(made.before)["shape.self_intersecting_share"] > 0.1
    assert "is for you to decide" in made.changes[-1].text
    np.testing.assert_array_equal(made.mesh.vertices[made.mesh.faces], mesh.vertices[mesh.faces])


@pytest.mark.parametrize("seed", range(8))
def test_spheres_with_vertices_thrown_about_are_mended(seed):
    import trimesh

    noise = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(4)
    vertices = ball.vertices.copy()
    thrown = noise.choice(len(vertices), 40, replace=False)
    vertices[thrown] += noise.normal(0, 0.5, (40, 3))
    made = repair(Mesh(vertices.astype(np.float32), ball.faces.astype(np.int32)), "print")
    assert values_of(made.before)["shape.self_intersecting_faces"] > 0
    assert values_of(made.after)["shape.self_intersecting_faces"] == 0
    assert made.after.score > made.before.score
