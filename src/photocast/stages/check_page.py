# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw what a report shows of a checked mesh, and write the page: renders, marks, heat maps."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Issue, Mesh, Report, Scene
from photocast.stages.heat_map import heat_map_png, marked_png
from photocast.stages.issues import marks_of
from photocast.stages.orbit import orbit_camera
from photocast.stages.preview import preview_png
from photocast.stages.render import Drawable, drawable
from photocast.stages.report_page import ReportImage, report_page
from photocast.stages.surface_facts import Facts
from photocast.stages.validate import Checked

__all__ = ["check_page", "issue_pictures"]

_MOST_PICTURES = 8
_SIZE = 400


def check_page(checked: Checked) -> bytes:
    """Write the report of a file as one page.

    Args:
        checked: The mesh, its facts and its report.
    """
    title = checked.path.name
    if checked.mesh is None or not len(checked.mesh.faces):
        return report_page(checked.report, title=title)
    scene = Scene(mesh=checked.mesh, cameras={}, up=checked.up)
    item = drawable(checked.mesh)  # in its own colours: to light it would take much longer
    images = [
        ReportImage(
            preview_png(scene, rows=3, item=item),
            "image/png",
            alt="Three rows of pictures from around: the render, its geometry and its normals.",
            caption="From around: the render, its geometry and its normals.",
        ),
        *shape_pictures(item, checked.facts, checked.up),
    ]
    pictures = issue_pictures(checked.report, checked.facts, item, checked.up)
    return report_page(checked.report, title=title, images=images, issue_images=pictures)


def issue_pictures(
    report: Report, facts: Facts, item: Drawable, up: NDArray[np.float64]
) -> Mapping[str, ReportImage]:
    """Draw the faces of each issue that has a place: the whole object, and close by.

    Args:
        report: With issues.
        facts: Of the same mesh.
        item: The mesh.
        up: The world's up direction.

    Returns:
        By the name of the check; at most eight.
    """
    found: dict[str, ReportImage] = {}
    drawn: list[NDArray[np.bool_]] = []
    for issue in report.issues:
        marks = marks_of(issue.check, facts)
        if issue.camera is None or marks is None or len(found) == _MOST_PICTURES:
            continue
        if any(np.array_equal(marks, other) for other in drawn):
            continue  # the same faces under another name
        drawn.append(marks)
        cameras = [_whole(item.mesh, issue, up), issue.camera.resized(_SIZE, _SIZE)]
        found[issue.check] = ReportImage(
            marked_png(item, cameras, marks),
            "image/png",
            alt=f"The whole object and a close-up; triangles in red: {issue.face_count}.",
            caption="In red, the triangles of this issue, paler where others hide them: the whole "
            "object, and close by.",
        )
    return found


def shape_pictures(item: Drawable, facts: Facts, up: NDArray[np.float64]) -> list[ReportImage]:
    """Draw how well the triangles are shaped."""
    angles = facts.layers.get("min_angle")
    if angles is None:
        return []
    cameras = [
        orbit_camera(item.mesh.vertices, up, azimuth_deg=azimuth, size=(_SIZE, _SIZE))
        for azimuth in (30, 210)
    ]
    return [
        ReportImage(
            heat_map_png(item, cameras, angles, best=60.0, worst=0.0),
            "image/png",
            alt="Two views of the object, each triangle coloured by its smallest angle: blue is "
            "60 degrees, red is 0.",
            caption="Smallest angle of each triangle, from 60° (best) to 0°.",
        )
    ]


def _whole(mesh: Mesh, issue: Issue, up: NDArray[np.float64]) -> Camera:
    """The whole object, from the side that the issue is on."""
    assert issue.camera is not None
    pose = issue.camera.camera_from_world
    towards = -pose[2, :3]
    base = orbit_camera(mesh.vertices, up, azimuth_deg=0, elevation_deg=0)
    vertical = np.asarray(up, np.float64) / np.linalg.norm(up)
    front = -base.camera_from_world[2, :3]
    side = np.cross(vertical, front)
    azimuth = float(np.degrees(np.arctan2(towards @ side, towards @ front)))
    elevation = float(np.degrees(np.arcsin(np.clip(towards @ vertical, -1, 1))))
    return orbit_camera(
        mesh.vertices,
        up,
        azimuth_deg=azimuth,
        elevation_deg=elevation,
        size=(_SIZE, _SIZE),
    )
