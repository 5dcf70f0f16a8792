# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A ZIP file of photos to a capture folder, without trusting anything that it says of itself.

    python -m photocast.worker.unzip ARCHIVE FOLDER

Members are told apart by the folders that they lie in; names are made anew from letters, digits and
``._-``. Nothing is written that is not of a kind that a capture can have.
"""

import io
import re
import stat
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from photocast.children import answer
from photocast.errors import CaptureError
from photocast.formats.limits import shown

__all__ = ["Unpacked", "ZipLimits", "unzip_photos"]

_PIECE_BYTES = 1 << 20
_MOST_READ = 8 << 20  # of the directory; zipfile takes it in one piece
_SMALL_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30
_NAME_LENGTH = 100
_MOST_SKIPPED = 50
_PHOTOS = frozenset((".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"))
_DEPTH = frozenset((".png", ".tif", ".tiff", ".npy", ".exr", ".pfm", ".bin"))
_FOLDERS = {
    **dict.fromkeys(("mask", "masks"), "masks"),
    **dict.fromkeys(("depth", "depths"), "depth"),
    **dict.fromkeys(("confidence", "depth_confidence"), "confidence"),
}
_CAMERA_FILE = re.compile(
    r"transforms(_train|_test|_val)?\.json|cameras[A-Za-z0-9_]*\.npz|poses_bounds\.npy"
    r"|[A-Za-z0-9_-]+_par\.txt|(cameras|images|points3D)\.(bin|txt)"
)
_DAMAGE = (
    *(EOFError, RuntimeError, ValueError, NotImplementedError, OverflowError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """What an archive may ask for."""

    members: int = 5000
    member_bytes: int = 256 << 20
    total_bytes: int = 8 << 30
    ratio: int = 200
    """Unpacked to packed bytes of a member, beyond its first mebibyte."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out."""

    files: tuple[str, ...]
    """Paths inside the folder, such as ``images/0001.jpg``."""
    skipped: tuple[str, ...]
    """Members that were left out, with the reason; the first fifty."""
    skipped_count: int
    total_bytes: int


class _Piecemeal(io.BufferedReader):
    """A file from which no more is read at a time than a directory may have."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_READ:
            raise zipfile.BadZipFile(f"its directory has more than {_MOST_READ:,} bytes")
        return super().read(_MOST_READ if size is None or size < 0 else size)


def unzip_photos(archive: Path, folder: Path, limits: ZipLimits | None = None) -> Unpacked:
    """Unpack photos, masks, depth maps and camera files.

    Args:
        archive: A ZIP file, whatever its name says.
        folder: Is made; gets ``images``, ``masks``, ``depth`` and ``confidence``, and camera files.
            After an error it is for the caller to remove.
        limits: The usual ones if absent.

    Raises:
        CaptureError: No ZIP file, damaged, too large, or with no photos in it.
    """
    limits = limits or ZipLimits()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _Piecemeal(io.FileIO(archive)) as file, zipfile.ZipFile(file) as parts:
            return _unpacked(parts, folder, limits)
    except _DAMAGE as error:
        raise CaptureError(
            f"{archive.name} is no ZIP file that can be read ({ascii(str(error))[1:-1][:120]}). "
            "Pack it again, as plain ZIP.",
            code="upload.zip_damaged",
        ) from error


def _unpacked(parts: zipfile.ZipFile, folder: Path, limits: ZipLimits) -> Unpacked:
    members = sorted(parts.infolist(), key=lambda member: member.filename)
    if len(members) > limits.members:
        raise _too_large(f"it has {len(members):,} members; at most {limits.members:,} are read")
    _refuse_overlap(members)
    taken: set[str] = set()
    files, skipped, total = [], [], 0
    for member in members:
        place, reason = _place(member)
        if place is None:
            skipped += [f"{shown(member.filename)}: {reason}"] if reason else []
            continue
        path = _free(place, taken)
        most = min(limits.member_bytes, limits.total_bytes - total)
        total += _unpack(parts, member, folder / path, min(most, _fair_bytes(member, limits)))
        files.append(path)
    if not any(path.startswith("images/") for path in files):
        raise CaptureError(
            f"The ZIP file has {len(members):,} members and no photos among them (JPEG, PNG, WebP "
            "or TIFF). Pack the photos themselves, not other archives.",
            code="upload.zip_empty",
        )
    return Unpacked(tuple(files), tuple(skipped[:_MOST_SKIPPED]), len(skipped), total)


def _refuse_overlap(members: Sequence[zipfile.ZipInfo]) -> None:
    # Members that share their bytes are how a small archive holds petabytes.
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise zipfile.BadZipFile(f"{shown(member.filename)} overlaps another member")
        name = len(member.orig_filename.encode("utf-8" if member.flag_bits & 0x800 else "cp437"))
        end = member.header_offset + _LOCAL_HEADER_BYTES + name + member.compress_size


def _fair_bytes(member: zipfile.ZipInfo, limits: ZipLimits) -> int:
    return _SMALL_BYTES + member.compress_size * limits.ratio


def _unpack(parts: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most: int) -> int:
    """Write a member piece by piece; what it announces is not believed."""
    path.parent.mkdir(exist_ok=True)
    size = 0
    with parts.open(member) as source, path.open("xb") as target:
        while piece := source.read(_PIECE_BYTES):
            size += len(piece)
            if size > most:
                raise _too_large(
                    f"{shown(member.filename)} unpacks to more than {most:,} bytes, from "
                    f"{member.compress_size:,}"
                )
            target.write(piece)
    return size


def _place(member: zipfile.ZipInfo) -> tuple[str | None, str]:
    """Where a member goes, or why it goes nowhere; folders and hidden files need no reason."""
    *folders, name = member.filename.replace("\\", "/").split("/")
    mode = member.external_attr >> 16
    if member.is_dir() or not name or name.startswith(".") or "__MACOSX" in folders:
        return None, ""
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return None, "a link or device"
    if member.flag_bits & 1:
        return None, "encrypted"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return None, f"packed by method {member.compress_type}"
    safe = _safe(name)
    if _CAMERA_FILE.fullmatch(name):
        return name, ""
    known = [_FOLDERS[folder.lower()] for folder in folders if folder.lower() in _FOLDERS]
    role = known[-1] if known else "images"
    suffix = Path(safe).suffix.lower()
    if suffix not in (_DEPTH if role in ("depth", "confidence") else _PHOTOS):
        return None, "not a photo, mask, depth map or camera file"
    return f"{role}/{safe}", ""


def _safe(name: str) -> str:
    plain = unicodedata.normalize("NFC", name)
    stem, dot, suffix = re.sub(r"[^A-Za-z0-9._-]", "_", plain).rpartition(".")
    return f"{stem.lstrip('.-')[:_NAME_LENGTH] or 'photo'}{dot}{suffix[:8]}"


def _free(place: str, taken: set[str]) -> str:
    """The place, with a number if another member has it already; capitals make no difference."""
    stem, dot, suffix = place.rpartition(".")
    path, number = place, 1
    while path.lower() in taken:
        number += 1
        path = f"{stem}-{number}{dot}{suffix}"
    taken.add(path.lower())
    return path


def _too_large(what: str) -> CaptureError:
    return CaptureError(
        f"The ZIP file is refused: {what}. Send fewer or smaller files, or several archives.",
        code="upload.zip_too_large",
    )


def main(words: Sequence[str]) -> int:
    """Unpack one archive; print what came out, or what went wrong."""
    archive, folder = map(Path, words)
    return answer(lambda: asdict(unzip_photos(archive, folder)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
