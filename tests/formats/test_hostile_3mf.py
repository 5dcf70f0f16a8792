# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""3MF files that explode, refer to themselves or to elsewhere are refused at little cost."""

import io
import resource
import time
import zipfile

import pytest

from photocast.errors import MeshError
from photocast.formats.meshes import load_mesh
from photocast.formats.threemf_write import CORE, MATERIAL, MODEL_RELATION

RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="r" Target="/3D/m.model" Type="{MODEL_RELATION}"/></Relationships>'
)
VERTICES = "".join(
    f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in ((0, 0, 0), (1, 0, 0), (0, 1, 0))
)
MESH = (
    f"<mesh><vertices>{VERTICES}</vertices><triangles>"
    '<triangle v1="0" v2="1" v3="2"/></triangles></mesh>'
)
ITEM = '<build><item objectid="1"/></build>'


def model(objects: str, build: str = ITEM, head: str = "", attributes: str = "") -> str:
    return (
        f'{head}<model unit="millimeter" xmlns="{CORE}" xmlns:m="{MATERIAL}" {attributes}>'
        f"<resources>{objects}</resources>{build}</model>"
    )


def threemf(
    text: str | bytes, relations: str = RELATIONS, kind: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        file.writestr("_rels/.rels", relations)
        file.writestr("3D/m.model", text)
    return buffer.getvalue()


def one(mesh: str = MESH, attributes: str = "") -> str:
    return f'<object id="1" {attributes}>{mesh}</object>'


LAUGHS = (
    "<!DOCTYPE x [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9))
    + "]>"
)
COMPONENT = '<component objectid="{}"/>'
ASSEMBLY = '<object id="{}"><components>{}</components></object>'
NESTED = "".join(ASSEMBLY.format(n, COMPONENT.format(n + 1) * 10) for n in range(1, 9))
NESTED += f'<object id="9">{MESH}</object>'
TEXTURED = (
    '<m:texture2d id="5" path="{}" contenttype="image/png"/><m:texture2dgroup id="6" texid="5">'
    '<m:tex2coord u="0" v="0"/></m:texture2dgroup>'
) + one(attributes='pid="6" pindex="0"')
CASES = {
    "laughs": (threemf(model(one(), head=LAUGHS)), "mesh.damaged", "document type"),
    "outside": (
        threemf(model(one(), head='<!DOCTYPE x SYSTEM "file:///etc/passwd">')),
        "mesh.damaged",
        "document type",
    ),
    "bomb": (threemf(model(one()) + " " * 300_000_000), "mesh.too_large", "unpacks to more"),
    "nested": (threemf(model(NESTED)), "mesh.too_large", "20,000"),
    "self": (
        threemf(model(ASSEMBLY.format(1, COMPONENT.format(1)))),
        "mesh.too_large",
        "contain each other",
    ),
    "deep": (threemf(model("<a>" * 100_000)), "mesh.damaged", "32 deep"),
    "no_model": (
        threemf(model(one()), RELATIONS.replace("m.model", "../../x")),
        "mesh.damaged",
        "lacks",
    ),
    "no_relation": (threemf(model(one()), "<Relationships/>"), "mesh.damaged", "names no model"),
    "not_xml": (threemf(b"\xff\x00<"), "mesh.damaged", "line 1"),
    "cut": (threemf(model(one()))[:-40], "mesh.truncated", "ends early"),
    "text": (b"hello", "mesh.truncated", "not the 3MF"),
    "lzma": (threemf(model(one()), kind=zipfile.ZIP_LZMA), "mesh.damaged", "method 14"),
    "production": (
        threemf(model(one(), attributes='xmlns:p="urn:p" requiredextensions="p"')),
        "mesh.glb_extension",
        "urn:p",
    ),
    "elsewhere": (
        threemf(model(one(), '<build><item objectid="1" path="/x.model"/></build>')),
        "mesh.glb_extension",
        "several model parts",
    ),
    "index": (threemf(model(one(MESH.replace('v3="2"', 'v3="7"')))), "mesh.index", "7 of 3"),
    "huge_index": (
        threemf(model(one(MESH.replace('v3="2"', f'v3="{9**30}"')))),
        "mesh.damaged",
        "Overflow",
    ),
    "nan": (threemf(model(one(MESH.replace('x="1"', 'x="nan"')))), "mesh.not_finite", "1 of 3"),
    "points": (
        threemf(model(one(f"<mesh><vertices>{VERTICES}</vertices></mesh>"))),
        "mesh.no_faces",
        "",
    ),
    "unit": (threemf(model(one()).replace("millimeter", "parsec")), "mesh.damaged", "parsec"),
    "climbing_texture": (
        threemf(model(TEXTURED.format("/../../etc/hostname"))),
        "mesh.damaged",
        "etc/hostname",
    ),
    "paint": (
        threemf(model(TEXTURED.format("/x.png").replace('pindex="0"', 'pindex="4"'))),
        "mesh.index",
        "4 of 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_3mf_is_refused_with_its_numbers(tmp_path, name):
    data, code, words = CASES[name]
    path = tmp_path / f"{name}.3mf"
    path.write_bytes(data)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(MeshError) as caught:
        load_mesh(path)
    text = str(caught.value)
    assert (caught.value.code, path.name in text, words in text) == (code, True, True), text
    assert text.isprintable()
    assert time.process_time() - start < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_wide_directory_is_not_read(tmp_path):
    data = bytearray(threemf(model(one())))
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.3mf").write_bytes(data)
    with pytest.raises(MeshError, match="2,147,483,648") as caught:
        load_mesh(tmp_path / "a.3mf")
    assert caught.value.code == "mesh.too_large"


def test_a_mirrored_item_keeps_its_outside_out(tmp_path):
    turned = ITEM.replace("/>", ' transform="-1 0 0 0 1 0 0 0 1 5 0 0"/>')
    (tmp_path / "a.3mf").write_bytes(threemf(model(one(), turned)))
    mesh = load_mesh(tmp_path / "a.3mf")
    a, b, c = mesh.vertices[mesh.faces[0]]
    assert (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0
    assert mesh.bounds[1, 0] == pytest.approx(0.005)
