# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The XML of a 3MF as packed numbers, read in pieces and without a tree.

Document types are refused, so there are no entities to expand and nothing outside to fetch.
Source: 3MF Consortium, Core Specification 1.3 and Materials and Properties Extension 1.2.
"""

import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from xml.parsers import expat

from photocast.errors import MeshError
from photocast.formats.limits import check_counts, shown
from photocast.formats.threemf_write import CORE, FRAME_MARK, MATERIAL

__all__ = ["Model", "Object", "read_model", "read_relations"]

_COLOR = re.compile(r"#([0-9A-Fa-f]{6})(?:[0-9A-Fa-f]{2})?")
_UNPAINTED = 0
_MAX_DEPTH = 32
_MAX_THINGS = 200_000  # objects, components, items


@dataclass(slots=True)
class Object:
    """A mesh, or an assembly of others."""

    paint_default: tuple[int, int] = (_UNPAINTED, 0)
    vertices: "array[float]" = field(default_factory=lambda: array("d"))
    triangles: "array[int]" = field(default_factory=lambda: array("q"))
    paint: "array[int]" = field(default_factory=lambda: array("q"))
    """For each triangle a resource and an entry of it per corner; resource 0 is none."""
    components: list[tuple[int, str]] = field(default_factory=list)
    """Object and transform."""


@dataclass(slots=True)
class Model:
    """What a model part holds, by resource number."""

    unit: str = "millimeter"
    capture_frame: bool = False
    objects: dict[int, Object] = field(default_factory=dict)
    items: list[tuple[int, str]] = field(default_factory=list)
    """What is built: object and transform."""
    textures: dict[int, str] = field(default_factory=dict)
    uvs: dict[int, tuple[int, "array[float]"]] = field(default_factory=dict)
    """Texture, and two numbers per entry, v growing upwards."""
    colors: dict[int, "array[int]"] = field(default_factory=dict)
    """Three sRGB codes per entry."""


def read_relations(pieces: Iterable[bytes]) -> dict[str, str]:
    """Read a relationships part: targets by type, the first of each."""
    found: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.endswith("Relationship"):
            found.setdefault(attributes["Type"], attributes["Target"])

    _parse(pieces, start, lambda name: None, {})
    return found


def read_model(pieces: Iterable[bytes]) -> Model:
    """Read a model part.

    Raises:
        MeshError: Not XML, with a document type, damaged, or needing an extension not read.
    """
    reader = _Reader()
    _parse(pieces, reader.start, reader.end, reader.prefixes)
    return reader.model


def _parse(
    pieces: Iterable[bytes],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    prefixes: dict[str, str],
) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"elements are nested more than {_MAX_DEPTH} deep")
        start(name, attributes)

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    def refuse(*parts: object) -> None:
        raise ValueError("a document type is not allowed")

    def declared(prefix: str | None, uri: str | None) -> None:
        if len(prefixes) < 100:
            prefixes[prefix or ""] = uri or ""

    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.StartDoctypeDeclHandler = refuse
    parser.StartNamespaceDeclHandler = declared
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, OverflowError, ValueError) as error:
        raise MeshError(
            f"the 3MF's XML is damaged in line {parser.CurrentLineNumber:,} "
            f"({type(error).__name__}: {ascii(str(error))[1:-1][:120]}). Export it again.",
            code="mesh.damaged",
        ) from error


class _Reader:
    """Fills a model as elements come by."""

    def __init__(self) -> None:
        self.model = Model()
        self.prefixes: dict[str, str] = {}
        self.object = Object()
        self.values: array[float] = array("d")
        self.codes: array[int] = array("B")
        self.things = 0
        self.vertices = 0
        self.faces = 0
        core, material = CORE + " ", MATERIAL + " "
        self.handlers: dict[str, Callable[[dict[str, str]], None]] = {
            core + "vertex": self.vertex,
            core + "triangle": self.triangle,
            core + "object": self.begin_object,
            core + "component": self.component,
            core + "item": self.item,
            core + "model": self.begin_model,
            core + "metadata": self.metadata,
            material + "tex2coord": self.uv,
            material + "color": self.color,
            material + "texture2d": self.texture,
            material + "texture2dgroup": self.begin_uvs,
            material + "colorgroup": self.begin_colors,
        }

    def start(self, name: str, attributes: dict[str, str]) -> None:
        handler = self.handlers.get(name)
        if handler is not None:
            handler(attributes)

    def end(self, name: str) -> None:
        if name.endswith("vertices") or name.endswith("triangles"):
            check_counts(vertices=self.vertices, faces=self.faces)

    def begin_model(self, attributes: dict[str, str]) -> None:
        self.model.unit = attributes.get("unit", "millimeter")
        wanted = {self.prefixes.get(p, p) for p in attributes.get("requiredextensions", "").split()}
        if unknown := wanted - {CORE, MATERIAL}:
            raise MeshError(
                f"the 3MF needs {shown(', '.join(sorted(unknown)))}, which is not read. "
                "Export it without extensions.",
                code="mesh.glb_extension",
            )

    def metadata(self, attributes: dict[str, str]) -> None:
        self.model.capture_frame |= attributes.get("name") == FRAME_MARK

    def begin_object(self, attributes: dict[str, str]) -> None:
        self.count()
        default = (int(attributes.get("pid", "0")), int(attributes.get("pindex", "0")))
        self.object = self.model.objects[int(attributes["id"])] = Object(default)

    def vertex(self, attributes: dict[str, str]) -> None:
        self.object.vertices.extend(
            (float(attributes["x"]), float(attributes["y"]), float(attributes["z"]))
        )
        self.vertices += 1
        if not self.vertices & 0xFFFFF:
            check_counts(vertices=self.vertices)

    def triangle(self, attributes: dict[str, str]) -> None:
        self.object.triangles.extend(
            (int(attributes["v1"]), int(attributes["v2"]), int(attributes["v3"]))
        )
        resource, entry = self.object.paint_default
        resource = int(attributes.get("pid", resource))
        first = int(attributes.get("p1", entry))
        second, third = (int(attributes.get(key, first)) for key in ("p2", "p3"))
        self.object.paint.extend((resource, first, second, third))
        self.faces += 1
        if not self.faces & 0xFFFFF:
            check_counts(faces=self.faces)

    def component(self, attributes: dict[str, str]) -> None:
        self.count()
        self.object.components.append(_reference(attributes))

    def item(self, attributes: dict[str, str]) -> None:
        self.count()
        self.model.items.append(_reference(attributes))

    def count(self) -> None:
        self.things += 1
        if self.things > _MAX_THINGS:
            raise ValueError(f"more than {_MAX_THINGS:,} objects, components and items")

    def texture(self, attributes: dict[str, str]) -> None:
        self.count()
        self.model.textures[int(attributes["id"])] = attributes["path"]

    def begin_uvs(self, attributes: dict[str, str]) -> None:
        self.count()
        self.values = array("d")
        self.model.uvs[int(attributes["id"])] = (int(attributes["texid"]), self.values)

    def uv(self, attributes: dict[str, str]) -> None:
        self.values.extend((float(attributes["u"]), float(attributes["v"])))

    def begin_colors(self, attributes: dict[str, str]) -> None:
        self.count()
        self.codes = self.model.colors[int(attributes["id"])] = array("B")

    def color(self, attributes: dict[str, str]) -> None:
        match = _COLOR.fullmatch(attributes["color"])
        if match is None:
            raise ValueError(f"a color is {shown(attributes['color'])}")
        self.codes.extend(bytes.fromhex(match[1]))


def _reference(attributes: dict[str, str]) -> tuple[int, str]:
    if any(name.endswith("path") for name in attributes):
        raise MeshError(
            "the 3MF is split over several model parts, which is not read. Export it as one model.",
            code="mesh.glb_extension",
        )
    return int(attributes["objectid"]), attributes.get("transform", "")
