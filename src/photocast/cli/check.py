# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast check``: what is wrong with a mesh, where, and how badly."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.cli.device import Device, chosen_device

if TYPE_CHECKING:
    from photocast.data import Check, Report
    from photocast.stages.validate import Checked

__all__ = ["EXIT_FAILED", "check"]

EXIT_FAILED = 4
"""The check ran, and its verdict is ``fail``."""


def check(
    source: Annotated[
        Path, typer.Argument(metavar="MESH_OR_RESULT", help="A mesh file, or a result folder.")
    ],
    profile: Annotated[
        str, typer.Option(help="Rules: view, print, simulate, result, or a TOML file.")
    ] = "view",
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the report as JSON; - is stdout.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one page.")] = None,
    layers: Annotated[
        Path | None, typer.Option(help="Write marks and numbers of every face, for viewers.")
    ] = None,
    thickness: Annotated[
        bool, typer.Option("--thickness/--no-thickness", help="Measure the thickness of walls.")
    ] = True,
    second_opinions: Annotated[
        bool, typer.Option("--second-opinions", help="Also ask other programs, if installed.")
    ] = False,
    reference: Annotated[
        Path | None, typer.Option(help="Also compare with this mesh, in the same frame.")
    ] = None,
    align: Annotated[
        bool, typer.Option("--align", help="Lay the mesh onto the reference first, with Open3D.")
    ] = False,
    align_scale: Annotated[
        bool, typer.Option("--align-scale", help="The same, also with one scale for all axes.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the comparison's points and tries.")] = 0,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
) -> None:
    """Say what is wrong with a mesh, where, and how badly.

    Example: `photocast check scan.glb --profile print --html report.html`

    The exit code is 0 for pass and warn, and 4 for fail.
    """
    from photocast.errors import UserError
    from photocast.stages.check_result import ReferenceUse, check_result

    use = None
    if reference is not None:
        use = ReferenceUse(reference, align or align_scale, align_scale, seed)
    elif align or align_scale:
        raise UserError(
            "--align lays the mesh onto a reference, and none is given. Say --reference FILE.",
            code="check.align",
        )
    checked = check_result(
        source,
        profile,
        with_thickness=thickness,
        with_opinions=second_opinions,
        reference=use,
        device=chosen_device(device),
    )
    _write(checked, json_out, html, layers)
    if json_out != Path("-"):
        typer.echo(_summary(checked))
    if checked.report.verdict == "fail":
        raise typer.Exit(EXIT_FAILED)


def _write(checked: "Checked", json_out: Path | None, html: Path | None, out: Path | None) -> None:
    from photocast.stages.export import place_files
    from photocast.stages.report import report_json

    if json_out == Path("-"):
        typer.echo(report_json(checked.report).decode(), nl=False)
    elif json_out is not None:
        place_files(json_out.absolute().parent, {json_out.name: report_json(checked.report)})
    if out is not None:
        place_files(out.absolute().parent, {out.name: checked.layers})
    if html is not None:
        from photocast.stages.check_page import check_page

        place_files(html.absolute().parent, {html.name: check_page(checked)})


def _summary(checked: "Checked") -> str:
    from photocast.stages.report_page import check_label, value_text

    report = checked.report
    score = "no score" if report.score is None else f"{report.score:g} of 100"
    lines = [f"{checked.path}: {report.verdict or 'not judged'}, {score}, profile {report.profile}"]
    lines += [f"  {issue.verdict}: {issue.text}" for issue in report.issues]

    def row(check: "Check") -> str:
        text = f"  {check_label(check.name):<34}{value_text(check)}"
        return f"{text} ({check.note})" if check.value is None else text

    lines += [row(check) for check in _shown(report)]
    if report.reference_from_mesh is not None:
        lines.append("  Laid onto the reference by this matrix:")
        lines += [f"    {' '.join(f'{n:>12.6g}' for n in line)}"
                  for line in report.reference_from_mesh]  # fmt: skip
    for opinion in report.opinions:
        said = ", ".join(f"{name} {value}" for name, value in opinion.answers.items())
        lines.append(f"  {opinion.tool} {opinion.version or ''}: {opinion.status}. "
                     f"{said or opinion.reason}")  # fmt: skip
    lines += [f"  note: {warning}" for warning in report.warnings]
    return "\n".join(lines)


_SHOWN = (
    "mesh.faces",
    "mesh.vertices",
    "mesh.components",
    "mesh.watertight",
    "mesh.boundary_edges",
    "mesh.boundary_loops",
    "mesh.non_manifold_edges",
    "mesh.non_manifold_vertices",
    "mesh.winding_consistent",
    "mesh.outward",
    "mesh.genus",
    "mesh.degenerate_faces",
    "shape.self_intersecting_faces",
    "shape.box",
    "mesh.volume",
    "shape.thickness_p1",
    "uv.charts",
    "uv.overlap",
    "uv.texture_width",
    "image.psnr",
    "image.mask_iou",
    "reference.chamfer",
    "reference.f_score_one_percent",
    "reference.normal_consistency",
    "reference.fitness",
    "reference.inlier_rmse",
    "reference.misfit",
    "reference.rival_misfit",
)


def _shown(report: "Report") -> list["Check"]:
    by_name = {check.name: check for check in report.checks}
    return [by_name[name] for name in _SHOWN if name in by_name]
