# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A small posed capture of an object whose exact truth is known.

Written in the Blender/NeRF layout: ``transforms_train.json`` with poses ``world_from_camera`` in
OpenGL camera axes, RGBA photos with straight alpha (coverage), and optionally depth in millimetres.
Beside them ``ground_truth.ply``, ``ground_truth_light.hdr`` and ``sample.json``.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from photocast import __version__
from photocast.config import SampleConfig
from photocast.data import Camera, Light
from photocast.errors import PhotocastError, UserError
from photocast.formats.meshes import save_mesh
from photocast.formats.srgb import srgb_from_linear
from photocast.ops.pathtrace import (
    EnvironmentSampler,
    PathtraceOptions,
    Pinhole,
    RayMesh,
    pathtrace,
)
from photocast.ops.rocket import rocket_surface
from photocast.progress import Progress, silent
from photocast.stages.sample_cameras import FIELD_OF_VIEW, cameras_around
from photocast.stages.sample_light import sample_light
from photocast.stages.sample_object import sample_object

__all__ = ["make_sample"]

_OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_DEPTH_UNIT = 0.001  # metres per stored unit


def make_sample(
    out: Path,
    config: SampleConfig,
    *,
    device: torch.device,
    progress: Progress = silent,
) -> None:
    """Photograph the sample object into a new folder.

    The folder appears whole or not at all.

    Args:
        out: Must not exist, or be empty.
        config: Views, size, light and seed.
        device: Where to render; the pictures agree within rounding.
        progress: Told after each view.

    Raises:
        UserError: ``out`` has something in it.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            f"{out} exists and is not an empty folder. Choose another folder, or remove it first.",
            code="sample.out_not_empty",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        partial.chmod(0o755)
        _write(partial, config, device, progress)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: Path, config: SampleConfig, device: torch.device, progress: Progress) -> None:
    total = config.view_count + config.test_view_count
    progress("sample", 0, total)
    mesh = sample_object()
    save_mesh(folder / "ground_truth.ply", mesh)
    light = _write_light(folder / "ground_truth_light.hdr", config)
    studio = _Studio(mesh.vertices, mesh.faces, light, config, device)
    center = mesh.bounds.mean(axis=0).astype(np.float64)
    radius = float(np.linalg.norm(mesh.vertices - center, axis=1).max())
    start = np.random.default_rng(config.seed).random(2)
    done = 0
    for split, count, turn in zip(
        ("train", "test"), (config.view_count, config.test_view_count), start, strict=True
    ):
        if not count:
            continue
        (folder / split).mkdir()
        cameras = cameras_around(center, radius, count=count, size=config.size, turn=turn)
        for index, camera in enumerate(cameras):
            rgba, depth = studio.photograph(camera, done)
            Image.fromarray(rgba).save(folder / split / f"r_{index}.png", optimize=True)
            if config.depth:
                Image.fromarray(depth).save(folder / split / f"depth_{index}.png", optimize=True)
            done += 1
            progress("sample", done, total)
        _write_json(folder / f"transforms_{split}.json", _transforms(split, cameras, config))
    _write_json(folder / "sample.json", _record(config, len(mesh.faces)))


class _Studio:
    """Object and light on the device, ready to be photographed."""

    def __init__(
        self,
        vertices: NDArray[np.float32],
        faces: NDArray[np.int32],
        light: Light,
        config: SampleConfig,
        device: torch.device,
    ) -> None:
        self._mesh = RayMesh(torch.tensor(vertices, device=device), torch.tensor(faces))
        self._light = EnvironmentSampler(torch.tensor(light.environment, device=device))
        self._config = config

    def photograph(
        self, camera: Camera, index: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """sRGB with straight alpha (h, w, 4), and depth in stored units (h, w), 0 = none."""
        options = PathtraceOptions(
            sample_count=self._config.sample_count,
            bounce_count=self._config.bounce_count,
            seed=self._config.seed * 10_007 + index,  # its own noise for each view
        )
        color, depth = pathtrace(
            self._mesh,
            self._light,
            _pinhole(camera),
            surface_at=rocket_surface,
            options=options,
        )
        linear = color.cpu().numpy()
        alpha = np.rint(linear[..., 3:] * 255).astype(np.uint8)
        rgba = np.concatenate([srgb_from_linear(linear[..., :3]), alpha], axis=-1)
        return rgba, np.rint(depth.cpu().numpy() / _DEPTH_UNIT).astype(np.uint16)


def _pinhole(camera: Camera) -> Pinhole:
    return Pinhole(
        width=camera.width,
        height=camera.height,
        focal=(camera.fx, camera.fy),
        center=(camera.cx, camera.cy),
        world_from_camera=torch.tensor(camera.world_from_camera),
    )


def _write_light(path: Path, config: SampleConfig) -> Light:
    """Save the light, and return it as saved: the file's 8-bit mantissas are the truth."""
    import cv2

    radiance = sample_light(config.light)
    ok, data = cv2.imencode(".hdr", np.ascontiguousarray(radiance[..., ::-1]))
    if not ok:
        raise PhotocastError(f"{path} could not be encoded.", code="sample.light")
    path.write_bytes(data.tobytes())
    stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert stored is not None
    return Light(np.ascontiguousarray(stored[..., ::-1], dtype=np.float32))


def _transforms(split: str, cameras: Sequence[Camera], config: SampleConfig) -> dict[str, Any]:
    frames = []
    for index, camera in enumerate(cameras):
        pose = camera.world_from_camera @ _OPENCV_FROM_OPENGL
        frame = {"file_path": f"./{split}/r_{index}", "transform_matrix": pose.tolist()}
        if config.depth:
            frame["depth_file_path"] = f"./{split}/depth_{index}.png"
        frames.append(frame)
    header: dict[str, Any] = {"camera_angle_x": FIELD_OF_VIEW}
    if config.depth:
        header["integer_depth_scale"] = _DEPTH_UNIT
    return {**header, "frames": frames}


def _record(config: SampleConfig, face_count: int) -> dict[str, Any]:
    return {
        "photocast": __version__,
        "options": asdict(config),
        "unit": "metre",
        "up": [0, 0, 1],
        "ground_truth": {
            "mesh": "ground_truth.ply",
            "face_count": face_count,
            "colors": "base colour per vertex, sRGB",
            "light": "ground_truth_light.hdr",
            "light_frame": (
                "latitude-longitude, linear; row 0 looks along +Z, column 0 starts at +X, "
                "columns run towards +Y"
            ),
            "material": "dielectric, reflectance 0.04, roughness 0.2 to 0.8, metallic 0",
        },
    }


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
