# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Photo files reduced to what their pixels need, without decoding them.

What is not known to be needed is dropped: a list of what to remove would miss the next invention.
So also goes what stands behind the end of the picture, such as a second picture, a film or an
archive.

Sources: ITU-T T.81 (JPEG), PNG third edition (W3C), RFC 9649 (WebP), TIFF revision 6.0.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from photocast.worker.kept_facts import KeptFacts
from photocast.worker.tiff_tags import Tag, read_folder, tags_of, write_exif, write_folder

__all__ = ["StripError", "strip_jpeg", "strip_png", "strip_tiff", "strip_webp"]

_MOST_PROFILE = 1 << 20  # profiles of monitors and printers have some kilobytes
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs")
)
_WEBP_KEPT = frozenset((b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L"))
_WEBP_ANIMATED, _WEBP_EXIF, _WEBP_XMP, _WEBP_ALPHA = 0x02, 0x08, 0x04, 0x10
_JPEG_END, _JPEG_SCAN, _JPEG_DENSITY, _JPEG_EXTRA = 0xD9, 0xDA, 0xE0, 0xE2
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_JPEG_KEPT = frozenset((*_JPEG_FRAMES, 0xC4, 0xCC, 0xDB, 0xDD, 0xDC))
_JPEG_NEXT = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
# Of a TIFF: how pixels are laid out, packed and meant.
_TIFF_KEPT = (256, 257, 258, 259, 262, 266, 277, 278, 284, 317, 320, 322, 323, 338, 339)
_TIFF_STRIPS, _TIFF_TILES, _TIFF_PACKING = (273, 279), (324, 325), 259
_TIFF_PACKINGS = (1, 5, 8, 32773, 32946)


class StripError(ValueError):
    """A file that does not keep to its format, or that says too much to be understood."""


def strip_jpeg(data: bytes, facts: KeptFacts) -> bytes:
    """Keep tables, frames and scans, the colour profile, and how colours are stored."""
    exif = write_exif(facts)
    body = b"" if not exif else _jpeg_segment(0xE1, b"Exif\0\0" + exif)
    return b"\xff\xd8" + body + b"".join(_jpeg_parts(data))


def _jpeg_parts(data: bytes) -> Iterator[bytes]:
    at, profile_bytes, seen = 2, 0, set()
    while True:
        marker = _JPEG_NEXT.match(data, at)
        if marker is None:
            raise StripError(f"no segment begins at byte {at:,}")
        kind, at = marker[1][0], marker.end()
        if kind == _JPEG_END:
            break
        (length,) = struct.unpack_from(">H", data, at)
        payload, at = data[at + 2 : at + length], at + length
        if length < 2 or at > len(data):
            raise StripError("it ends within a segment")
        seen.add(kind)
        if kind == _JPEG_SCAN:
            end = _JPEG_NEXT.search(data, at)
            if end is None:
                raise StripError("it ends within the picture")
            yield _jpeg_segment(kind, payload) + data[at : end.start()]
            at = end.start()
        elif kept := _jpeg_kept(kind, payload):
            profile_bytes += len(kept) if kind == _JPEG_EXTRA else 0
            if profile_bytes > _MOST_PROFILE:
                raise StripError(f"its colour profile has more than {_MOST_PROFILE:,} bytes")
            yield _jpeg_segment(kind, kept)
    if not seen.issuperset({_JPEG_SCAN}) or not seen & set(_JPEG_FRAMES):
        raise StripError("it has no picture")
    yield bytes((0xFF, _JPEG_END))


def _jpeg_kept(kind: int, payload: bytes) -> bytes:
    if kind in _JPEG_KEPT:
        return payload
    if kind == _JPEG_DENSITY and payload.startswith(b"JFIF\0") and len(payload) >= 14:
        return payload[:12] + bytes(2)  # no thumbnail
    if kind == _JPEG_EXTRA and payload.startswith(b"ICC_PROFILE\0"):
        return payload
    if kind == 0xEE and payload.startswith(b"Adobe"):
        return payload[:12]
    if kind in range(0xE0, 0xF0) or kind == 0xFE:
        return b""
    raise StripError(f"a segment of kind {kind:#x} belongs to no photo")


def _jpeg_segment(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(payload) + 2) + payload


def strip_png(data: bytes, facts: KeptFacts) -> bytes:
    """Keep the chunks that pixels and their colours need; of an animation, the still picture."""
    made, exif = [_PNG_START], write_exif(facts)
    for kind, payload in _png_chunks(data):
        if kind == b"IDAT" and exif:
            made.append(_png_chunk(b"eXIf", exif))
            exif = b""
        if kind == b"iCCP":
            payload = _png_profile(payload)
        if kind in _PNG_KEPT:
            made.append(_png_chunk(kind, payload))
        elif not kind[0] & 0x20:
            raise StripError(f"its chunk {ascii(kind)[2:-1]} must be understood, and is not")
    return b"".join(made)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, kind = len(_PNG_START), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        payload, at = data[at + 8 : at + 8 + length], at + 12 + length
        if at > len(data):
            raise StripError("it ends within a chunk")
        (told,) = struct.unpack_from(">I", data, at - 4)
        if told != zlib.crc32(kind + payload):
            raise StripError(f"its chunk {ascii(kind)[2:-1]} is damaged")
        yield kind, payload


def _png_profile(payload: bytes) -> bytes:
    """The same profile without the name that somebody gave it, if it unpacks to a fair size."""
    packed = payload.partition(b"\0")[2][1:]
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed, _MOST_PROFILE)
    except zlib.error as error:
        raise StripError("its colour profile is damaged") from error
    if not unpacker.eof:
        raise StripError(f"its colour profile has more than {_MOST_PROFILE:,} bytes")
    return b"icc\0\0" + zlib.compress(profile)


def _png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(
        ">I", zlib.crc32(kind + payload)
    )  # fmt: skip


def strip_webp(data: bytes, facts: KeptFacts, *, size: tuple[int, int], alpha: bool) -> bytes:
    """Keep picture, transparency and colour profile.

    Args:
        data: The file.
        facts: What to tell.
        size: Width and height [px].
        alpha: Whether the picture has transparency.
    """
    parts = {kind: payload for kind, payload in _webp_chunks(data) if kind in _WEBP_KEPT}
    head = parts.pop(b"VP8X", b"")
    if head and head[0] & _WEBP_ANIMATED:
        raise StripError("it is an animation; save one picture of it")
    exif = write_exif(facts)
    if len(parts.get(b"ICCP", b"")) > _MOST_PROFILE:
        raise StripError(f"its colour profile has more than {_MOST_PROFILE:,} bytes")
    if not parts.keys() & {b"VP8 ", b"VP8L"}:
        raise StripError("it has no picture")
    if head or exif:
        flags = (_WEBP_ALPHA if alpha else 0) | (_WEBP_EXIF if exif else 0)
        flags |= 0x20 if b"ICCP" in parts else 0
        sides = b"".join(struct.pack("<I", side - 1)[:3] for side in size)
        parts = {b"VP8X": bytes((flags, 0, 0, 0)) + sides, **parts}
    if exif:
        parts[b"EXIF"] = exif
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
        for kind, payload in parts.items()
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    (length,) = struct.unpack_from("<I", data, 4)
    at, end = 12, 8 + length
    if end > len(data):
        raise StripError("it ends early")
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        payload, at = data[at + 8 : at + 8 + length], at + 8 + length + length % 2
        if len(payload) < length:
            raise StripError("it ends within a chunk")
        yield kind, payload


def strip_tiff(data: bytes, facts: KeptFacts) -> bytes:
    """Keep the first picture, as it is packed."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise StripError("it is a BigTIFF or damaged; save it as PNG")
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    found = read_folder(data, start, order)
    packing = found.get(_TIFF_PACKING, Tag(3, (1,))).numbers[0]
    if packing not in _TIFF_PACKINGS:
        raise StripError(f"its compression {packing} is not read; save it with LZW, or as PNG")
    main = {number: found[number] for number in _TIFF_KEPT if number in found}
    places, lengths = _TIFF_TILES if _TIFF_TILES[0] in found else _TIFF_STRIPS
    if places not in found or lengths not in found:
        raise StripError("it does not say where its pixels are")
    pieces = _tiff_pieces(data, found[places].numbers, found[lengths].numbers)
    starts, at = [], 8
    for piece in pieces:
        starts.append(at)
        at += len(piece)
    main[places] = Tag(4, tuple(starts))
    main[lengths] = Tag(4, tuple(map(len, pieces)))
    told, shot = tags_of(facts)
    gap = at % 2
    head = data[:4] + struct.pack(f"{order}I", at + gap)
    folder = write_folder({**main, **told}, shot, at + gap, order)
    return head + b"".join(pieces) + bytes(gap) + folder


def _tiff_pieces(data: bytes, places: tuple[int, ...], lengths: tuple[int, ...]) -> list[bytes]:
    # Pieces may not share bytes: few of them could then unpack to very much.
    if len(places) != len(lengths) or sum(lengths) > len(data):
        raise StripError("its strips do not fit into the file")
    pieces = [data[at : at + length] for at, length in zip(places, lengths, strict=True)]
    if any(len(piece) < length for piece, length in zip(pieces, lengths, strict=True)):
        raise StripError("it ends within a strip")
    return pieces
