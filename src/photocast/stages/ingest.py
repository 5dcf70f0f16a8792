# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Find out what a folder of photos is, and decode its photos when they are needed."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Capture, Photo, View
from photocast.data.capture import MaskSource
from photocast.errors import CameraError, CaptureError
from photocast.formats.camera_file import CameraFile, list_photos
from photocast.formats.colmap import find_colmap, read_colmap
from photocast.formats.depth_maps import read_confidence, read_depth
from photocast.formats.idr import find_idr, read_idr
from photocast.formats.images import image_orientation, read_mask, read_photo
from photocast.formats.llff import find_llff, read_llff
from photocast.formats.middlebury import find_middlebury, read_middlebury
from photocast.formats.transforms_json import find_transforms, read_transforms
from photocast.geometry.frames import look_at_point, upright_axis, world_up
from photocast.progress import Progress, silent
from photocast.stages.consistency import object_box
from photocast.stages.depth_found import find_depth
from photocast.stages.mask import (
    background_labels,
    background_mask,
    check_masks,
    settled_coverage,
)
from photocast.stages.mask_vote import Labels, settle
from photocast.stages.masks_found import MIN_VIEWS, find_masks
from photocast.stages.undistort import (
    pinhole_of,
    resample_confidence,
    resample_coverage,
    resample_depth,
    resample_rgb,
    target_size,
)
from photocast.threads import cpu_threads

__all__ = ["decode_photos", "hold_out_every", "read_capture"]

_EXACTLY_LEVEL = 0.03
_PIXELS_IN_WORK = 1 << 27  # about 2 GB where photos are also made smaller, in linear light
_DEPTH_SIDE = 1024  # depth maps up to this size are kept whole [px]
MIN_VOTERS = 8  # photos below which masks are not put to the vote
_MOST_VOTES = 1 << 30  # pixels of photos that vote; a kernel's arrays hold no more than twice that


def read_capture(folder: Path) -> Capture:
    """Find out what a folder is: cameras, photos, masks, depth, which way is up.

    Cameras come from the first of: ``transforms*.json``, a COLMAP model, ``cameras*.npz``,
    ``poses_bounds.npy``, ``*_par.txt``.

    Args:
        folder: The capture.

    Returns:
        Views in name order; nothing is decoded but headers and a few probes.

    Raises:
        CaptureError: No folder, no photos, no cameras, too many absent photos, unreadable files.
        CameraError: Poses or intrinsics that cannot be.
    """
    root = Path(folder)
    _check_folder(root)
    file, ignored = _read_cameras(root)
    warnings = [*file.warnings, *_missing_warning(file)]
    if ignored:
        warnings.append(f"Cameras are read from {file.path.name}; {', '.join(ignored)} is ignored.")
    views, source, mask_warnings = find_masks(root, file.views)
    tests, _, _ = find_masks(root, file.test_views)
    named = any(view.depth_path for view in views)
    views, tests = find_depth(root, views), find_depth(root, tests)
    warnings += _depth_warning(file, views) if not named else []
    views, tests = _named_apart(root, views, tests)
    warnings += mask_warnings
    warnings += _orientation_warning(views)
    up, reason = _up(file.layout, views)
    if "unknown" in reason:
        warnings.append(f"Up is a guess ({reason}).")
    box = file.box
    if box is None and source == "none":
        box = _box_from_cameras(views, file.points)
    return Capture(
        root=root,
        layout=file.layout,
        views=views,
        test_views=tests,
        mask_source=source,
        up=up,
        unit=file.unit,
        box=box,
        warnings=tuple(warnings),
    )


def hold_out_every(capture: Capture, step: int) -> Capture:
    """Set every ``step``-th view aside for evaluation, counted from 0 in name order.

    A capture that already has a test split is returned as it is.
    """
    if capture.test_views or step < 2:
        return capture
    views = sorted(capture.views, key=lambda view: view.name)
    kept = tuple(view for index, view in enumerate(views) if index % step)
    return replace(capture, views=kept, test_views=tuple(views[::step]))


