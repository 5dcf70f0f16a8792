# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Write the truth of the capture ``spot`` as a result folder, to be drawn and scored like one.

    python benchmarks/spot_truth.py ../shared/data/spot truth
    python benchmarks/spot_truth.py ../shared/data/spot relit --relit

The photos show the texture mirrored in v against ``ground_truth.glb`` as glTF defines it: the file
has a cow with eyes, the photos one without. So v is mirrored here. The photos' material is a
dielectric of roughness 0.4; both lights are files of Mitsuba.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from photocast.data import Light, Material, Mesh, Scene
from photocast.formats.cameras_json import cameras_json
from photocast.formats.environment import environment_exr, read_environment
from photocast.formats.meshes import load_mesh, mesh_files
from photocast.formats.result_folder import CAMERAS_FILE, LIGHT_FILE
from photocast.formats.transforms_json import read_transforms
from photocast.stages.export import place_files

ROUGHNESS = 0.4
UP = np.array([0.0, 1.0, 0.0])


def true_mesh(capture: Path) -> Mesh:
    """The mesh with the material that the photos show."""
    mesh = load_mesh(capture / "ground_truth.glb")
    assert mesh.uvs is not None
    shape = (1, 1)
    material = Material(
        base_color=mesh.material.base_color,
        roughness=np.full(shape, ROUGHNESS, np.float32),
        metallic=np.zeros(shape, np.float32),
        unlit=False,
    )
    uvs = (mesh.uvs * [1, -1] + [0, 1]).astype(np.float32)
    return replace(mesh, uvs=uvs, material=material)


def true_scene(capture: Path, *, relit: bool = False) -> Scene:
    """Mesh, light and held-out cameras."""
    split = "relit" if relit else "test"
    views = read_transforms(capture / f"transforms_{split}.json").views
    light = capture / ("environment_relit.exr" if relit else "environment.exr")
    return Scene(
        mesh=true_mesh(capture),
        cameras={view.name: view.camera for view in views if view.camera is not None},
        light=Light(read_environment(light, convention="mitsuba")),
        up=UP,
    )


def write_truth(capture: Path, out: Path, *, relit: bool = False) -> None:
    """Write ``mesh.glb``, ``cameras.json`` and ``environment.exr``."""
    scene = true_scene(capture, relit=relit)
    files = dict(mesh_files(scene.mesh, ".glb", up=scene.up))
    files[CAMERAS_FILE] = cameras_json(scene.cameras, scene.up)
    files[LIGHT_FILE] = environment_exr(scene.light.environment, up=scene.up)
    place_files(out, files)


def main() -> None:
    """Write the folder named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path, help="the capture spot")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--relit", action="store_true", help="under the other light")
    options = parser.parse_args()
    write_truth(options.capture, options.out, relit=options.relit)
    sys.stdout.write(json.dumps({"out": str(options.out), "relit": options.relit}) + "\n")


if __name__ == "__main__":
    main()
