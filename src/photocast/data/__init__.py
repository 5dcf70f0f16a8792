# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The nouns that flow between stages. Frozen; a value that exists is valid."""

from photocast.data.camera import Camera, Distortion
from photocast.data.capture import Capture, Photo, Picture, View
from photocast.data.mesh import Material, Mesh
from photocast.data.poses import CameraChange, LensChange, PoseReport
from photocast.data.report import Check, Histogram, Issue, Report, SecondOpinion, Verdict
from photocast.data.scene import Light, Scene

__all__ = [
    "Camera",
    "CameraChange",
    "Capture",
    "Check",
    "Distortion",
    "Histogram",
    "Issue",
    "LensChange",
    "Light",
    "Material",
    "Mesh",
    "Photo",
    "Picture",
    "PoseReport",
    "Report",
    "Scene",
    "SecondOpinion",
    "Verdict",
    "View",
]
