# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Do masks and cameras agree, and where is the object? A coarse visual hull answers both.

A point belongs to the hull if nearly all photos that see it see it inside their mask. All in the
capture's world frame.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from photocast.data import Camera, Photo
from photocast.errors import CameraError
from photocast.geometry.frames import invert_rigid, look_at_point
from photocast.threads import cpu_threads

__all__ = [
    "HYPOTHESES",
    "Agreement",
    "Silhouette",
    "changed_pose",
    "check_agreement",
    "object_box",
    "require_agreement",
    "silhouettes",
]

Array = NDArray[np.float64]

MASK_SIZE = 128
"""Longer side of the reduced masks [px]."""
_GRID = 40  # cells along the longest side of the box
_USELESS = 0.4  # cameras that explain less than this share of the masks are wrong
_BAD_VIEW = 0.5  # a view that explains less of its mask than this is left out

FLIPS = {
    "": np.diag([1.0, 1.0, 1.0, 1.0]),
    "y and z axes flipped (OpenGL)": np.diag([1.0, -1.0, -1.0, 1.0]),
    "x and z axes flipped": np.diag([-1.0, 1.0, -1.0, 1.0]),
    "x and y axes flipped (turned by 180 degrees)": np.diag([-1.0, -1.0, 1.0, 1.0]),
}
HYPOTHESES: tuple[tuple[bool, str], ...] = tuple(
    (inverted, flip) for inverted in (False, True) for flip in FLIPS
)
"""What may be wrong with all poses at once: read the wrong way round, and camera axes flipped. Only
pairs of axes can flip, as one alone would mirror the world; that makes 2 x 4."""


@dataclass(frozen=True, slots=True, eq=False)
class Silhouette:
    """A reduced mask and the camera for exactly its size."""

    name: str
    camera: Camera
    inside: NDArray[np.bool_]
    """(h, w)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well masks and cameras fit together."""

    score: float
    """Median share of a mask's pixels that the common hull explains, 0..1."""
    bad_views: tuple[str, ...]
    """Views whose mask the others contradict."""
    suggestion: str = ""
    """Which change of all poses would fit much better; empty if none."""
    suggestion_score: float = 0.0


def silhouettes(photos: Sequence[Photo], size: int = MASK_SIZE) -> tuple[Silhouette, ...]:
    """Reduce the masks; photos without a mask are left out."""
    found = []
    for photo in photos:
        if photo.mask is None:
            continue
        height, width = photo.mask.shape
        factor = min(1.0, size / max(height, width))
        small = (max(1, round(width * factor)), max(1, round(height * factor)))
        mask = cv2.resize(photo.mask, small, interpolation=cv2.INTER_AREA)
        found.append(Silhouette(photo.name, photo.camera.resized(*small), mask > 127))
    return tuple(found)


def object_box(photos: Sequence[Photo], *, margin: float = 0.015) -> Array:
    """The object's bounds from its masks.

    Args:
        photos: With masks.
        margin: Added on each side, as a share of the box's diagonal.

    Returns:
        Smallest and largest corner, (2, 3), world units.

    Raises:
        CameraError: No masks, or no place in the world is inside the masks of most photos.
    """
    views = silhouettes(photos)
    if not views:
        raise CameraError(
            "No photo has a mask, so the object's place is not known. Add one mask per photo.",
            code="camera.no_masks",
        )
    hull = _carve_hull(views)
    if hull is not None:
        # A few bad masks were tolerated above; without their views the hull can be strict.
        explained = _explained(views, *hull)
        good = [v for v, share in zip(views, explained, strict=True) if share > _BAD_VIEW]
        if len(good) >= 3 and len(good) < len(views):
            hull = _carve_hull(good) or hull
    if hull is None:
        raise CameraError(
            f"The masks of {len(views)} photos have no common object under these cameras. The "
            "cameras may belong to other photos or use other axes: see 'photocast inspect'.",
            code="camera.masks_disagree",
        )
    points, cell = hull
    low, high = points.min(axis=0) - cell / 2, points.max(axis=0) + cell / 2
    pad = margin * float(np.linalg.norm(high - low))
    return np.stack([low - pad, high + pad])


