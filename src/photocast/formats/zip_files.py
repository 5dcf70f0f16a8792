# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Mesh formats that are ZIP files: written the same every time, read within limits.

Nothing is unpacked to disk, so names inside are only looked up. What a member announces is not
believed: it is unpacked piece by piece and given up when it grows beyond its limit.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping

from photocast.errors import MeshError
from photocast.formats.limits import MAX_FILE_BYTES, shown

__all__ = ["ZipParts", "zip_aligned", "zip_deflated"]

_PIECE_BYTES = 1 << 20
_MAX_DIRECTORY_BYTES = 4 << 20
_MAX_RATIO, _SMALL_BYTES = 50, 16 << 20  # text meshes shrink to a fifth or tenth
_END = b"PK\x05\x06"
_DAMAGE = (
    *(OSError, EOFError, RuntimeError, ValueError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def zip_deflated(parts: Mapping[str, bytes]) -> bytes:
    """Pack parts in order, compressed, without dates."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in parts.items():
            kind = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            file.writestr(zipfile.ZipInfo(name), data, compress_type=kind, compresslevel=6)
    return buffer.getvalue()


def zip_aligned(parts: Mapping[str, bytes], *, alignment: int = 64) -> bytes:
    """Store parts in order, uncompressed, each starting at a multiple of ``alignment`` bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, data in parts.items():
            info = zipfile.ZipInfo(name)
            start = buffer.tell() + 30 + len(name.encode())  # a local header has 30 bytes
            gap = -(start + 4) % alignment  # an extra field has 4 bytes of its own
            info.extra = struct.pack("<HH", 0x1986, gap) + bytes(gap)
            file.writestr(info, data)
    return buffer.getvalue()


class ZipParts:
    """The members of an untrusted ZIP file, by name."""

    def __init__(self, data: bytes, *, what: str) -> None:
        """Read the directory.

        Args:
            data: The file.
            what: The format, for messages.

        Raises:
            MeshError: Not a ZIP file, damaged, or with too large a directory.
        """
        self._what = what
        end = data.rfind(_END, max(len(data) - 65_557, 0))
        if data[:2] != b"PK" or end < 0 or end + 22 > len(data):
            raise MeshError(
                f"this is not {what}, or it ends early ({len(data):,} bytes). Copy or export it "
                "again.",
                code="mesh.truncated",
            )
        (size,) = struct.unpack_from("<I", data, end + 12)
        if size > _MAX_DIRECTORY_BYTES:
            raise MeshError(
                f"the directory of {what} announces {size:,} bytes; at most "
                f"{_MAX_DIRECTORY_BYTES:,} are read. Export it again.",
                code="mesh.too_large",
            )
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def names(self) -> list[str]:
        """List the members."""
        return self._file.namelist()

    def pieces(self, name: str) -> Iterator[bytes]:
        """Unpack one member, piece by piece.

        Raises:
            MeshError: Missing, damaged, or growing beyond its limit.
        """
        try:
            info = self._file.getinfo(name)
        except KeyError as error:
            raise MeshError(
                f"{self._what} lacks its part {shown(name)}. Export it again.", code="mesh.damaged"
            ) from error
        most = min(max(info.compress_size * _MAX_RATIO, _SMALL_BYTES), MAX_FILE_BYTES)
        total = 0
        try:
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError(f"compression method {info.compress_type}")
            with self._file.open(info) as member:
                while piece := member.read(_PIECE_BYTES):
                    total += len(piece)
                    if total > most:
                        break
                    yield piece
        except _DAMAGE as error:
            raise self._damaged(error) from error
        if total > most:
            raise MeshError(
                f"the part {shown(name)} of {self._what} unpacks to more than {most:,} bytes from "
                f"{info.compress_size:,}. Simplify the mesh, or export it again.",
                code="mesh.too_large",
            )

    def read(self, name: str) -> bytes:
        """Unpack one member; see :meth:`pieces`."""
        return b"".join(self.pieces(name))

    def _damaged(self, error: BaseException) -> MeshError:
        return MeshError(
            f"{self._what} is damaged ({ascii(str(error))[1:-1][:120]}). Copy or export it again.",
            code="mesh.damaged",
        )
