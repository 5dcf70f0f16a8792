# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The sample capture: what is in the files agrees with the truth beside them."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from photocast.config import SampleConfig
from photocast.errors import Cancelled, ConfigError, UserError
from photocast.formats.meshes import load_mesh
from photocast.ops.rocket import rocket_distance
from photocast.stages import sample as stage
from photocast.stages.ingest import read_capture
from photocast.stages.sample import make_sample
from photocast.stages.sample_light import light_directions, sample_light
from photocast.stages.sample_object import sample_object

SMALL = SampleConfig(view_count=5, test_view_count=2, size=96, sample_count=4, depth=True)
CPU = torch.device("cpu")
EXAMPLE = Path(__file__).parents[2] / "examples" / "sample"


@pytest.fixture(scope="module")
def rocket():
    return sample_object()


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "rocket"
    make_sample(folder, SMALL, device=CPU)
    return folder


def frames(folder: Path, split: str):
    """A reader of its own: photo, depth, and pixels of world points, per view."""
    table = json.loads((folder / f"transforms_{split}.json").read_text(encoding="utf-8"))
    for frame in table["frames"]:
        rgba = np.asarray(Image.open(folder / (frame["file_path"] + ".png")))
        depth = None
        if "depth_file_path" in frame:
            stored = np.asarray(Image.open(folder / frame["depth_file_path"]))
            assert stored.dtype == np.uint16
            depth = stored * table["integer_depth_scale"]
        pose = np.array(frame["transform_matrix"])  # world from camera, camera looks along -Z
        focal = rgba.shape[1] / 2 / math.tan(table["camera_angle_x"] / 2)
        yield rgba, depth, pose, focal


def project(points: np.ndarray, pose: np.ndarray, focal: float, size: int) -> np.ndarray:
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    return local[:, :2] / -local[:, 2:] * [focal, -focal] + size / 2


def silhouette(pixels: np.ndarray, faces: np.ndarray, size: int) -> np.ndarray:
    canvas = np.zeros((size * 8, size * 8), np.uint8)
    for triangle in pixels[faces]:
        cv2.fillConvexPoly(canvas, np.rint((triangle * 8 - 0.5) * 256).astype(np.int32), 1, shift=8)
    return canvas.reshape(size, 8, size, 8).mean(axis=(1, 3))


