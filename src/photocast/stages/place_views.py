# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where photos were taken from, in the frame of a model of their object.

Given are cameras that are roughly right relative to each other, in a frame and a scale of their
own, and a model with colours. All rotations of the object are tried, the best few are fitted by
outlines and by pictures, and the best of these is fitted camera by camera.

How far to trust a view is c = o l, with o = (overlap of outlines - 0.7) / 0.2 and
l = likeness of colours / 0.5, both cut to 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.config import PlaceConfig
from photocast.data import Camera, Mesh, Photo
from photocast.geometry.frames import look_at_point
from photocast.geometry.pose_steps import Cameras
from photocast.geometry.rotations import angles_between, spread_rotations
from photocast.nets.photo_input import Square
from photocast.progress import Progress
from photocast.stages.foreign import cleaned, reduced
from photocast.stages.place_fit import at_size, by_photos, by_pictures
from photocast.stages.place_search import Search, best_apart
from photocast.stages.place_targets import (
    CUT,
    Model,
    cameras_at,
    cut,
    likeness,
    model_of,
    overlap,
    targets,
)
from photocast.stages.vertex_paint import nearest_colors

__all__ = ["Placed", "PlacedView", "place_again", "place_views"]

_SEARCH_FACES, _FIT_FACES = 1000, 6000
_SEARCH_SIZE, _FIT_SIZE, _SCORE_SIZE = 48, 128, 128
_STEPS = 30
_CLOSER = ((0.1, np.radians(12)), (0.4, np.radians(6)))
"""Shares of the ways round that are turned by an angle, from coarse to fine."""
_APART = np.radians(40)
_HOPELESS = 0.7
"""Ways round of which no view rates above this are not fitted: no view would come to be trusted."""
_AS_GOOD = 0.03
"""Another way round that rates within this is as good."""
_OVERLAPS, _LIKENESSES = (0.7, 0.9), (0.0, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class PlacedView:
    """One photo and its camera in the model's frame."""

    photo: Photo
    overlap: float
    """Of the outlines of model and mask, intersection over union."""
    likeness: float
    """Of the colours: 1 - squared error over variance, at most 1."""

    @property
    def confidence(self) -> float:
        """How far to trust the camera, 0..1."""
        return _ramp(self.overlap, *_OVERLAPS) * _ramp(self.likeness, *_LIKENESSES)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """All photos, in their order."""

    views: tuple[PlacedView, ...]
    other_way: float | None = None
    """Angle to another way round that fits as well [degree]: the object looks symmetrical."""


def place_views(
    mesh: Mesh,
    photos: Sequence[Photo],
    config: PlaceConfig,
    device: torch.device,
    progress: Progress,
) -> Placed:
    """Find the cameras in the frame of the mesh.

    Args:
        mesh: With colours at its vertices; closed.
        photos: With masks that show the object. Their cameras lie in any common frame.
        config: How hard to search.
        device: Where to draw.
        progress: Called as ``place``; may raise ``Cancelled``.
    """
    work, squares, middle = _begun(mesh, photos, device, progress)
    given = work.given
    coarse = model_of(_fewer(mesh, _SEARCH_FACES), middle, device)
    ways = work.ways(coarse, given, config)
    if all(work.hopeless(way) for way in ways):
        cameras, other = ways[0], None
    else:
        cameras, other = work.best(ways)
        cameras = work.finished(cameras)
    progress("place", 1, 1)
    return Placed(work.views(cameras, photos, squares, middle), other)


def place_again(mesh: Mesh, placed: Placed, device: torch.device, progress: Progress) -> Placed:
    """Fit cameras to a mesh that has changed a little, from where they are.

    Args:
        mesh: With colours at its vertices; in the frame of the one before.
        placed: The cameras that were found for that one.
        device: Where to draw.
        progress: Called as ``place``; may raise ``Cancelled``.
    """
    photos = [view.photo for view in placed.views]
    work, squares, middle = _begun(mesh, photos, device, progress)
    given = work.given
    offset = given.rotation.new_tensor(middle)
    given = replace(given, middle=given.middle + given.rotation @ offset)
    cameras = given if work.hopeless(given) else work.finished(given)
    progress("place", 1, 1)
    return replace(placed, views=work.views(cameras, photos, squares, middle))


def _begun(
    mesh: Mesh, photos: Sequence[Photo], device: torch.device, progress: Progress
) -> tuple["_Work", tuple[Square, ...], NDArray[np.float64]]:
    """What to work with, where the squares are in the photos, and the model's middle."""
    fit_mesh = _fewer(mesh, _FIT_FACES)
    middle = fit_mesh.vertices.astype(np.float64).mean(axis=0)
    cuts, squares = zip(*(cut(photo) for photo in photos), strict=True)
    model = model_of(fit_mesh, middle, device)
    return _Work(fit_mesh, model, cuts, device, progress), squares, middle


class _Work:
    """The model, the squares, and what is done with them."""

    def __init__(
        self,
        mesh: Mesh,
        model: Model,
        cuts: Sequence[Photo],
        device: torch.device,
        progress: Progress,
    ) -> None:
        self.mesh, self.model, self.cuts = mesh, model, cuts
        self.device, self.progress = device, progress
        self.radius = float(model.points.square().sum(1).mean().sqrt())

    @property
    def given(self) -> Cameras:
        """The squares' cameras in their own frame."""
        return cameras_at([cut.camera for cut in self.cuts], CUT, self.radius, self.device)

    def ways(self, coarse: Model, given: Cameras, config: PlaceConfig) -> list[Cameras]:
        """The best few ways round."""
        wanted = targets(self.cuts, _SEARCH_SIZE, self.device)
        place = torch.from_numpy(_start(self.cuts)).float().to(self.device)
        whole = Search(coarse, at_size(given, _SEARCH_SIZE), wanted, place)
        chosen = _spread(len(self.cuts), config.views)
        some = replace(whole, given=_picked(whole.given, chosen), wanted=wanted[chosen])
        rotations = torch.from_numpy(spread_rotations(config.rotations)).float().to(self.device)
        rates = some.rates(rotations, self.progress)
        for share, angle in _CLOSER:
            best = rates.topk(max(1, int(share * len(rates)))).indices
            rotations, rates = some.improved(rotations[best], rates[best], angle, self.progress)
        best = best_apart(rotations, rates, config.finalists, _APART)
        return [at_size(whole.cameras(rotations[i : i + 1]), CUT, _SEARCH_SIZE) for i in best]

    def hopeless(self, cameras: Cameras) -> bool:
        """Whether no view comes near its photo."""
        return float(self._rates(cameras).max()) < _HOPELESS

    def best(self, ways: Sequence[Cameras]) -> tuple[Cameras, float | None]:
        """Fit each way round; the best, and the angle to another one that is as good."""
        wanted = targets(self.cuts, _SEARCH_SIZE, self.device)
        fitted = []
        for way in ways:
            moved = by_pictures(self.model, way, wanted, _STEPS, self.progress)
            fitted.append(self._kept(way, moved))
        rates = [self._rate(cameras) for cameras in fitted]
        best = max(range(len(rates)), key=rates.__getitem__)
        others = [
            float(angles_between(way.rotation, fitted[best].rotation).median())
            for way, rate in zip(fitted, rates, strict=True)
            if rate > rates[best] - _AS_GOOD
        ]
        far = [angle for angle in others if angle > _APART]
        return fitted[best], float(np.degrees(min(far))) if far else None

    def finished(self, cameras: Cameras) -> Cameras:
        """Fit camera by camera."""
        wanted = targets(self.cuts, _FIT_SIZE, self.device)
        moved = by_pictures(self.model, cameras, wanted, 2 * _STEPS, self.progress)
        cameras = self._kept(cameras, moved)
        moved = by_photos(self.mesh, cameras, self.cuts, CUT)
        return self._kept(cameras, moved)

    def views(
        self,
        cameras: Cameras,
        photos: Sequence[Photo],
        squares: Sequence[Square],
        middle: NDArray[np.float64],
    ) -> tuple[PlacedView, ...]:
        """Photos with the cameras that were found."""
        rows = zip(photos, squares, *self._scores(cameras), range(len(photos)), strict=True)
        return tuple(
            PlacedView(
                replace(photo, camera=_whole(cameras, i, photo.camera, square, middle)),
                float(overlap),
                float(likeness),
            )
            for photo, square, overlap, likeness, i in rows
        )

    def _scores(self, cameras: Cameras) -> tuple[Tensor, Tensor]:
        wanted = targets(self.cuts, _SCORE_SIZE, self.device)
        with torch.no_grad():
            drawn = self.model.drawn(at_size(cameras, _SCORE_SIZE), _SCORE_SIZE)
        return overlap(drawn, wanted), likeness(drawn, wanted)

    def _rate(self, cameras: Cameras) -> float:
        return float(self._rates(cameras).mean())

    def _rates(self, cameras: Cameras) -> Tensor:
        overlaps, alike = self._scores(cameras)
        return overlaps + 0.5 * alike.clamp(min=-1)

    def _kept(self, before: Cameras, after: Cameras) -> Cameras:
        """The cameras after a step, if they are numbers and rate no worse."""
        numbers = torch.cat([after.rotation.flatten(), after.middle.flatten()])
        if not bool(numbers.isfinite().all()) or self._rate(after) < self._rate(before) - 1e-3:
            return before
        return after


def _fewer(mesh: Mesh, face_count: int) -> Mesh:
    small = reduced(cleaned(mesh), face_count)
    return replace(small, uvs=None, uv_faces=None, colors=nearest_colors(small, mesh))


def _picked(cameras: Cameras, index: Sequence[int]) -> Cameras:
    chosen = list(index)
    return replace(
        cameras,
        rotation=cameras.rotation[chosen],
        middle=cameras.middle[chosen],
        intrinsics=cameras.intrinsics[chosen],
    )


def _spread(count: int, most: int) -> list[int]:
    return [index * count // min(most, count) for index in range(min(most, count))]


def _start(cuts: Sequence[Photo]) -> NDArray[np.float64]:
    """About where the middles of all squares meet; if nowhere, before the first camera."""
    ways = []
    for camera in (photo.camera for photo in cuts):
        x = (camera.width / 2 - camera.cx) / camera.fx
        y = (camera.height / 2 - camera.cy) / camera.fy
        way = camera.camera_from_world[:3, :3].T @ np.array([x, y, 1.0])
        ways.append(way / np.linalg.norm(way))
    centers = np.stack([photo.camera.center for photo in cuts])
    point = look_at_point(centers, np.stack(ways))
    return centers[0] + ways[0] if point is None else point


def _whole(
    cameras: Cameras, index: int, given: Camera, square: Square, middle: NDArray[np.float64]
) -> Camera:
    """The whole photo's camera of a square's."""
    scale = square.side / CUT
    rotation = np.linalg.svd(cameras.rotation[index].double().cpu().numpy())
    pose = np.eye(4)
    pose[:3, :3] = rotation[0] @ rotation[2]
    pose[:3, 3] = cameras.middle[index].double().cpu().numpy() - pose[:3, :3] @ middle
    fx, fy, cx, cy = (cameras.intrinsics[index].double() * scale).tolist()
    return replace(
        given,
        fx=fx,
        fy=fy,
        cx=cx + square.left,
        cy=cy + square.top,
        camera_from_world=pose,
    )


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0, 1))
