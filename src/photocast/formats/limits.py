# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What a mesh file may ask of us: bytes, counts, and files in its own folder only.

Counts are refused before anything is allocated for them, so a claim costs nothing. Names that a
file gives are shown shortened and escaped, because they end up in terminals.
"""

import stat
from pathlib import Path

from photocast.errors import MeshError

__all__ = [
    "MAX_FACES",
    "MAX_FILE_BYTES",
    "MAX_VERTICES",
    "check_counts",
    "file_beside",
    "read_beside",
    "read_bytes",
    "refuse_archive",
    "shown",
]

MAX_FILE_BYTES = 2 << 30
"""Of a mesh file with the files that it names [bytes]."""
MAX_FACES = 20_000_000
MAX_VERTICES = 3 * MAX_FACES
"""An STL repeats every vertex for each triangle."""

_NAME_LENGTH = 60
_ARCHIVES = {
    b"PK\x03\x04": "a ZIP",
    b"PK\x05\x06": "an empty ZIP",
    b"\x1f\x8b": "a gzip",
    b"BZh": "a bzip2",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip",
    b"Rar!": "a RAR",
    b"\xfd7zXZ\x00": "an xz",
    b"\x28\xb5\x2f\xfd": "a Zstandard",
}


def shown(name: object) -> str:
    """Quote a name from a file for a message: escaped, at most 60 characters."""
    text = ascii(name)
    return text if len(text) <= _NAME_LENGTH else text[: _NAME_LENGTH - 1] + "…"


def check_counts(*, vertices: int = 0, faces: int = 0) -> None:
    """Refuse more than we read.

    Raises:
        MeshError: Negative, or too many.
    """
    for count, most, what in ((vertices, MAX_VERTICES, "vertices"), (faces, MAX_FACES, "faces")):
        if count < 0:
            raise MeshError(f"it announces {count:,} {what}. Export it again.", code="mesh.damaged")
        if count > most:
            raise MeshError(
                f"it has or announces {count:,} {what}; at most {most:,} are read. "
                "Simplify or split the mesh first.",
                code="mesh.too_large",
            )


def read_bytes(path: Path, *, most: int = MAX_FILE_BYTES) -> bytes:
    """Read a regular file of limited size.

    Raises:
        MeshError: Missing, a folder, pipe or device, or too large.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise MeshError("it is a folder, pipe or device, not a file.", code="mesh.missing")
        if found.st_size > most:
            raise MeshError(
                f"it has {found.st_size:,} bytes; at most {most:,} are read. "
                "Simplify or split the mesh first.",
                code="mesh.too_large",
            )
        with path.open("rb") as file:
            return file.read(found.st_size)
    except OSError as error:
        raise MeshError(
            f"it cannot be read ({error.strerror}). Check the path.", code="mesh.missing"
        ) from error


def file_beside(folder: Path, name: str, *, owner: str) -> Path | None:
    """Find a file that a mesh file names, inside the mesh's folder or below.

    Args:
        folder: The folder of the mesh file.
        name: As the file gives it; both kinds of slashes separate folders.
        owner: What names it, for messages.

    Returns:
        Its resolved path, or ``None`` if there is no such file.

    Raises:
        MeshError: Absolute, climbing out with ``..``, or a link that leads out.
    """
    parts = name.replace("\\", "/")
    if parts.startswith("/") or ":" in parts[:2] or ".." in parts.split("/"):
        raise _outside(name, owner)
    try:
        path, root = (folder / parts).resolve(), folder.resolve()
        inside, there = path.is_relative_to(root), path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, links in a circle
        return None
    if not inside:
        raise _outside(name, owner)
    return path if there else None


def read_beside(folder: Path, name: str, *, owner: str) -> bytes:
    """Read a file that a mesh needs; see :func:`file_beside`.

    Raises:
        MeshError: Missing, outside the folder, or too large.
    """
    path = file_beside(folder, name, owner=owner)
    if path is None:
        raise MeshError(
            f"the file {shown(name)} named in {owner} is missing. Put it beside the mesh.",
            code="mesh.texture",
        )
    try:
        return read_bytes(path)
    except MeshError as error:
        raise MeshError(f"{shown(name)}, named in {owner}: {error}", code=error.code) from error


def refuse_archive(data: bytes) -> None:
    """Say so if a mesh file is really an archive; nothing is unpacked.

    Raises:
        MeshError: It is one.
    """
    kind = next((kind for magic, kind in _ARCHIVES.items() if data.startswith(magic)), None)
    if data[257:262] == b"ustar":
        kind = "a tar"
    if kind is not None:
        raise MeshError(
            f"this is {kind} archive of {len(data):,} bytes, not a mesh. Unpack it and name the "
            "mesh inside.",
            code="mesh.archive",
        )


def _outside(name: str, owner: str) -> MeshError:
    return MeshError(
        f"{owner} names {shown(name)}, which lies outside its folder. Put the file beside "
        "the mesh and write its bare name.",
        code="mesh.path_outside",
    )
