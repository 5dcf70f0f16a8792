# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Other programs, asked about every piece: they agree, or the difference is explained here.

The same explanations are in docs/mesh-report.md.
"""

import warnings

import pytest

from photocast.formats.meshes import load_mesh
from photocast.stages.second_opinions import TOOLS, second_opinions
from photocast.stages.validate import check_file

EXPLAINED = {
    # libigl counts the triangle without area as well; we leave it to mesh.degenerate_faces.
    ("libigl", "zero_area", "shape.self_intersecting_faces"),
    # Open3D does not look at triangles that share a vertex.
    ("Open3D", "zero_area", "shape.self_intersecting_faces"),
    # Flat neighbours that walk their edge the same way lie beside each other; libigl counts them.
    ("libigl", "moebius", "shape.self_intersecting_faces"),
    ("libigl", "non_manifold_edge", "shape.self_intersecting_faces"),
    ("libigl", "touching_along_an_edge", "shape.self_intersecting_faces"),
    # neatmesh computes with the file's float32, and squares overflow.
    ("neatmesh", "gigantic", "mesh.area"),
    # manifold3d pairs the four triangles at an edge as two bodies that touch, and then counts the
    # edge and its ends twice.
    ("manifold3d", "non_manifold_edge", "mesh.euler_number"),
    ("manifold3d", "touching_along_an_edge", "mesh.euler_number"),
    ("manifold3d", "non_manifold_vertex", "mesh.euler_number"),
}


def opinions_on(piece, folder):
    if piece.name in ("nan", "no_faces"):
        pytest.skip("it has a report, but no mesh")
    path = piece.write(folder)
    found = {check.name: check.value for check in check_file(path).report.checks}
    return found, second_opinions(path, load_mesh(path))


@pytest.mark.open3d
def test_whoever_is_installed_agrees_with_us_or_it_is_explained(piece, tmp_path):
    found, opinions = opinions_on(piece, tmp_path)
    for opinion in opinions:
        for name, value in opinion.answers.items():
            if value is None or name not in found or found[name] is None:
                continue
            same = found[name] == (
                pytest.approx(value, rel=1e-3) if isinstance(value, float) else value
            )
            key = (opinion.tool, piece.name, name)
            assert same == (key not in EXPLAINED), (key, found[name], value)


@pytest.mark.open3d
def test_every_tool_says_whether_it_ran_and_why_not(piece, tmp_path):
    _, opinions = opinions_on(piece, tmp_path)
    assert [opinion.tool for opinion in opinions] == list(TOOLS)
    for opinion in opinions:
        assert (opinion.status == "ran") == bool(opinion.answers), opinion
        assert (opinion.status == "ran") == (opinion.reason == ""), opinion


def test_a_tool_that_is_missing_says_how_to_install_it(pieces, tmp_path, monkeypatch):
    gone = {"none": ("photocast_no_such_module", "no-such-package", lambda *_: {})}
    monkeypatch.setattr("photocast.stages.second_opinions.TOOLS", gone)
    path = pieces["good_cube"].write(tmp_path)
    (opinion,) = second_opinions(path, load_mesh(path))
    assert opinion.status == "not run"
    assert opinion.version is None
    assert "pip install no-such-package" in opinion.reason


def test_a_tool_that_crashes_is_not_our_crash(pieces, tmp_path, monkeypatch):
    def crash(tool, path, mesh):
        warnings.warn("careful", stacklevel=1)
        raise ValueError("too many values to unpack")

    monkeypatch.setattr(
        "photocast.stages.second_opinions.TOOLS", {"odd": ("numpy", "numpy", crash)}
    )
    path = pieces["good_cube"].write(tmp_path)
    (opinion,) = second_opinions(path, load_mesh(path))
    assert opinion.status == "not applicable"
    assert "too many values" in opinion.reason


def test_manifold3d_takes_what_we_call_sound(pieces, tmp_path):
    pytest.importorskip("manifold3d", reason="not installed")
    for name, solid in (("good_sphere", True), ("genus_5", True), ("nested_shells", True),
                        ("open", False), ("flipped", False), ("moebius", False)):  # fmt: skip
        path = pieces[name].write(tmp_path)
        (opinion,) = [o for o in second_opinions(path, load_mesh(path)) if o.tool == "manifold3d"]
        assert (opinion.answers["status"] == "NoError") == solid, (name, opinion)
