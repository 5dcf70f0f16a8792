# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A mesh as 3MF, for printing: geometry in millimetres with its base colour.

The object keeps the capture's frame; the one build item turns the world's up to +Z and sets the
object onto the plate, into the corner at the origin. One unit of the mesh is one metre. Triangles
that use a vertex twice are left out, as the format forbids them.
Source: 3MF Consortium, Core Specification 1.3 and Materials and Properties Extension 1.2.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from photocast.data import Mesh
from photocast.formats.srgb import srgb_from_linear
from photocast.formats.textures import png_from_base_color
from photocast.formats.zip_files import zip_deflated
from photocast.geometry.upright import upright_matrix

__all__ = ["CORE", "FRAME_MARK", "MATERIAL", "MODEL_RELATION", "write_3mf"]

CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
MATERIAL = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
MODEL_RELATION = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
FRAME_MARK = "photocast:frame"
"""Metadata of our own files: the object is in the capture's frame, the item only places it."""

_TEXTURE_RELATION = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dtexture"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_MODEL, _TEXTURE = "3D/3dmodel.model", "3D/Textures/base_color.png"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_TYPES = (
    f'{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" '
    'ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>'
    '<Default Extension="png" ContentType="image/png"/></Types>'
)
_MM_PER_UNIT = 1000.0
_Z_UP_FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def write_3mf(mesh: Mesh, *, up: NDArray[np.floating] | None = None) -> bytes:
    """Encode a mesh with its base colour map, or else its vertex colours.

    Args:
        mesh: Vertices in the capture's frame [m].
        up: The world's up direction; +Y if absent.
    """
    kept = (mesh.faces != np.roll(mesh.faces, 1, axis=1)).all(axis=1)
    paint, properties = _paint(mesh)
    triangles = mesh.faces[kept]
    line = '<triangle v1="%d" v2="%d" v3="%d"'
    if properties is not None:
        triangles = np.column_stack([triangles, properties[kept]])
        line += ' pid="2" p1="%d" p2="%d" p3="%d"'
    millimetres = mesh.vertices.astype(np.float64) * _MM_PER_UNIT
    placed = _placement(millimetres, np.array([0.0, 1.0, 0.0]) if up is None else up)
    model = (
        f'{_XML}<model unit="millimeter" xml:lang="en-US" xmlns="{CORE}" xmlns:m="{MATERIAL}" '
        f'xmlns:photocast="urn:photocast:3mf"><metadata name="Application">photocast</metadata>'
        f'<metadata name="{FRAME_MARK}">capture</metadata><resources>{paint}'
        f'<object id="3" type="model"{"" if properties is None else _DEFAULT_PAINT}>'
        f"<mesh><vertices>\n{_rows(_VERTEX, millimetres)}</vertices><triangles>\n"
        f"{_rows(line + '/>', triangles)}</triangles></mesh></object></resources>"
        f'<build><item objectid="3" transform="{placed}"/></build></model>\n'
    )
    parts = {
        "[Content_Types].xml": _TYPES.encode(),
        "_rels/.rels": _relations(f"/{_MODEL}", MODEL_RELATION),
        _MODEL: model.encode(),
    }
    if mesh.material.base_color is not None and mesh.uvs is not None:
        parts["3D/_rels/3dmodel.model.rels"] = _relations(f"/{_TEXTURE}", _TEXTURE_RELATION)
        parts[_TEXTURE] = png_from_base_color(mesh.material.base_color)
    return zip_deflated(parts)


_VERTEX = '<vertex x="%.9g" y="%.9g" z="%.9g"/>'  # nine digits bring every float32 back
_UV = '<m:tex2coord u="%.9g" v="%.9g"/>'
_DEFAULT_PAINT = ' pid="2" pindex="0"'


def _paint(mesh: Mesh) -> tuple[str, NDArray[Any] | None]:
    """The resource that corners point into, as number 2, and where each corner points."""
    if mesh.uvs is not None and mesh.material.base_color is not None:
        up_v = np.column_stack(
            [mesh.uvs[:, 0], np.float32(1.0) - mesh.uvs[:, 1]]
        )  # v grows upwards
        return (
            f'<m:texture2d id="1" path="/{_TEXTURE}" contenttype="image/png" '
            'tilestyleu="clamp" tilestylev="clamp"/><m:texture2dgroup id="2" texid="1">\n'
            f"{_rows(_UV, up_v)}</m:texture2dgroup>",
            mesh.uv_faces,
        )
    if mesh.colors is not None:
        codes, index = np.unique(srgb_from_linear(mesh.colors), axis=0, return_inverse=True)
        rows = _rows('<m:color color="#%02X%02X%02X"/>', codes)
        return f'<m:colorgroup id="2">\n{rows}</m:colorgroup>', index.ravel()[mesh.faces]
    return "", None


def _placement(millimetres: NDArray[np.float64], up: NDArray[np.floating]) -> str:
    """The item's transform: nine numbers of the rotation by columns, then the translation."""
    turn = _Z_UP_FROM_Y_UP @ upright_matrix(up)
    lowest = (millimetres @ turn.T).min(axis=0)
    return " ".join("%.9g" % number for number in (*turn.T.ravel(), *-lowest))  # noqa: UP031


def _rows(line: str, numbers: NDArray[Any]) -> str:
    return (line + "\n") * len(numbers) % tuple(numbers.ravel().tolist())


def _relations(target: str, kind: str) -> bytes:
    return (
        f'{_XML}<Relationships xmlns="{_RELATIONS}"><Relationship Id="rel0" Target="{target}" '
        f'Type="{kind}"/></Relationships>'
    ).encode()
