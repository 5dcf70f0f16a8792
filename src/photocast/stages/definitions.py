# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What each check asks and in which unit: the reference that reports link to.

``docs/mesh-report.md`` is made from these sentences. ``unit`` stands for the unit of the file's
coordinates; ``1`` is a plain number.
"""

from dataclasses import dataclass

__all__ = ["COUNTED", "DEFINITIONS", "GROUPS", "Definition", "definition_of"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of the reference."""

    title: str
    unit: str
    """Empty for a yes or no, or a word."""
    meaning: str


COUNTED = ("faces", "vertices", "edges", "parts", "loops", "charts", "numbers", "handles")
"""Units of counts; the title of a check already says what is counted."""

GROUPS = {
    "file": "File",
    "mesh": "Counts and topology",
    "shape": "Geometry",
    "uv": "UV map and texture",
    "image": "Agreement with the photos",
    "reference": "Agreement with the reference",
    "cameras": "Cameras",
    "memory": "Run",
}
"""Titles by the first word of a check's name, in the order of the report."""

_FILE = {
    "file.format": Definition("Format", "", "The file's ending, without the dot."),
    "file.size": Definition("Size", "bytes", "Of the file that was checked."),
    "file.sha256": Definition("SHA-256", "", "Of the file's bytes: which file this report is of."),
    "file.*": Definition("Size of a file", "bytes", "One line per mesh file of a result folder."),
}

_MESH = {
    "mesh.file_vertices": Definition(
        "Vertices in the file",
        "vertices",
        "As stored. Formats repeat a position for every UV, normal or triangle that needs it.",
    ),
    "mesh.vertices": Definition(
        "Vertices",
        "vertices",
        "Distinct positions, equal to the last bit. All topology is that of these, so a UV seam is "
        "not a hole.",
    ),
    "mesh.faces": Definition("Triangles", "faces", "Polygons count as the triangles they become."),
    "mesh.not_finite": Definition(
        "Numbers that are not finite",
        "numbers",
        "NaN or infinite coordinates, UVs or colours. With any, nothing else can be measured.",
    ),
    "mesh.unreferenced_vertices": Definition(
        "Unreferenced vertices", "vertices", "Vertices of the file that no triangle names."
    ),
    "mesh.duplicate_vertices": Definition(
        "Repeated vertices",
        "vertices",
        "Vertices of the file equal to an earlier one in position, UV and colour. An STL repeats "
        "nearly all.",
    ),
    "mesh.duplicate_faces": Definition(
        "Repeated triangles",
        "faces",
        "Triangles of the same three positions as an earlier one, in any order.",
    ),
    "mesh.components": Definition(
        "Components", "parts", "Parts of the surface that share no vertex with each other."
    ),
    "mesh.large_components": Definition(
        "Large components", "parts", "Components with more than 1 % of the whole area."
    ),
    "mesh.largest_share": Definition(
        "Share of the largest component", "1", "Its area over the whole area."
    ),
    "mesh.watertight": Definition("Watertight", "", "Every edge belongs to exactly two triangles."),
    "mesh.boundary_edges": Definition(
        "Open edges", "edges", "Edges of one triangle only: the rim of a hole or of a sheet."
    ),
    "mesh.boundary_loops": Definition(
        "Open rims", "loops", "Connected groups of open edges: holes, or outlines of sheets."
    ),
    "mesh.boundary_length": Definition("Length of open rims", "unit", "Sum of all open edges."),
    "mesh.non_manifold_edges": Definition(
        "Edges of more than two triangles", "edges", "There the surface has no two clear sides."
    ),
    "mesh.non_manifold_vertices": Definition(
        "Pinched vertices",
        "vertices",
        "Vertices whose triangles form more than one fan: surfaces that only touch there.",
    ),
    "mesh.winding_consistent": Definition(
        "Winding consistent",
        "",
        "Neighbours walk their edge in opposite directions, so they agree on outside; of more than "
        "two, as many one way as the other.",
    ),
    "mesh.flipped_faces": Definition(
        "Flipped triangles",
        "faces",
        "Triangles that disagree with the majority of the sheet they are in.",
    ),
    "mesh.outward": Definition(
        "Faces outward",
        "",
        "Every closed component encloses solid, or, inside another one, a hollow. The 64 largest "
        "are looked at. Unknown where the surface is open or its winding is not consistent.",
    ),
    "mesh.hollows": Definition(
        "Hollows", "parts", "Closed components that bound a hollow inside another one."
    ),
    "mesh.euler_number": Definition(
        "Euler number", "1", "Vertices in use minus edges plus triangles."
    ),
    "mesh.genus": Definition(
        "Genus",
        "handles",
        "Handles and tunnels of all components. Only defined for a closed surface.",
    ),
    "mesh.degenerate_faces": Definition(
        "Degenerate triangles",
        "faces",
        "Area below 1e-7 of the squared longest side, collapsed triangles among them.",
    ),
    "mesh.area": Definition("Area", "unit²", "Sum over all triangles."),
    "mesh.volume": Definition(
        "Volume", "unit³", "Enclosed by the surface, hollows taken off. Unknown if it is open."
    ),
}