def decode_photos(
    views: Sequence[View],
    *,
    mask_source: MaskSource,
    max_size: int | None = None,
    progress: Progress = silent,
    context: Sequence[Photo] = (),
    before_kernels: Callable[[], object] = tuple,
) -> tuple[Photo, ...]:
    """Decode photos, on all cores, with at most a few full-size ones in memory.

    Args:
        views: With cameras.
        mask_source: As in the capture.
        max_size: Longer side of the result [px]; ``None`` keeps the stored size.
        progress: Told about each photo.
        context: Other photos of the capture, decoded, which help to find masks on a plain
            background.
        before_kernels: Called before the first kernel, if there is one: photos may be decoded
            while something else loads kernels, but not work with any.

    Returns:
        Undistorted photos with exact cameras, in the order of ``views``.

    Raises:
        CaptureError: A damaged file, a mask or depth of another aspect, all masks empty.
    """
    photos = _decode_all(views, mask_source, max_size, progress)
    if mask_source != "none" and len(photos) >= MIN_VIEWS:
        coverage = [float(p.mask.mean()) / 255 for p in photos if p.mask is not None]
        check_masks([photo.name for photo in photos], np.array(coverage))
    if mask_source == "background":
        return _with_settled_masks(photos, context, before_kernels)
    return tuple(photos)


def _decode_all(
    views: Sequence[View], mask_source: MaskSource, max_size: int | None, progress: Progress
) -> list[Photo]:
    photos: list[Photo] = []
    threads = _decoders(views)
    with ThreadPoolExecutor(threads, thread_name_prefix="photocast-decode") as pool:
        running: deque[Future[Photo]] = deque()
        try:
            for view in views:
                running.append(pool.submit(_decode, view, mask_source, max_size))
                if len(running) > threads:
                    photos.append(running.popleft().result())
                    progress("decode", len(photos), len(views))
            while running:
                photos.append(running.popleft().result())
                progress("decode", len(photos), len(views))
        finally:
            for future in running:
                future.cancel()
    return photos


