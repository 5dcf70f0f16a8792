# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw a result with Mitsuba 3, from its exported files alone, and compare with our own pictures.

    pip install mitsuba
    python benchmarks/foreign_eyes.py result --capture ../shared/data/spot

What is asked: do ``mesh.glb``, ``environment.exr`` and ``cameras.json`` mean to somebody else what
they mean to us? The GLB is read by trimesh, the light by Mitsuba; nothing of ours is imported for
the foreign picture. glTF's metallic-roughness material becomes Mitsuba's ``principled``, full
light transport included, so that a little difference is right: interreflection is in its pictures.
Everything happens in the frame of the GLB, +Y up. Needs the development install and mitsuba.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]
TOLERANCE_DB = 1.5
_MITSUBA_FROM_OPENCV = np.diag([-1.0, -1.0, 1.0, 1.0])  # +X left, +Y up, +Z forward


@dataclass(frozen=True)
class Options:
    """How to draw."""

    size: int
    samples: int
    variant: str


@dataclass(frozen=True)
class Exported:
    """What the files hold, in the GLB's frame."""

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    faces: NDArray[np.int64]
    uvs: NDArray[np.float32]
    """From the top left, as glTF and Mitsuba count."""
    material: Any
    glb_from_capture: NDArray[np.float64]
    """(4, 4)."""


def read_glb(path: Path) -> Exported:
    """Read a GLB with one mesh through trimesh."""
    import trimesh

    scene = trimesh.load(path, process=False)
    (node,) = scene.graph.nodes_geometry
    transform, name = scene.graph[node]
    mesh = scene.geometry[name]
    turn = transform[:3, :3]
    uvs = np.asarray(mesh.visual.uv, dtype=np.float32) * [1, -1] + [0, 1]
    return Exported(
        vertices=(mesh.vertices @ turn.T + transform[:3, 3]).astype(np.float32),
        normals=(mesh.vertex_normals @ turn.T).astype(np.float32),
        faces=np.asarray(mesh.faces),
        uvs=uvs.astype(np.float32),
        material=mesh.visual.material,
        glb_from_capture=np.asarray(transform),
    )


def bsdf_of(mi: Any, material: Any) -> dict[str, Any]:
    """glTF's material as a ``principled`` BSDF; F0 is 0.04 where it is no metal."""
    surface: dict[str, Any] = {"type": "principled", "specular": 0.5}
    if material.baseColorTexture is not None:
        picture = np.asarray(material.baseColorTexture.convert("RGB"))
        surface["base_color"] = _bitmap(mi, picture, raw=False)
    packed = material.metallicRoughnessTexture
    factors = {"roughness": material.roughnessFactor, "metallic": material.metallicFactor}
    for channel, (key, factor) in enumerate(factors.items(), start=1):
        factor = 1.0 if factor is None else float(factor)
        if packed is None:
            surface[key] = factor
        else:
            picture = np.asarray(packed.convert("RGB"))[..., channel] / 255 * factor
            surface[key] = _bitmap(mi, picture[..., None].astype(np.float32), raw=True)
    if material.normalTexture is None:
        return surface
    normal = np.asarray(material.normalTexture.convert("RGB"))
    return {"type": "normalmap", "normalmap": _bitmap(mi, normal, raw=True), "bsdf": surface}


def _bitmap(mi: Any, picture: NDArray[Any], *, raw: bool) -> dict[str, Any]:
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.array(picture)),  # a copy: read-only arrays are refused
        "raw": raw,
        "wrap_mode": "clamp",
    }


def envmap_of(mi: Any, path: Path) -> dict[str, Any]:
    """The light beside the GLB, as Mitsuba wants it.

    A viewer's panorama has +X in its middle where Mitsuba has +Z: a quarter turn about +Y. Its
    first row is a band below the pole where Mitsuba's is the pole itself: rows are interpolated.
    """
    kind = (mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.Float32, False)
    bands = np.array(mi.Bitmap(str(path)).convert(*kind))
    height = len(bands)
    row = np.linspace(0, 1, 2 * height + 1) * height - 0.5
    row = np.clip(row, 0, height - 1)
    above = np.minimum(row.astype(int), height - 2)
    share = (row - above)[:, None, None]
    lines = bands[above] * (1 - share) + bands[above + 1] * share
    turn = mi.ScalarTransform4f().rotate([0, 1, 0], 90)
    bitmap = mi.Bitmap(lines.astype(np.float32))
    return {"type": "envmap", "bitmap": bitmap, "to_world": turn}


def scene_of(mi: Any, exported: Exported, light: Path) -> Any:
    """A Mitsuba scene of the exported files."""
    properties = mi.Properties()
    properties["surface"] = mi.load_dict(bsdf_of(mi, exported.material))
    counts = (len(exported.vertices), len(exported.faces))
    mesh = mi.Mesh(
        "object", *counts, has_vertex_normals=True, has_vertex_texcoords=True, props=properties
    )
    arrays = mi.traverse(mesh)
    arrays["vertex_positions"] = exported.vertices.ravel()
    arrays["vertex_normals"] = exported.normals.ravel()
    arrays["vertex_texcoords"] = exported.uvs.ravel()
    arrays["faces"] = exported.faces.astype(np.uint32).ravel()
    arrays.update()
    return mi.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "path", "hide_emitters": True},
            "object": mesh,
            "light": envmap_of(mi, light),
        }
    )


