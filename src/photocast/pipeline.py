# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From a capture to a result folder: the whole plot on one page."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from photocast.config import MAX_SIZES, ReconstructConfig, optimize_preset
from photocast.data import Capture, Check, Photo, PoseReport, Report, Scene
from photocast.deadline import Deadline, Paced, part
from photocast.engines.base import WITHOUT_CAMERAS, load_engine
from photocast.engines.choose import choose_engine
from photocast.errors import ConfigError, UserError
from photocast.formats.meshes import require_mesh_file
from photocast.kept_memory import keep_freed_memory
from photocast.ops.warm_up import warm_up
from photocast.progress import Progress, silent
from photocast.stages.check_page import issue_pictures, shape_pictures
from photocast.stages.evaluate import evaluate_views
from photocast.stages.export import draw_pictures, export_mesh, export_report, mesh_formats
from photocast.stages.ingest import decode_photos, hold_out_every, read_capture
from photocast.stages.lit_drawing import rendering_of
from photocast.stages.photo_coverage import photo_coverage
from photocast.stages.photo_scores import score_checks
from photocast.stages.render import Drawable, drawable
from photocast.stages.run_record import StageClock, describe_run
from photocast.stages.validate import check_file

__all__ = ["Result", "reconstruct"]

_ENGINE_TIME, _SCORES_TIME, _TURNTABLE_TIME = 0.7, 0.4, 0.6
"""Of the time that is left, if it is limited: for the engine; then for scores; then to turn."""
_LEAST_SCORED = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What a run made, and what is known about it."""

    scene: Scene
    report: Report
    out: Path


def reconstruct(
    folder: Path, out: Path, config: ReconstructConfig, progress: Progress = silent
) -> Result:
    """Reconstruct a capture and write the result folder.

    Args:
        folder: The capture.
        out: Result folder; finished stages are kept in ``.stages`` inside it.
        config: Engine, preset, formats, device, seed.
        progress: Told about every stage.

    Raises:
        UserError: The options do not fit.
        UnsuitableInput: The capture cannot be reconstructed, and why.
        PhotocastError: Something failed on the way.
    """
    clock, deadline = StageClock(progress), Deadline(config.max_seconds)
    mesh_formats(config.formats)  # an unknown format is said now, not after the work
    if config.init.mesh:
        require_mesh_file(Path(config.init.mesh))
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; a folder is needed.", code="out.file")
    if config.refine and config.engine == "optimize":
        raise ConfigError(
            "refine is for the engine generate: optimize refines in any case. Leave --refine out."
        )
    if config.compensate and config.engine not in (*WITHOUT_CAMERAS, "auto"):
        raise ConfigError(
            f"compensate is for the engine generate; {config.engine} follows the photos in any "
            "case. Leave --compensate out."
        )
    device = _device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    notes: tuple[str, ...] = ()
    if config.engine == "auto":
        engine_name, reason = choose_engine(folder)
        config, notes = replace(config, engine=engine_name), (reason,)
    if config.engine in WITHOUT_CAMERAS:
        from photocast.unposed import reconstruct_unposed

        made = reconstruct_unposed(folder, out, config, device, progress, notes=notes)
        return Result(*made, out)
    capture = read_capture(folder)
    if config.holdout_every:
        capture = hold_out_every(capture, config.holdout_every)
    # Held-out views stay behind: the engine gets neither their photos nor their file names.
    training = replace(capture, test_views=())
    engine = load_engine(config.engine)
    engine.check(training)
    settings = optimize_preset(
        config.preset, device=str(device), seed=config.seed, poses=config.poses
    )
    unwrap = replace(settings.unwrap, atlas=config.atlas)
    settings = replace(settings, init=config.init, unwrap=unwrap)
    max_size = config.max_size or MAX_SIZES[config.preset]
    with ThreadPoolExecutor(1, thread_name_prefix="photocast-device") as pool:
        ready = pool.submit(warm_up, device)  # while the photos are decoded
        photos = decode_photos(
            capture.views,
            mask_source=capture.mask_source,
            max_size=max_size,
            progress=clock,
            before_kernels=ready.result,
        )
        ready.result()
    clock.lap("device")
    pace = part(Paced(clock, deadline), _ENGINE_TIME)
    scene = engine.run(photos, training, settings, out / ".stages", pace)
    # The mesh is there as soon as it can be; how good it is follows.
    sizes = export_mesh(scene, out, formats=config.formats, progress=clock)
    clock.lap("save")
    seconds_to_mesh = clock.total
    tests = decode_photos(
        capture.test_views,
        mask_source=capture.mask_source,
        max_size=max_size,
        context=photos,
    )
    clock.lap("decode_tests")
    # What the training photos told about the lens holds for all photos of that camera. Poses of
    # held-out photos stay as given, and their photos are never used to move anything.
    tests = tuple(replace(p, camera=scene.poses.lens.apply(p.camera)) for p in tests)
    photos = tuple(replace(p, camera=scene.cameras.get(p.name, p.camera)) for p in photos)
    item = drawable(scene.mesh, device, light=scene.light)
    with ThreadPoolExecutor(1, thread_name_prefix="photocast-check") as pool:
        # The file is checked, not the mesh in memory: what a user gets.
        checking = pool.submit(check_file, out / "mesh.glb", "result", up=scene.up)
        scored = _scores(item, tests or photos, deadline, held_out=bool(tests), progress=clock)
        scores, views = scored
        scores += photo_coverage(item, photos)
        clock.lap("coverage")
        checked = checking.result()
        cameras = _camera_checks(scene.poses, len(photos), len(capture.views))
    pace = part(Paced(clock, deadline), _TURNTABLE_TIME)
    pictures = draw_pictures(scene, tests or photos, device=device, progress=pace, item=item)
    clock.lap("preview")
    options = {**asdict(config), "settings": asdict(settings)}
    inputs = _input_files(capture, config)
    run = describe_run(options=options, seconds=clock.seconds, inputs=inputs, root=capture.root)
    run |= {
        "seconds_to_mesh": round(seconds_to_mesh, 3),
        "seconds_total": round(clock.total, 3),
        "steps": {stage: {"done": a, "planned": b} for stage, (a, b) in deadline.steps.items()},
        "engine": scene.facts,
        "views": views,
        "cameras": _without_matrices(scene.poses),
    }
    checked = checked.joined([*sizes, *scores, *cameras, *_memory(run)])
    warnings = (*notes, *capture.warnings, *scene.warnings, *_late(deadline, clock.total))
    report = replace(checked.report, warnings=warnings, run=run)
    export_report(
        report,
        out,
        pictures,
        compared=True,
        layers=checked.layers,
        more=shape_pictures(item, checked.facts, scene.up),
        issue_images=issue_pictures(report, checked.facts, item, scene.up),
    )
    return Result(scene, report, out)


def _camera_checks(poses: PoseReport, used: int, total: int) -> list[Check]:
    """Where the cameras are from, and how far they were moved."""
    source = "given" if poses.kept == "nothing" else "given, then corrected"
    facts = [
        Check("cameras.source", source),
        Check("cameras.count", used),
        Check("cameras.registered_share", used / max(total, 1)),
    ]
    if poses.kept == "nothing":
        why = "the cameras were not corrected"
        shift = Check("cameras.shift", 0.0, "px", note=poses.reason)
        return [*facts, shift, Check("cameras.outline", None, "px", note=why)]
    return [
        *facts,
        Check(
            "cameras.shift",
            _rounded(poses.numbers["shift"]),
            "px",
            note=f"{poses.reason} Each camera's numbers are in run.json.",
        ),
        Check(
            "cameras.outline",
            _rounded(poses.numbers["outline_after"]),
            "px",
            note=f"between model and masks; {poses.numbers['outline_before']:.2f} px as given",
        ),
    ]


def _without_matrices(poses: PoseReport) -> dict[str, Any]:
    """The report of the cameras, whose poses themselves are in cameras.json."""
    document = asdict(poses)
    for change in document["cameras"].values():
        del change["camera_from_world"]
    return document


def _late(deadline: Deadline, seconds: float) -> list[str]:
    """What the time limit cut, for the report."""
    if not deadline.cuts:
        return []
    cuts = [
        f"{stage} {done} of {planned} steps" for stage, (done, planned) in deadline.cuts.items()
    ]
    return [
        f"The limit of {deadline.limit:g} s ended these early: {', '.join(cuts)}. The result is "
        f"complete, after {seconds:.0f} s, and would be better with more time."
    ]


def _memory(run: dict[str, Any]) -> list[Check]:
    peak = run["peak_memory_bytes"].get("gpu")
    note = "the run used no GPU" if peak is None else ""
    return [Check("memory.gpu_peak", peak, "bytes", note=note)]


def _input_files(capture: Capture, config: ReconstructConfig) -> list[Path]:
    """Photos, masks and depth maps of the reconstruction, each once, and the mesh given."""
    paths = [Path(config.init.mesh)] if config.init.mesh else []
    paths += [
        path
        for view in capture.views
        for path in (view.image_path, view.mask_path, view.depth_path, view.confidence_path)
        if path is not None
    ]
    return list(dict.fromkeys(paths))


def _device(wanted: str) -> torch.device:
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise ConfigError(
            "device = cuda, but PyTorch sees no CUDA device here. Use --device cpu, or install a "
            "CUDA build of PyTorch and a driver.",
            code="device.no_cuda",
        )
    return torch.device("cuda" if found and wanted != "cpu" else "cpu")


def _scores(
    item: Drawable,
    photos: Sequence[Photo],
    deadline: Deadline,
    *,
    held_out: bool,
    progress: Progress,
) -> tuple[list[Check], list[dict[str, Any]]]:
    """How well the result explains photos, as checks and view by view."""

    render, device, given = rendering_of(item), item.faces.device, len(photos)
    if deadline.limit is not None:
        before = deadline.remaining
        evaluate_views(render, photos[:1], device=device)  # how long does one take?
        after = deadline.remaining
        photos = _spread(photos, int(after * _SCORES_TIME / (before - after)))
    views = evaluate_views(render, photos, device=device, progress=progress)
    which = "held-out photos" if held_out else "photos used for the reconstruction"
    checks = score_checks(views, given, which)
    return checks, [{**asdict(view), "held_out": held_out} for view in views]


def _spread(photos: Sequence[Photo], count: int) -> Sequence[Photo]:
    """At most ``count`` photos, but a few, evenly chosen."""
    count = min(max(count, _LEAST_SCORED), len(photos))
    return [photos[index * len(photos) // count] for index in range(count)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
