# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Correct cameras that are slightly off, before the shape is fitted finely.

A coarse shape is fitted with the cameras as given. It averages over the errors of many cameras, so
each camera can be corrected by it; then the shape is fitted again, and so on. First the lens, which
all photos share; what remains is each camera's own. A correction is kept if it lowers the misfit
where it was not fitted: the lens on photos left out, the poses on places left out. Held-out test
photos are no part of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photocast.config import (
    CarveConfig,
    MeshConfig,
    OptimizeConfig,
    PoseConfig,
    VolumeConfig,
)
from photocast.data import CameraChange, LensChange, Mesh, Photo, PoseReport
from photocast.deadline import Deadline, Paced, deadline_of
from photocast.geometry.pose_steps import Cameras, jacobian, similarity_gauge
from photocast.progress import Progress
from photocast.stages.isosurface import extract_mesh
from photocast.stages.pose_fit import (
    Fitted,
    Free,
    Scales,
    costs,
    fit_cameras,
    measure_scales,
    outline_errors,
    unmoved,
)
from photocast.stages.pose_samples import (
    Pictures,
    Samples,
    cameras_of,
    gather,
    moved_edge,
    pictures,
)
from photocast.stages.volume import fit_volume

__all__ = ["corrected", "refine_poses"]

_HELD = 8  # every eighth photo tests the lens
_SAMPLES = (8192, 512)  # places on the surface, and on the outline of each view
_TOLERATED = 0.005  # share by which the misfit of contrast may rise: noise
_TOLERATED_REFITTED = 0.02  # the same between two fits of the shape, of which each has its own
_SAME_LENS = 0.02  # photos of one camera agree this well in shape, focal length and centre
_RAYS = 4096
_LEAST_VIEWS = 6
_MASK_ROUNDS = 3  # coarse shapes to even out the masks with, before the cameras
_MORE_TIME = 4  # times that of the first coarse shape are needed to correct cameras
_MOST_ZOOM = 0.03  # focal lengths are not that wrong; the coarse shape is


def refine_poses(
    photos: Sequence[Photo],
    box: NDArray[np.floating],
    config: OptimizeConfig,
    *,
    device: torch.device,
    progress: Progress,
) -> PoseReport:
    """Find what is wrong with the cameras.

    Args:
        photos: For the reconstruction, with masks.
        box: Contains the object, (2, 3).
        config: Uses ``poses``, and ``volume`` for the coarse shape.
        device: Where to compute.
        progress: Told about each round as ``poses``.

    Returns:
        The changes; :func:`corrected` applies them.
    """
    wanted = config.poses
    if wanted.mode == "off":
        return PoseReport()
    if len(photos) < _LEAST_VIEWS or any(photo.mask is None for photo in photos):
        return PoseReport(
            "nothing", f"Cameras are refined from {_LEAST_VIEWS} photos with masks on."
        )
    search = _Search(tuple(photos), wanted, device)
    deadline = deadline_of(progress)
    for turn in range(_MASK_ROUNDS + wanted.rounds + 1):
        before = deadline.remaining
        mesh = _coarse(search.photos, box, config, turn, device, progress)
        if turn == 0 and deadline.remaining < _MORE_TIME * (before - deadline.remaining):
            progress("poses", 1, 1)
            return PoseReport("nothing", "There was no time to correct the cameras.")
        if not search.improve(mesh):
            break
    progress("poses", 1, 1)
    return search.report()


def corrected(photos: Sequence[Photo], report: PoseReport) -> tuple[Photo, ...]:
    """The photos with the cameras that the report names; any size of the same photos."""
    if report.kept == "nothing":
        return tuple(photos)
    changed = []
    for photo in photos:
        camera = report.lens.apply(photo.camera)
        if (change := report.cameras.get(photo.name)) is not None:
            pose = np.array(change.camera_from_world, dtype=np.float64)
            camera = replace(camera, camera_from_world=pose)
            photo = replace(photo, mask=moved_edge(photo.mask, change.mask_shift))
        changed.append(replace(photo, camera=camera))
    return tuple(changed)