_SHAPE = {
    "shape.box": Definition("Box", "unit", "Sides of the box along the axes, x by y by z."),
    "shape.self_intersecting_faces": Definition(
        "Self-intersecting triangles",
        "faces",
        "Triangles that meet another one beyond the corners that both have. Lying on each other "
        "and touching count; repeated and degenerate triangles do not.",
    ),
    "shape.self_intersecting_share": Definition(
        "Share of self-intersecting triangles", "1", "Of all triangles."
    ),
    "shape.zero_edges": Definition(
        "Edges without length", "faces", "Triangles with a side below 1e-9 of the box's diagonal."
    ),
    "shape.min_angle": Definition("Smallest angle", "°", "Of any triangle; 60 at best."),
    "shape.min_angle_p5": Definition(
        "Smallest angle, 5th percentile",
        "°",
        "Five in a hundred triangles have a sharper corner than this.",
    ),
    "shape.sliver_share": Definition(
        "Share of slivers", "1", "Triangles with an angle below 5 degrees, of all."
    ),
    "shape.aspect_p95": Definition(
        "Aspect, 95th percentile",
        "1",
        "Longest side times perimeter over 4√3 times the area: 1 for equal sides. Five in a "
        "hundred triangles are longer.",
    ),
    "shape.area_ratio_p99": Definition(
        "Neighbour area ratio, 99th percentile",
        "1",
        "Area of the larger of two neighbours over the smaller; of each triangle, its most "
        "different neighbour.",
    ),
    "shape.edge_ratio": Definition(
        "Longest to median edge", "1", "The longest side over the median of longest sides."
    ),
    "shape.thickness_p1": Definition(
        "Thickness, 1st percentile",
        "unit",
        "From the middle of a triangle straight inwards to the next one. At most 20 000 triangles "
        "are measured, spread over all. Unknown if the surface is open.",
    ),
    "shape.thickness_p50": Definition("Thickness, median", "unit", "Measured in the same way."),
    "shape.thickness_p1_share": Definition(
        "Thickness over the box's diagonal", "1", "The 1st percentile as a share: free of units."
    ),
}

_UV = {
    "uv.charts": Definition("Charts", "charts", "Connected pieces of the UV map."),
    "uv.seam_length": Definition(
        "Seams",
        "unit",
        "Length on the surface of edges at which two charts, or two sides of one, meet.",
    ),
    "uv.inside": Definition("UVs inside the map", "", "All coordinates within 0..1."),
    "uv.outside_share": Definition(
        "Share of UVs outside", "1", "UV corners outside 0..1: the texture repeats there."
    ),
    "uv.overlap": Definition(
        "UV overlap",
        "1",
        "Texels that two triangles cover, of those that any does, on a grid of 1024 x 1024.",
    ),
    "uv.used": Definition("Map in use", "1", "Share of the map that charts cover, within 0..1."),
    "uv.flipped_share": Definition(
        "Share of mirrored UVs", "1", "Triangles whose UVs run the other way round than most."
    ),
    "uv.stretch_p95": Definition(
        "Stretch, 95th percentile",
        "1",
        "Largest over smallest scale from the map to a triangle: 1 keeps shapes.",
    ),
    "uv.texel_density_p5": Definition(
        "Texel density, 5th percentile", "texels/unit", "Of the surface's area, the coarsest 5 %."
    ),
    "uv.texel_density_p50": Definition("Texel density, median", "texels/unit", "By area."),
    "uv.materials": Definition(
        "Materials",
        "materials",
        "Of the file. The maps of several are laid side by side, and the UVs move there: what else "
        "is said of UVs and textures is said of that map.",
    ),
    "uv.texture_width": Definition("Texture width", "px", "Of the base colour."),
    "uv.texture_height": Definition("Texture height", "px", "Of the base colour."),
    "uv.unseen_share": Definition(
        "Share of unseen texels",
        "1",
        "Texels in use that no photo of the run shows: facing it by at least 6 degrees, within its "
        "mask, with nothing before. A file does not tell.",
    ),
}