def _decoders(views: Sequence[View]) -> int:
    """Threads that keep the photos in work, all together, within a fixed number of pixels."""
    sizes = [view.camera.width * view.camera.height for view in views if view.camera is not None]
    return max(min(cpu_threads(), _PIXELS_IN_WORK // max(sizes, default=1)), 2)


def _with_settled_masks(
    photos: Sequence[Photo], context: Sequence[Photo], before_kernels: Callable[[], object]
) -> tuple[Photo, ...]:
    """Let all photos vote on the doubtful pixels of the first ones."""
    voters = (*photos, *context)
    if len(voters) < MIN_VOTERS:
        return tuple(photos)
    with ThreadPoolExecutor(cpu_threads(), thread_name_prefix="photocast-labels") as pool:
        labelling = pool.map(_labels, voters)
        try:
            box = object_box(voters, margin=0.1)  # shadows may have cut a part from many masks
        except CameraError:  # cameras and masks disagree: no common space to vote in
            return tuple(photos)
        labels = list(labelling)
        before_kernels()
        # of very many photos every second, third, ... votes: they show the same places anyway
        thinned = labels[:: 1 + sum(each.labels.size for each in labels) // _MOST_VOTES]
        masks = settle(labels[: len(photos)], thinned, box)
        return tuple(pool.map(_settled, photos, labels, masks))


def _labels(photo: Photo) -> Labels:
    assert photo.mask is not None
    return Labels(photo.camera, background_labels(photo.rgb, photo.mask))


def _settled(photo: Photo, labels: Labels, mask: NDArray[np.bool_]) -> Photo:
    assert photo.mask is not None
    return replace(photo, mask=settled_coverage(photo.mask, labels.labels, mask))


def _decode(view: View, mask_source: MaskSource, max_size: int | None) -> Photo:
    camera = view.camera
    if camera is None:
        raise CameraError(f"{view.name} has no camera.", code="camera.none")
    rgb, alpha = read_photo(view.image_path)
    if rgb.shape[:2] != (camera.height, camera.width):
        raise CaptureError(
            f"{view.image_path.name} changed its size while it was read.",
            code="capture.image_unreadable",
        )
    full = pinhole_of(camera)
    target = full.resized(*target_size(full.width, full.height, max_size))
    alpha = alpha if mask_source == "alpha" else None
    colour = resample_rgb(rgb, alpha, camera, target)
    stored = _stored_mask(view, mask_source, rgb, alpha)
    depth, confidence = _stored_depth(view, full, target)
    return Photo(
        name=view.name,
        camera=target,
        rgb=colour,
        mask=None if stored is None else resample_coverage(stored, camera, target),
        depth=depth,
        depth_confidence=confidence,
    )


def _stored_depth(
    view: View, full: Camera, target: Camera
) -> tuple[NDArray[np.float32] | None, NDArray[np.uint8] | None]:
    """Depth and its confidence, undistorted, at the size of the depth map's own pixels.

    A sensor's pixels are neither made up (a small map beside a large photo) nor thrown away, but
    for maps that are large themselves and much larger than the photo needs.
    """
    camera = view.camera
    assert camera is not None
    if view.depth_path is None:
        return None, None
    raw = read_depth(view.depth_path, view.depth_scale)
    _check_aspect(view.depth_path, "depth map", raw.shape, (camera.height, camera.width))
    most = max(target.width, target.height, _DEPTH_SIDE)
    own = full.resized(*target_size(raw.shape[1], raw.shape[0], most))
    depth = resample_depth(raw, camera, own)
    if view.confidence_path is None:
        return depth, None
    sure = read_confidence(view.confidence_path)
    _check_aspect(view.confidence_path, "confidence map", sure.shape, raw.shape)
    return depth, resample_confidence(sure, camera, own)


def _stored_mask(
    view: View,
    mask_source: MaskSource,
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None,
) -> NDArray[np.uint8] | None:
    """The mask at the photo's stored size; ``None`` only if the capture has none."""
    if mask_source == "none":
        return None
    if mask_source == "background":
        return background_mask(rgb)
    if mask_source == "alpha":
        return np.full(rgb.shape[:2], 255, np.uint8) if alpha is None else alpha
    if view.mask_path is None:
        raise CaptureError(f"{view.name} has no mask file.", code="capture.mask_missing")
    mask = read_mask(view.mask_path)
    _check_aspect(view.mask_path, "mask", mask.shape, rgb.shape)
    if mask.shape != rgb.shape[:2]:
        import cv2

        height, width = rgb.shape[:2]
        way = cv2.INTER_AREA if mask.shape[0] > height else cv2.INTER_LINEAR
        mask = cv2.resize(mask, (width, height), interpolation=way)
    return mask


def _check_aspect(
    path: Path, kind: str, shape: tuple[int, ...], photo_shape: tuple[int, ...]
) -> None:
    (rows, columns), (height, width) = shape[:2], photo_shape[:2]
    if abs(columns * height / (rows * width) - 1) > 0.01:
        raise CaptureError(
            f"The {kind} {path.name} is {columns}x{rows}, another shape than its photo "
            f"({width}x{height}). Export it uncropped.",
            code="capture.size",
        )


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise CaptureError(
            f"{root} is not there. Give the folder with the photos.", code="capture.no_folder"
        )
    if not root.is_dir():
        raise CaptureError(
            f"{root.name} is a file. Give the folder with the photos and their cameras.",
            code="capture.not_a_folder",
        )


def _read_cameras(root: Path) -> tuple[CameraFile, list[str]]:
    found: list[tuple[str, CameraFile]] = []
    ignored: list[str] = []
    if transforms := find_transforms(root):
        found.append((transforms.name, read_transforms(transforms)))
    for find, read in (
        (find_colmap, lambda path: read_colmap(root, path)),
        (find_idr, read_idr),
        (find_llff, read_llff),
        (find_middlebury, read_middlebury),
    ):
        if path := find(root):
            if found:
                ignored.append(path.relative_to(root).as_posix())
            else:
                found.append((path.name, read(path)))
    if not found:
        raise _no_cameras(root)
    file = found[0][1]
    _check_counts(file)
    return file, ignored


def _no_cameras(root: Path) -> CaptureError:
    photos = [path for folder in (root, *_subfolders(root)) for path in list_photos(folder)]
    if not photos:
        return CaptureError(
            f"{root.name} has no photos (PNG, JPEG, WebP, TIFF or BMP). Give the folder with the "
            "photos and their cameras.",
            code="capture.no_photos",
        )
    for folder in _subfolders(root):
        if find_transforms(folder) or find_llff(folder) or find_idr(folder):
            return CaptureError(
                f"{root.name} has no cameras, but its folder {folder.name} does. Give that one.",
                code="capture.no_cameras",
            )
    return CaptureError(
        f"{root.name} has {len(photos)} photos but no cameras: no transforms.json, COLMAP model "
        "(sparse/0), cameras.npz, poses_bounds.npy or *_par.txt. Estimate the cameras first, for "
        "example with COLMAP.",
        code="capture.no_cameras",
    )


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")


def _check_counts(file: CameraFile) -> None:
    total = len(file.views) + len(file.missing)
    if len(file.missing) * 2 > total:
        raise CaptureError(
            f"{file.path.name} names {total} photos and {len(file.missing)} of them are absent "
            f"(such as {file.missing[0]}). Put the photos where the file says.",
            code="capture.photos_missing",
        )
    if len(file.views) < MIN_VIEWS:
        raise CaptureError(
            f"{file.path.name} gives {len(file.views)} photos with cameras; at least {MIN_VIEWS} "
            "are needed, and 30 or more all around the object are better.",
            code="capture.too_few_photos",
        )
    names = [view.name for view in file.views]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise CaptureError(
            f"{file.path.name} names the photo {repeated[0]} more than once.",
            code="capture.photo_repeated",
        )


def _named_apart(
    root: Path, views: tuple[View, ...], tests: tuple[View, ...]
) -> tuple[tuple[View, ...], tuple[View, ...]]:
    # train/r_0 and test/r_0 are two photos: where a name is in both splits, all get their folder.
    if not {view.name for view in views} & {view.name for view in tests}:
        return views, tests

    def long(view: View) -> View:
        path = view.image_path.relative_to(root).with_suffix("")
        return replace(view, name=path.as_posix())

    return tuple(map(long, views)), tuple(map(long, tests))


def _missing_warning(file: CameraFile) -> list[str]:
    if not file.missing:
        return []
    shown = ", ".join(file.missing[:5]) + (", ..." if len(file.missing) > 5 else "")
    return [
        f"{file.path.name} names {len(file.missing)} photos that are absent ({shown}); "
        f"the other {len(file.views)} are used."
    ]


def _depth_warning(file: CameraFile, views: Sequence[View]) -> list[str]:
    count = sum(view.depth_path is not None for view in views)
    if not count:
        return []
    lacking = f"; {len(views) - count} photos have none" if count < len(views) else ""
    unit = "" if file.unit == "metre" else ", in the unit of the camera poses"
    return [f"{count} depth maps come from a folder{unit}{lacking}."]


def _orientation_warning(views: Sequence[View]) -> list[str]:
    turned = [view.name for view in views if image_orientation(view.image_path) != 1]
    if not turned:
        return []
    return [
        f"{len(turned)} photos (such as {turned[0]}) carry an EXIF rotation, which is not applied: "
        "camera files are taken to describe the stored pixels."
    ]


def _up(layout: str, views: Sequence[View]) -> tuple[NDArray[np.float64], str]:
    poses = np.stack([view.camera.camera_from_world for view in views if view.camera is not None])
    up, reason = world_up(poses)
    if layout in {"blender", "nerfstudio"}:
        # By convention +Z, unless a renderer held the cameras exactly level about another axis.
        z = np.array([0.0, 0.0, 1.0])
        _, roll = upright_axis(poses[:, 0, :3])
        if reason != "cameras held level" or roll > _EXACTLY_LEVEL or up @ z > 0.9:
            return z, "convention of the layout"
    # Rendered captures use an exact axis; so do we where the estimate is within two degrees.
    axis = np.zeros(3)
    axis[np.abs(up).argmax()] = np.sign(up[np.abs(up).argmax()])
    return (axis, reason) if up @ axis > 0.9994 else (up, reason)


def _box_from_cameras(
    views: Sequence[View], points: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    """Where the object should be without masks: what all cameras look at.

    The sphere around the look-at point that reaches half way to the nearest cameras; sparse points
    inside it tighten the box.
    """
    cameras = [view.camera for view in views if view.camera is not None]
    centers = np.stack([camera.center for camera in cameras])
    middle = look_at_point(centers, np.stack([camera.forward for camera in cameras]))
    if middle is None:
        return None
    reach = 0.5 * float(np.percentile(np.linalg.norm(centers - middle, axis=1), 10))
    box: NDArray[np.float64] = np.stack([middle - reach, middle + reach])
    if points is not None:
        inside = points[np.linalg.norm(points - middle, axis=1) < reach]
        if len(inside) >= 50:
            low, high = np.percentile(inside, [1, 99], axis=0)
            margin = 0.05 * (high - low)
            box = np.stack([low - margin, high + margin])
    return box