def _coarse(
    photos: Sequence[Photo],
    box: NDArray[np.floating],
    config: OptimizeConfig,
    turn: int,
    device: torch.device,
    progress: Progress,
) -> Mesh:
    wanted = config.poses
    all_steps = (_MASK_ROUNDS + wanted.rounds + 1) * wanted.steps + 1

    start = turn * wanted.steps

    def told(stage: str, done: int, total: int, **numbers: float) -> None:
        del stage
        progress("poses", start + done * wanted.steps // total, all_steps, **numbers)

    volume = VolumeConfig(
        carve=CarveConfig(steps=0),
        resolution=wanted.resolution,
        levels=1,
        steps=(wanted.steps,),
        min_steps=wanted.steps,
        rays_per_step=_RAYS,
        shiny="on",
        mask_outliers=config.volume.mask_outliers,
        seed=config.volume.seed,
    )
    time = Paced(told, Deadline(deadline_of(progress).remaining))  # on a record of its own
    fitted = fit_volume(photos, box, volume, device=device, progress=time)
    return extract_mesh(fitted, MeshConfig(face_count=24_000))


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Photos and a mesh, ready to compare."""

    mesh: Mesh
    cameras: Cameras
    samples: Samples
    shown: Pictures
    scales: Scales

    def misfit(self, cameras: Cameras, half: bool | None = None) -> Tensor:
        """Of contrast and outline in each view, (2, view)."""
        return costs(cameras, self.samples, self.shown, self.scales, half=half)


class _Search:
    """Cameras as they are corrected, and why."""

    def __init__(self, photos: tuple[Photo, ...], config: PoseConfig, device: torch.device) -> None:
        self.given = self.photos = photos
        self.config, self.device = config, device
        self.mask_shifts = np.zeros(len(photos))  # of their edges, outwards [px]
        self._look_at_photos()
        self.lens = LensChange()
        self.moved = False  # whether poses were, too
        self.first: _Look | None = None
        self.last: _Look | None = None
        self.numbers: dict[str, float] = {}
        self._before: tuple[tuple[Photo, ...], LensChange, bool] = photos, self.lens, False
        self._reference = torch.ones(2, 1)  # misfit that a new shape has to beat
        self._focal_tried = False
        self._mask_rounds, self._rounds = 0, 0

    def _look_at_photos(self) -> None:
        self.shown = pictures(self.photos, self.config.longest, self.config.blurs, self.device)

    def improve(self, mesh: Mesh) -> bool:
        """Correct the cameras by a shape fitted with them; True if it should be fitted again."""
        look = self._look(mesh)
        if self.first is None:
            if self._recut(look):
                return True
            self.first = look
        elif not self._confirmed(look):
            return False
        self.last = look
        self._before = self.photos, self.lens, self.moved
        self._reference = look.misfit(look.cameras)
        if self._focal_tried:
            return False
        self._rounds += 1
        fitted, lens = self._lens(look)
        fitted, poses = self._poses(look, fitted)
        if lens or poses:
            self.moved = self.moved or poses
            self._take(look, fitted)
            if self._rounds < self.config.rounds:
                return True
            self._before = self.photos, self.lens, self.moved
            self._reference = look.misfit(fitted.cameras)
        return self._try_focal(look, fitted)

    def _recut(self, look: _Look) -> bool:
        """Even out masks that differ in how tight they are; True if any was changed.

        Where masks disagree, the tight ones carve what the wide ones cannot give back. On average
        masks stay as they are: photos cannot tell a small object from tight masks.
        """
        _, offset = outline_errors(look.cameras, look.samples, self.shown)
        away = (offset - offset.median()).double().cpu().numpy()
        spread = 1.48 * float(np.median(np.abs(away / self.shown.scale.cpu().numpy())))
        self.numbers.setdefault("mask_spread", spread)
        if self._mask_rounds == _MASK_ROUNDS or spread < self.config.dead_zone:
            return False
        self._mask_rounds += 1
        self.mask_shifts = self.mask_shifts - away
        self.mask_shifts -= self.mask_shifts.mean()
        self.photos = tuple(
            replace(photo, mask=moved_edge(given.mask, shift))
            for photo, given, shift in zip(
                self.photos, self.given, self.mask_shifts.tolist(), strict=True
            )
        )
        self._look_at_photos()
        return True

    def report(self) -> PoseReport:
        """What was found, measured on the last shape that was fitted."""
        assert self.first is not None
        assert self.last is not None
        masks = bool(self.mask_shifts.any())
        names = {"masks": masks, "lens": self.lens != LensChange(), "poses": self.moved}
        kept = " and ".join(name for name, is_kept in names.items() if is_kept) or "nothing"
        before, _ = outline_errors(self.first.cameras, self.first.samples, self.shown)
        if kept == "nothing":
            self.numbers["outline"] = float(before.mean())
            return PoseReport(kept, self._reason(kept), numbers=self.numbers)
        mesh, samples = self.last.mesh, self.last.samples
        now = cameras_of(self.photos, self.shown, mesh)
        after, mask = outline_errors(now, samples, self.shown)
        shift = _moved(cameras_of(self.given, self.shown, mesh), now, samples) * self.shown.scale
        self.numbers |= {
            "outline_before": float(before.mean()),
            "outline_after": float(after.mean()),
            "shift": float(shift.square().mean().sqrt()),
        }
        rows = zip(
            self.given,
            self.photos,
            shift.tolist(),
            before.tolist(),
            after.tolist(),
            mask.tolist(),
            self.mask_shifts.tolist(),
            strict=True,
        )
        changes = {old.name: _change(old, new, *numbers) for old, new, *numbers in rows}
        return PoseReport(kept, self._reason(kept), self.lens, changes, self.numbers)

    def _look(self, mesh: Mesh) -> _Look:
        cameras = cameras_of(self.photos, self.shown, mesh)
        samples = gather(mesh, cameras, self.shown, _SAMPLES)
        scales = (
            measure_scales(cameras, samples, self.shown)
            if self.first is None
            else self.first.scales
        )
        return _Look(mesh, cameras, samples, self.shown, scales)

    def _confirmed(self, look: _Look) -> bool:
        """Whether a shape fitted with the changed cameras explains the photos better."""
        gain = _gain(self._reference, look.misfit(look.cameras), _TOLERATED_REFITTED)
        self.numbers["focal_refitted_gain" if self._focal_tried else "refitted_gain"] = gain
        if gain > self.config.least_gain or (self.config.mode == "on" and not self._focal_tried):
            return True
        self.photos, self.lens, self.moved = self._before
        return False

    def _lens(self, look: _Look) -> tuple[Fitted, bool]:
        """The principal point, tested on photos left out."""
        start = unmoved(look.cameras)
        if not _one_lens(self.photos):
            return start, False
        trial, gain = self._tested_lens(look, start, Free(shift=True))
        shift = _moved(look.cameras, trial.cameras, look.samples)
        if not self._worth("lens", gain, shift):
            return start, False
        return self._fit(look, trial, Free(shift=True), blurs=1), True

    def _tested_lens(self, look: _Look, start: Fitted, free: Free) -> tuple[Fitted, float]:
        held = torch.zeros(len(self.photos), device=look.cameras.middle.device)
        held[::_HELD] = 1
        trial = self._fit(look, start, free, views=1 - held)
        before, after = look.misfit(start.cameras), look.misfit(trial.cameras)
        return trial, _gain(before[:, held > 0], after[:, held > 0])

    def _poses(self, look: _Look, start: Fitted) -> tuple[Fitted, bool]:
        """Each camera's own pose, tested on places left out."""
        trial = self._fit(look, start, Free(poses=True), half=True)
        before, after = (look.misfit(f.cameras, half=False) for f in (start, trial))
        shift = _moved(start.cameras, trial.cameras, look.samples)
        if not self._worth("poses", _gain(before, after), shift):
            return start, False
        done = self._fit(look, trial, Free(poses=True), blurs=1)
        better = (after.sum(0) < before.sum(0)) | (self.config.mode == "on")
        return _chosen(better, done, start), True

    def _try_focal(self, look: _Look, start: Fitted) -> bool:
        """Change the focal length if it promises much; only a shape fitted with it can tell.

        A focal length that is off hides in the size of the shape, and a flaw of the coarse shape
        looks like a focal length: so photos left out are no proof here.
        """
        self._focal_tried = True
        if not _one_lens(self.photos):
            return False
        trial, gain = self._tested_lens(look, start, Free(shift=True, focal=True))
        focal = float(trial.cameras.intrinsics[0, 0] / start.cameras.intrinsics[0, 0])
        pixels = abs(float(trial.common[0])) * float(self.shown.scale.mean())
        self.numbers |= {"focal_gain": gain, "focal_tried": focal}
        if gain < self.config.least_gain or pixels <= 0.25 or abs(focal - 1) > _MOST_ZOOM:
            return False
        self._take(look, trial)
        return True

    def _fit(
        self,
        look: _Look,
        start: Fitted,
        free: Free,
        *,
        half: bool | None = None,
        views: Tensor | None = None,
        blurs: int | None = None,
    ) -> Fitted:
        """Fit with some of the places or views; ``blurs`` keeps that many of the finest photos."""
        shown = self.shown
        if blurs is not None:
            shown = replace(shown, contrast=shown.contrast[-blurs:])
        return fit_cameras(start, look.samples, shown, look.scales, self.config, free, half, views)

    def _worth(self, what: str, gain: float, shift: Tensor) -> bool:
        pixels = float((shift * self.shown.scale).square().mean().sqrt())
        first = f"{what}_gain" not in self.numbers
        if first:
            self.numbers |= {f"{what}_gain": gain, f"{what}_shift": pixels}
        if self.config.mode == "on":
            return True
        return gain > self.config.least_gain and pixels > self.config.least_shift

    def _take(self, look: _Look, fitted: Fitted) -> None:
        """Put the fitted cameras into the photos."""
        lens = _lens_change(look.cameras, fitted.cameras, self.photos[0], self.shown)
        self.lens = LensChange(
            focal=self.lens.focal * lens.focal,
            shift_x=self.lens.shift_x + lens.shift_x,
            shift_y=self.lens.shift_y + lens.shift_y,
            aspect=lens.aspect,
        )
        given = cameras_of(self.given, self.shown, look.mesh)
        poses = _gauged(fitted.cameras, given, look.samples) if self.moved else None
        self.photos = tuple(
            replace(
                photo,
                camera=replace(
                    self.lens.apply(given.camera),
                    camera_from_world=photo.camera.camera_from_world
                    if poses is None
                    else poses[index],
                ),
            )
            for index, (photo, given) in enumerate(zip(self.photos, self.given, strict=True))
        )

    def _reason(self, kept: str) -> str:
        parts = [
            f"{label}: misfit {-self.numbers[f'{what}_gain']:+.1%} on {where}, "
            f"moving the object by {self.numbers[f'{what}_shift']:.2f} px"
            for what, label, where in (
                ("lens", "shared lens", "photos left out"),
                ("poses", "poses", "places left out"),
            )
            if f"{what}_gain" in self.numbers
        ]
        if spread := self.numbers.get("mask_spread"):
            parts.append(f"masks differ by {spread:.2f} px in how tight they are")
        refitted = self.numbers.get("refitted_gain")
        if refitted is not None:
            parts.append(f"with the shape fitted again {-refitted:+.1%}")
        return f"Kept {kept}. {'; '.join(parts)}."


def _one_lens(photos: Sequence[Photo]) -> bool:
    rows = np.array(
        [
            [c.fx / c.width, c.fy / c.width, c.cx / c.width, c.cy / c.width, c.height / c.width]
            for c in (photo.camera for photo in photos)
        ]
    )
    return bool((np.ptp(rows, axis=0) < _SAME_LENS).all())


def _gain(before: Tensor, after: Tensor, tolerated: float = _TOLERATED) -> float:
    """Share by which the misfit (2, view) falls; what the contrast loses, if it rises.

    Rough masks can lower the misfit of outlines by cameras that are wrong; then the surface no
    longer meets, and that decides.
    """
    old, new = before.mean(1).tolist(), after.mean(1).tolist()
    contrast = 1 - float(new[0]) / max(float(old[0]), 1e-9)
    both = 1 - float(sum(new)) / max(float(sum(old)), 1e-9)
    return contrast if contrast < -tolerated else both


def _moved(before: Cameras, after: Cameras, samples: Samples) -> Tensor:
    """How far the object's surface moves in each view, mean [px of the reduced photo], (view,)."""
    views = len(before.middle)
    points = samples.surface.expand(views, -1, -1)
    away: Tensor = (jacobian(after, points)[0] - jacobian(before, points)[0]).norm(dim=-1)
    return away.mean(1)


def _chosen(better: Tensor, done: Fitted, start: Fitted) -> Fitted:
    """The new pose where it is better, else the old."""
    new, old = done.cameras, start.cameras
    cameras = replace(
        new,
        rotation=torch.where(better[:, None, None], new.rotation, old.rotation),
        middle=torch.where(better[:, None], new.middle, old.middle),
    )
    return Fitted(cameras, torch.where(better[:, None], done.own, start.own), done.common)


def _lens_change(before: Cameras, after: Cameras, photo: Photo, shown: Pictures) -> LensChange:
    old, new = before.intrinsics[0].double().cpu(), after.intrinsics[0].double().cpu()
    shift = (new - old)[2:] / torch.tensor([float(shown.width[0]), float(shown.height[0])])
    height, width = photo.rgb.shape[:2]
    return LensChange(float(new[0] / old[0]), float(shift[0]), float(shift[1]), width / height)


def _gauged(cameras: Cameras, given: Cameras, samples: Samples) -> list[NDArray[np.float64]]:
    """camera_from_world of each view, with the object on average where it was."""
    points = samples.surface[:: max(1, len(samples.surface) // 256)].double().cpu()
    still = similarity_gauge(_exact(cameras), _exact(given), points)
    left, _, right = torch.linalg.svd(still.rotation)
    poses = torch.eye(4, dtype=torch.float64).repeat(len(still.middle), 1, 1)
    poses[:, :3, :3] = left @ right
    middle = samples.middle.double().cpu()
    poses[:, :3, 3] = still.middle - (poses[:, :3, :3] @ middle[:, None])[..., 0]
    return list(poses.numpy())


def _exact(cameras: Cameras) -> Cameras:
    return replace(
        cameras,
        rotation=cameras.rotation.double().cpu(),
        middle=cameras.middle.double().cpu(),
        intrinsics=cameras.intrinsics.double().cpu(),
    )


def _change(
    old: Photo,
    new: Photo,
    shift: float,
    before: float,
    after: float,
    mask: float,
    recut: float,
) -> CameraChange:
    a, b = old.camera, new.camera
    turn = a.camera_from_world[:3, :3] @ b.camera_from_world[:3, :3].T
    # the angle from the skew part: exact where it is small
    skew = [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
    angle = np.arctan2(float(np.linalg.norm(skew)), float(np.trace(turn)) - 1)
    return CameraChange(
        shift=shift,
        rotation=float(np.degrees(angle)),
        position=float(np.linalg.norm(b.center - a.center)),
        focal=b.fx / a.fx,
        outline_before=before,
        outline_after=after,
        mask_offset=mask,
        mask_shift=recut,
        camera_from_world=tuple(tuple(row) for row in b.camera_from_world.tolist()),
    )