_IMAGE = {
    "image.psnr": Definition("PSNR", "dB", "Mean over photos, of sRGB laid over white."),
    "image.psnr_inside": Definition("PSNR inside the mask", "dB", "Mean over photos."),
    "image.ssim": Definition("SSIM", "1", "Mean over photos, laid over white."),
    "image.mask_iou": Definition("Overlap of outlines (IoU)", "1", "Mean over photos."),
    "image.photos": Definition("Photos", "photos", "How many photos the means are over."),
    "image.worst_mask_iou": Definition("Worst overlap of outlines", "1", "Of any one photo."),
    "image.worst_psnr_inside": Definition("Worst PSNR inside the mask", "dB", "Of any one photo."),
    "image.covered_share": Definition(
        "Share of triangles in two photos",
        "1",
        "Triangles of which at least two photos of the run show the middle, by area.",
    ),
    "image.lpips": Definition(
        "LPIPS", "1", "A learnt distance; it needs weights that are not shipped."
    ),
}

_REFERENCE = {
    "reference.accuracy": Definition(
        "Accuracy",
        "1",
        "Mean distance from points of the mesh to the reference, as a share of the diagonal of the "
        "reference's box.",
    ),
    "reference.completeness": Definition(
        "Completeness", "1", "The same from points of the reference to the mesh."
    ),
    "reference.chamfer": Definition("Chamfer distance", "1", "Mean of both."),
    "reference.f_score_half_percent": Definition(
        "F-score at 0.5 %",
        "1",
        "Harmonic mean of the shares of both surfaces that lie within 0.5 % of the diagonal of the "
        "other.",
    ),
    "reference.f_score_one_percent": Definition("F-score at 1 %", "1", "The same within 1 %."),
    "reference.normal_consistency": Definition(
        "Agreement of normals", "1", "Mean cosine between normals at nearest points, without sign."
    ),
    "reference.fitness": Definition(
        "Fitness of the alignment",
        "1",
        "Share of the mesh within 1 % of the reference's diagonal of it, after the alignment.",
    ),
    "reference.inlier_rmse": Definition(
        "Residual of the alignment",
        "unit",
        "Root of the mean square distance of that share, in the reference's unit.",
    ),
    "reference.misfit": Definition(
        "Misfit of the alignment",
        "1",
        "Mean distance both ways as a share of the diagonal, where each distance counts as 5 % at "
        "most: what tells alignments apart.",
    ),
    "reference.rival_misfit": Definition(
        "Misfit of the next alignment",
        "1",
        "The same of the best other alignment found, turned by 15 degrees or more: nearly as small "
        "for an object that looks alike from several sides.",
    ),
}

_CAMERAS = {
    "cameras.shift": Definition("Correction of cameras", "px", "How far cameras were moved."),
    "cameras.outline": Definition(
        "Distance of outlines", "px", "Between model and masks, after the correction."
    ),
    "cameras.count": Definition("Cameras", "cameras", "Photos with a camera."),
    "cameras.source": Definition(
        "Source of the cameras", "", "Given with the photos, corrected, or found by the engine."
    ),
    "cameras.registered_share": Definition(
        "Share of registered photos", "1", "Photos with a camera, of all photos."
    ),
    "cameras.reprojection_rms": Definition(
        "Reprojection error",
        "px",
        "Root of the mean square over points that cameras were found by. No engine finds cameras "
        "by points yet.",
    ),
}

_RUN = {
    "memory.gpu_peak": Definition("Peak of GPU memory", "bytes", "Of the run that made the mesh."),
}

DEFINITIONS = {**_FILE, **_MESH, **_SHAPE, **_UV, **_IMAGE, **_REFERENCE, **_CAMERAS, **_RUN}
"""By the name of the check."""


def definition_of(name: str) -> Definition | None:
    """Find the definition of a check; all files of a result folder have one in common."""
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    return DEFINITIONS["file.*"] if name.startswith("file.") else None