def check_agreement(photos: Sequence[Photo]) -> Agreement:
    """Test the cameras against the masks; where they disagree, try the eight axis hypotheses.

    Args:
        photos: At least three; without masks nothing can disagree, and the score is 1.
    """
    views = silhouettes(photos, MASK_SIZE // 2)
    if not views:
        return Agreement(score=1.0, bad_views=())
    given = _shares(views)
    probe = views[:: max(1, len(views) // 24)]
    score = float(np.median(given)) if len(given) else 0.0
    bad = tuple(v.name for v, share in zip(views, given, strict=True) if share < _BAD_VIEW)
    best_score, best = score, (False, "")
    # A right set of cameras explains nearly all of a good mask; below, look for a better one.
    for hypothesis in HYPOTHESES[1:] if score < 0.95 else ():
        shares = _shares([_changed(view, *hypothesis) for view in probe])
        other = float(np.median(shares)) if len(shares) else 0.0
        if other > best_score:
            best_score, best = other, hypothesis
    better = best_score > score + max(0.02, 0.25 * (1 - score)) and best_score > 0.7
    return Agreement(
        score=score,
        bad_views=bad,
        suggestion=_in_words(*best) if better else "",
        suggestion_score=best_score if better else 0.0,
    )


def require_agreement(photos: Sequence[Photo]) -> Agreement:
    """Refuse cameras that do not fit the masks, saying which change would.

    Raises:
        CameraError: Another axis convention fits much better, or none fits at all.
    """
    found = check_agreement(photos)
    if found.suggestion:
        raise CameraError(
            f"The cameras explain only {found.score:.0%} of the masks; with {found.suggestion} it "
            f"would be {found.suggestion_score:.0%}. Export the cameras with the axes of their "
            "format.",
            code="camera.axes",
        )
    if found.score < _USELESS:
        raise CameraError(
            f"The cameras explain only {found.score:.0%} of the masks, and no change of axes "
            "helps. The photos may be in another order than the cameras, or the masks show "
            "something else.",
            code="camera.masks_disagree",
        )
    return found


def _in_words(inverted: bool, flip: str) -> str:
    words = ["poses inverted (world_from_camera read as camera_from_world)"] if inverted else []
    return " and ".join(words + ([f"camera {flip}"] if flip else []))


def changed_pose(camera_from_world: Array, inverted: bool, flip: str) -> Array:
    """A pose under one of the hypotheses: first inverted, then the camera's axes flipped."""
    pose = invert_rigid(camera_from_world) if inverted else camera_from_world
    return FLIPS[flip] @ pose


def _changed(view: Silhouette, inverted: bool, flip: str) -> Silhouette:
    pose = changed_pose(view.camera.camera_from_world, inverted, flip)
    return replace(view, camera=replace(view.camera, camera_from_world=pose))


def _shares(views: Sequence[Silhouette]) -> NDArray[np.float64]:
    hull = _carve_hull(views)
    return np.zeros(len(views)) if hull is None else _explained(views, *hull)


def _carve_hull(views: Sequence[Silhouette]) -> tuple[Array, float] | None:
    """Cell centres inside the hull (n, 3) and the cell size; ``None`` if there are none."""
    box = _first_box(views)
    if box is None:
        return None
    hull = None
    for level in range(6):
        points, cell = _grid(box)
        # A coarse cell may hold a thin part that its centre misses: masks grow by half a cell.
        inside = points[_belongs(views, points, cell)]
        if not len(inside):
            return hull
        hull = (inside, cell)
        low, high = inside.min(axis=0) - 1.5 * cell, inside.max(axis=0) + 1.5 * cell
        touches = (inside.min(axis=0) - cell < box[0]) | (inside.max(axis=0) + cell > box[1])
        if level < 3 and touches.any():
            # The first guess cut the object: look further out on the sides where it did.
            reach = (box[1] - box[0]) / 2
            low = np.where(inside.min(axis=0) - cell < box[0], box[0] - reach, low)
            high = np.where(inside.max(axis=0) + cell > box[1], box[1] + reach, high)
        elif level >= 2 and float((high - low).max()) > 0.9 * float((box[1] - box[0]).max()):
            break
        box = np.stack([low, high])
    return hull


def _first_box(views: Sequence[Silhouette]) -> Array | None:
    # Rays through the masks' middles meet near the object; their spread around it gives its size.
    centers, rays, angles = [], [], []
    for view in views:
        rows, columns = np.nonzero(view.inside)
        if not len(rows):
            continue
        camera = view.camera
        x = np.array([columns.min(), columns.max() + 1.0])
        y = np.array([rows.min(), rows.max() + 1.0])
        middle = np.array(
            [(x.mean() - camera.cx) / camera.fx, (y.mean() - camera.cy) / camera.fy, 1.0]
        )
        ray = camera.camera_from_world[:3, :3].T @ middle
        centers.append(camera.center)
        rays.append(ray / np.linalg.norm(ray))
        angles.append(np.hypot((x[1] - x[0]) / camera.fx, (y[1] - y[0]) / camera.fy) / 2)
    if len(centers) < 2:
        return None
    middle_point = look_at_point(np.stack(centers), np.stack(rays))
    if middle_point is None:
        return None
    distances = np.linalg.norm(np.stack(centers) - middle_point, axis=1)
    reach = 1.3 * float(np.median(np.array(angles) * distances))
    return np.stack([middle_point - reach, middle_point + reach])


def _grid(box: Array) -> tuple[Array, float]:
    extent = box[1] - box[0]
    cell = float(extent.max()) / _GRID
    counts = np.maximum(1, np.ceil(extent / cell - 1e-9)).astype(int)
    axes = [
        low + (np.arange(count) + 0.5) * cell for low, count in zip(box[0], counts, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3), cell


def _belongs(views: Sequence[Silhouette], points: Array, cell: float) -> NDArray[np.bool_]:
    seen = np.zeros(len(points), np.int32)
    outside = np.zeros(len(points), np.int32)
    allowed = max(1, int(0.05 * len(views))) if len(views) >= 8 else 0
    alive = np.arange(len(points))
    for view in views:
        pixels, depth = view.camera.project(points[alive])
        height, width = view.inside.shape
        x, y = np.ascontiguousarray(pixels.T)
        ahead = depth > 0
        in_frame = ahead & (x >= 0) & (y >= 0) & (x < width) & (y < height)
        mask = _grown(view, cell, depth)
        there = np.flatnonzero(in_frame)
        # Behind a camera is as good as outside: an object in the photo is in front. So is beyond
        # the frame, unless the mask is cut there and the object goes on.
        miss = np.ones(len(alive), np.bool_)
        miss[there] = ~mask[y[there].astype(np.int32), x[there].astype(np.int32)]
        left, right, top, bottom = _cut_sides(view.inside)
        if left or right or top or bottom:
            beyond = ((x < 0) & (not left)) | ((x >= width) & (not right))
            beyond |= ((y < 0) & (not top)) | ((y >= height) & (not bottom))
            miss &= in_frame | ~ahead | beyond
        seen[alive] += in_frame
        outside[alive] += miss
        alive = alive[outside[alive] <= allowed]
    belongs = np.zeros(len(points), np.bool_)
    belongs[alive] = seen[alive] >= max(2, 0.3 * len(views))
    return belongs


def _cut_sides(inside: NDArray[np.bool_]) -> tuple[bool, bool, bool, bool]:
    """Whether the mask reaches the left, right, top and bottom border."""
    sides = (inside[:, 0], inside[:, -1], inside[0], inside[-1])
    left, right, top, bottom = (bool(side.sum() >= 2) for side in sides)
    return left, right, top, bottom


def _grown(view: Silhouette, cell: float, depth: Array) -> NDArray[np.bool_]:
    ahead = depth[depth > 0]
    if not len(ahead):
        return view.inside
    radius = int(np.clip(0.5 * cell * view.camera.fx / float(np.median(ahead)) + 0.6, 0, 12))
    if radius == 0:
        return view.inside
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return np.asarray(cv2.dilate(view.inside.astype(np.uint8), kernel) > 0)


def _explained(views: Sequence[Silhouette], points: Array, cell: float) -> NDArray[np.float64]:
    """The share of each mask that the hull's outline covers; 0 for an empty mask."""

    def share(view: Silhouette) -> float:
        outline = _outline(view.camera, view.inside.shape, points, cell)
        total = int(view.inside.sum())
        return float((outline & view.inside).sum()) / total if total else 0.0

    with ThreadPoolExecutor(cpu_threads(), thread_name_prefix="photocast-explained") as pool:
        return np.array(list(pool.map(share, views)))


def _outline(
    camera: Camera, shape: tuple[int, ...], points: Array, cell: float
) -> NDArray[np.bool_]:
    """Where the hull's cells fall in a photo, each as a square about its own size."""
    pixels, depth = camera.project(points)
    x, y = np.floor(pixels).astype(np.int64).T
    ok = (depth > 0) & (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
    image = np.zeros(shape[:2], np.uint8)
    image[y[ok], x[ok]] = 1
    if ok.any():
        side = int(np.clip(round(cell * camera.fx / float(np.median(depth[ok]))), 1, 15)) | 1
        image = cv2.dilate(image, np.ones((side, side), np.uint8))
    return image > 0