def test_the_rocket_is_one_closed_piece_of_genus_three(rocket):
    mesh = trimesh.Trimesh(rocket.vertices, rocket.faces, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.body_count == 1
    assert mesh.euler_number == 2 - 2 * 3
    assert mesh.volume > 0
    assert len(rocket.faces) == 40_000
    edges = np.sort(mesh.edges, axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_the_rocket_lies_on_its_exact_shape(rocket):
    distance = rocket_distance(torch.tensor(rocket.vertices)).abs().numpy()
    assert distance.max() < 2e-3
    assert distance.mean() < 1e-5
    middles = rocket.vertices[rocket.faces].mean(axis=1)
    assert np.percentile(rocket_distance(torch.tensor(middles)).abs().numpy(), 99) < 6e-3
    # Paint from nearly black to nearly white, all of it possible.
    assert rocket.colors.min() > 0.005
    assert rocket.colors.max() < 0.96
    assert rocket.colors.std(axis=0).min() > 0.15


def test_the_photos_show_the_mesh_of_the_ground_truth(capture):
    mesh = load_mesh(capture / "ground_truth.ply")
    seen = 0
    for split in ("train", "test"):
        for rgba, _, pose, focal in frames(capture, split):
            pixels = project(mesh.vertices, pose, focal, SMALL.size)
            expected = silhouette(pixels, mesh.faces, SMALL.size)
            alpha = rgba[..., 3] / 255
            assert np.minimum(alpha, expected).sum() / np.maximum(alpha, expected).sum() > 0.95
            assert pixels.min() > 0.5
            assert pixels.max() < SMALL.size - 0.5
            assert (rgba[..., :3][rgba[..., 3] == 0] == 0).all()
            seen += 1
    assert seen == SMALL.view_count + SMALL.test_view_count


def test_depth_lifts_each_pixel_onto_the_exact_shape(capture):
    for rgba, depth, pose, focal in frames(capture, "train"):
        rows, columns = np.nonzero(depth)
        assert len(rows) > 300
        z = depth[rows, columns]
        x, y = (columns + 0.5 - SMALL.size / 2) / focal, (rows + 0.5 - SMALL.size / 2) / focal
        points = np.stack([x * z, -y * z, -z], axis=-1) @ pose[:3, :3].T + pose[:3, 3]
        off = rocket_distance(torch.tensor(points, dtype=torch.float32)).abs().numpy()
        # Half a millimetre of rounding, and triangles that cut the curve short.
        assert np.percentile(off, 95) < 1.5e-3
        assert off.max() < 0.01
        assert (depth[rgba[..., 3] == 0] == 0).all()
        assert (depth[rgba[..., 3] == 255] > 0).all()


def test_cameras_stand_apart_around_the_object(capture):
    poses = np.array([p for s in ("train", "test") for _, _, p, _ in frames(capture, s)])
    turns = poses[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1) - np.eye(3), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    assert (poses[:, 2, 1] > 0).all()  # upright: the picture's up has a part along +Z
    np.testing.assert_allclose(poses[:, 2, 0], 0, atol=1e-12)  # level
    gaps = np.linalg.norm(poses[:, None, :3, 3] - poses[None, :, :3, 3], axis=-1)
    assert gaps[~np.eye(len(poses), dtype=bool)].min() > 0.2


def test_the_pipeline_reads_the_capture(capture):
    found = read_capture(capture)
    assert (found.layout, found.mask_source, found.unit) == ("blender", "alpha", "metre")
    assert (len(found.views), len(found.test_views)) == (5, 2)
    np.testing.assert_allclose(found.up, [0, 0, 1], atol=0.05)
    assert found.warnings == ()


def test_the_record_tells_every_option_and_the_light_is_stored(capture):
    record = json.loads((capture / "sample.json").read_text(encoding="utf-8"))
    assert record["options"] == asdict(SMALL)
    stored = cv2.imread(str(capture / record["ground_truth"]["light"]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(stored[..., ::-1], sample_light("studio"), rtol=0.02, atol=0.01)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_equal_seeds_give_equal_files_and_other_seeds_other_cameras(tmp_path):
    tiny = {"view_count": 1, "test_view_count": 0, "size": 32, "sample_count": 1}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_sample(tmp_path / name, SampleConfig(**tiny, seed=seed), device=CPU)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    differ = {n for n, data in files(tmp_path / "a").items() if files(tmp_path / "c")[n] != data}
    assert differ == {"sample.json", "train/r_0.png", "transforms_train.json"}


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="not an empty folder") as caught:
        make_sample(tmp_path, SMALL, device=CPU)
    assert caught.value.code == "sample.out_not_empty"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_cancelled_sample_leaves_nothing_behind(tmp_path):
    def stop(name: str, done: int, total: int, **numbers: float) -> None:
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_sample(tmp_path / "out", SMALL, device=CPU, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["studio", "sky", "sunset"])
def test_each_light_is_positive_and_exposed_alike(name):
    radiance, (directions, solid) = sample_light(name), light_directions()
    assert solid.sum() == pytest.approx(4 * math.pi)
    assert radiance.min() > 0.05
    axes = trimesh.creation.icosphere(subdivisions=3).vertices
    share = np.maximum(axes @ directions.reshape(-1, 3).T, 0) * solid.ravel() / math.pi
    white = share @ radiance.mean(axis=-1).ravel()
    assert white.max() == pytest.approx(1.25, rel=0.02)
    assert 0.2 < white.min() < 0.8  # some contrast, no black side


@pytest.mark.parametrize(
    "wrong",
    [{"view_count": 0}, {"size": 8}, {"sample_count": 12}, {"seed": -1}, {"light": "disco"}],
)
def test_settings_outside_their_limits_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=f"sample.{name} = {value!r}"):
        SampleConfig(**wrong)


def test_the_example_is_what_the_command_makes(rocket):
    record = json.loads((EXAMPLE / "sample.json").read_text(encoding="utf-8"))
    assert record["options"] == asdict(SampleConfig())
    assert sum(len(data) for data in files(EXAMPLE).values()) < 3_000_000
    stored = load_mesh(EXAMPLE / "ground_truth.ply")
    assert stored.vertices.shape == rocket.vertices.shape
    found = read_capture(EXAMPLE)
    assert (len(found.views), len(found.test_views)) == (32, 8)
    studio = stage._Studio(
        stored.vertices, stored.faces, stage.Light(sample_light("studio")), SampleConfig(), CPU
    )
    view = next(view for view in found.views if view.image_path.name == "r_11.png")
    again, _ = studio.photograph(view.camera, 11)
    wanted = np.asarray(Image.open(view.image_path))
    error = (again.astype(float) - wanted)[wanted[..., 3] > 0] / 255
    assert -10 * math.log10((error**2).mean()) > 34  # the light file rounds, rays then differ