def sensor_of(mi: Any, camera: Any, exported: Exported, samples: int) -> Any:
    """One of our cameras (OpenCV axes, capture's frame) as a Mitsuba sensor in the GLB's frame."""
    if abs(camera.fx / camera.fy - 1) > 0.01:
        raise SystemExit("Mitsuba's perspective camera has square pixels; this one has not.")
    pose = np.linalg.inv(camera.camera_from_world)
    to_world = exported.glb_from_capture @ pose @ _MITSUBA_FROM_OPENCV
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": float(np.degrees(2 * np.arctan(camera.width / 2 / camera.fx))),
            "fov_axis": "x",
            "principal_point_offset_x": 0.5 - camera.cx / camera.width,
            "principal_point_offset_y": 0.5 - camera.cy / camera.height,
            "to_world": mi.ScalarTransform4f(to_world),
            "film": {
                "type": "hdrfilm",
                "width": camera.width,
                "height": camera.height,
                "pixel_format": "rgba",
                "rfilter": {"type": "box"},
            },
            "sampler": {"type": "independent", "sample_count": samples},
        }
    )


def foreign_picture(mi: Any, scene: Any, sensor: Any, samples: int) -> Image:
    """Draw, and lay over white in sRGB, (h, w, 3)."""
    linear = np.array(mi.render(scene, sensor=sensor, spp=samples), dtype=np.float64)
    alpha = np.clip(linear[..., 3:], 0, 1)
    straight = np.clip(linear[..., :3] / np.maximum(alpha, 1e-6), 0, 1)
    curve = np.where(straight <= 0.0031308, straight * 12.92, 1.055 * straight ** (1 / 2.4) - 0.055)
    over: Image = curve * alpha + 1 - alpha
    return over


def psnr(got: Image, wanted: Image) -> float:
    """Of the whole picture [dB]."""
    return float(-10 * np.log10(max(np.square(got - wanted).mean(), 1e-10)))


def compare(result: Path, photos: Sequence[Any], options: Options) -> list[dict[str, Any]]:
    """Scores of each photo's view."""
    import mitsuba as mi

    from photocast.formats.result_folder import load_result
    from photocast.stages.lit_drawing import render_for_scores

    mi.set_variant(options.variant)
    exported = read_glb(result / "mesh.glb")
    scene = scene_of(mi, exported, result / "environment.exr")
    ours = render_for_scores(load_result(result))
    rows = []
    for photo in photos:
        sensor = sensor_of(mi, photo.camera, exported, options.samples)
        theirs = foreign_picture(mi, scene, sensor, options.samples)
        own, truth = _over_white(*ours(photo.camera)), _over_white(photo.rgb, photo.mask)
        rows.append(
            {
                "view": photo.name,
                "foreign": psnr(theirs, truth),
                "own": psnr(own, truth),
                "foreign_to_own": psnr(theirs, own),
            }
        )
    return rows


def _over_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> Image:
    if alpha is None:
        raise SystemExit("The capture has no masks, so its photos cannot be laid over white.")
    share = alpha[..., None] / 255
    over: Image = rgb / 255 * share + 1 - share
    return over


def held_out(capture: Path, relit: Path | None, holdout: int, options: Options, count: int) -> Any:
    """Some photos that the result was not made from, reduced."""
    from photocast.formats.transforms_json import read_transforms
    from photocast.stages.ingest import decode_photos, hold_out_every, read_capture
    from photocast.stages.masks_found import find_masks

    found = hold_out_every(read_capture(capture), holdout)
    views, source = found.test_views, found.mask_source
    if relit is not None:
        views, source, _ = find_masks(relit.parent, read_transforms(relit).views)
    chosen = [views[int(i)] for i in np.linspace(0, len(views) - 1, min(count, len(views)))]
    return decode_photos(chosen, mask_source=source, max_size=options.size)


def main() -> None:
    """Compare the result named on the command line; exit 1 if a foreigner sees something else."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path, help="result folder of a lit material")
    parser.add_argument("--capture", type=Path, required=True, help="for its held-out photos")
    parser.add_argument("--relit", type=Path, help="camera file of photos in the result's light")
    parser.add_argument("--holdout", type=int, default=0, help="as given to reconstruct")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--size", type=int, default=128, help="longer side of a picture [px]")
    parser.add_argument("--samples", type=int, default=64, help="rays per pixel")
    parser.add_argument("--variant", default="scalar_rgb", help="of Mitsuba, such as llvm_ad_rgb")
    given = parser.parse_args()
    for name in ("mesh.glb", "environment.exr"):
        if not (given.result / name).is_file():
            parser.error(f"{given.result / name} is not there; a lit result has both files")
    options = Options(given.size, given.samples, given.variant)
    photos = held_out(given.capture, given.relit, given.holdout, options, given.views)
    rows = compare(given.result, photos, options)
    keys = ("foreign", "own", "foreign_to_own")
    mean = {key: round(sum(row[key] for row in rows) / len(rows), 2) for key in keys}
    alike = abs(mean["foreign"] - mean["own"]) <= TOLERANCE_DB
    said = {"views": rows, "mean": mean, "tolerance_db": TOLERANCE_DB, "alike": alike}
    sys.stdout.write(json.dumps(said, indent=1) + "\n")
    sys.exit(0 if alike else 1)


if __name__ == "__main__":
    main()
