# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A cleaned photo has the same pixels, and tells nothing but how it was taken."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from photocast.errors import CaptureError
from photocast.formats.images import read_photo
from photocast.worker.clean import clean_photo
from photocast.worker.kept_facts import KeptFacts

SECRETS = (b"Jane Roe", b"MakerSecret", b"51.4778", b"xmpmeta", b"GPSHidden", b"a comment", b"PK\3")
"""Of which nothing may be left."""
KEPT = KeptFacts(6, "Acme", "Phone 12", 4.25, 26)


def picture(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """Smooth blobs with some noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = smooth + rng.integers(-6, 7, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def telling_exif(orientation: int = 6) -> bytes:
    """EXIF of a phone: where, by whom, with what, and notes of the maker."""
    exif = Image.Exif()
    exif[271], exif[272], exif[274] = "Acme", "Phone <12>", orientation
    exif[315] = "Jane Roe"
    shot = exif.get_ifd(0x8769)
    shot[37386], shot[41989] = IFDRational(4250, 1000), 26
    shot[37500], shot[42032] = b"MakerSecret" * 20, "Jane Roe"
    place = exif.get_ifd(0x8825)
    place[1], place[2], place[29] = "N", (51.0, 28.0, 40.0), "GPSHidden"
    return exif.tobytes()


XMP = b"<x:xmpmeta><exif:GPSLatitude>51.4778</exif:GPSLatitude>Jane Roe</x:xmpmeta>"
ARCHIVE = b"PK\3\4" + b"hidden archive"


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One of a PNG."""
    check = struct.pack(">I", zlib.crc32(kind + payload))
    return struct.pack(">I", len(payload)) + kind + payload + check


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks before its pixels."""
    at = png.index(b"IDAT") - 4
    return png[:at] + b"".join(chunks) + png[at:]


def telling(kind: str) -> bytes:
    """A file of a format with everything in it that may be."""
    out = io.BytesIO()
    exif, image = telling_exif(), picture()
    if kind == "jpeg":
        icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image.save(out, "JPEG", exif=exif, icc_profile=icc, comment=b"a comment", xmp=XMP)
        iptc = b"\xff\xed" + struct.pack(">H", 40) + b"Photoshop 3.0\0 Jane Roe".ljust(38)
        data = out.getvalue()
        return data[:2] + iptc + data[2:] + ARCHIVE
    if kind == "progressive":
        image.save(out, "JPEG", exif=exif, progressive=True, comment=b"a comment")
    elif kind == "cmyk":
        image.convert("CMYK").save(out, "JPEG", exif=exif)
    elif kind == "mpo":
        other = picture(seed=1)
        image.save(out, "MPO", exif=exif, save_all=True, append_images=[other])
    elif kind.startswith("png"):
        mode = {"png": "RGB", "png-p": "P", "png-rgba": "RGBA", "png-la": "LA"}[kind]
        more = {"transparency": 3} if mode == "P" else {}
        image.convert(mode).save(out, "PNG", exif=exif, **more)
        text = chunk(b"tEXt", b"Author\0Jane Roe"), chunk(b"iTXt", b"XML\0\0\0\0\0" + XMP)
        profile = chunk(b"iCCP", b"Jane Roe\0\0" + zlib.compress(b"profile" * 10))
        data = with_chunks(out.getvalue(), profile, *text, chunk(b"prVt", b"MakerSecret"))
        return data + ARCHIVE
    elif kind.startswith("webp"):
        image = image.convert("RGBA") if "alpha" in kind else image
        if "alpha" in kind:
            image.putalpha(picture(seed=2).convert("L"))
        image.save(out, "WEBP", exif=exif, xmp=XMP, lossless="lossless" in kind)
        return out.getvalue() + ARCHIVE
    elif kind.startswith("tiff"):
        packing = {"tiff": None, "tiff-lzw": "tiff_lzw", "tiff-deflate": "tiff_adobe_deflate"}
        tags = Image.Exif()
        tags.load(exif)
        if packing[kind]:  # libtiff, through Pillow, writes no other directories
            tags = Image.Exif()
            tags[271], tags[272], tags[274], tags[315] = "Acme", "Phone <12>", 6, "Jane Roe"
        tags[270], tags[700] = "a comment", XMP
        image.save(out, "TIFF", exif=tags, compression=packing[kind])
    return out.getvalue()


KINDS = (
    *("jpeg", "progressive", "cmyk", "mpo"),
    *("png", "png-p", "png-rgba", "png-la"),
    *("webp", "webp-alpha", "webp-lossless", "webp-lossless-alpha"),
    *("tiff", "tiff-lzw", "tiff-deflate"),
)


def kept(kind: str) -> KeptFacts:
    """What should be left of it."""
    return KEPT if kind not in ("tiff-lzw", "tiff-deflate") else KeptFacts(6, "Acme", "Phone 12")


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_stay_and_nothing_that_tells_of_people_does(kind, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(telling(kind))
    assert any(secret in source.read_bytes() for secret in SECRETS)
    assert clean_photo(source, target) == kept(kind)
    cleaned = target.read_bytes()
    assert [secret for secret in SECRETS if secret in cleaned] == []
    before, after = read_photo(source), read_photo(target)
    assert (before[0] == after[0]).all()
    assert (before[1] is None) == (after[1] is None)
    assert before[1] is None or (before[1] == after[1]).all()
    with Image.open(target) as image:
        exif = image.getexif()
        assert dict(exif.get_ifd(0x8825)) == {}
        assert exif[274] == 6
        assert set(exif.get_ifd(0x8769)) == ({37386, 41989} if kept(kind) == KEPT else set())
        assert not {700, 315, 270} & set(exif)


@pytest.mark.parametrize("kind", KINDS)
def test_cleaning_again_changes_nothing(kind, tmp_path):
    paths = [tmp_path / name for name in ("in", "once", "twice")]
    paths[0].write_bytes(telling(kind))
    clean_photo(paths[0], paths[1])
    assert clean_photo(paths[1], paths[2]) == kept(kind)
    assert paths[1].read_bytes() == paths[2].read_bytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photo_that_tells_nothing_gets_no_exif(kind, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    picture().save(source, kind)
    assert clean_photo(source, target) == KeptFacts()
    assert b"Exif" not in target.read_bytes()
    assert (read_photo(source)[0] == read_photo(target)[0]).all()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_stay_sixteen(suffix, tmp_path):
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    deep = np.random.default_rng(0).integers(0, 65536, (33, 47, 3), dtype=np.uint16)
    assert cv2.imwrite(str(source), deep)
    clean_photo(source, target)
    assert (cv2.imread(str(target), cv2.IMREAD_UNCHANGED) == deep).all()


def test_of_an_animated_png_the_still_picture_is_kept(tmp_path):
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    picture().save(source, save_all=True, append_images=[picture(seed=1)], duration=100)
    assert b"fdAT" in source.read_bytes()
    clean_photo(source, target)
    assert not any(kind in target.read_bytes() for kind in (b"acTL", b"fcTL", b"fdAT"))
    assert (read_photo(source)[0] == read_photo(target)[0]).all()


def test_an_animated_webp_is_refused(tmp_path):
    source = tmp_path / "in.webp"
    picture().save(source, save_all=True, append_images=[picture(seed=1)], duration=100)
    with pytest.raises(CaptureError, match="animation"):
        clean_photo(source, tmp_path / "out.webp")


def test_a_photo_with_a_profile_that_unpacks_to_much_is_refused(tmp_path):
    out = io.BytesIO()
    picture().save(out, "PNG")
    bomb = b"icc\0\0" + zlib.compress(bytes(200 << 20), 9)
    (tmp_path / "in.png").write_bytes(with_chunks(out.getvalue(), chunk(b"iCCP", bomb)))
    with pytest.raises(CaptureError) as caught:
        clean_photo(tmp_path / "in.png", tmp_path / "out.png")
    assert caught.value.code == "capture.image_unreadable"


def test_exif_of_the_largest_size_and_odd_exif_do_no_harm(tmp_path):
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[37500] = b"MakerSecret" * 5900
    picture().save(source, "JPEG", exif=exif.tobytes())
    assert source.stat().st_size > 64_000
    clean_photo(source, target)
    assert target.stat().st_size < 20_000
    good = source.read_bytes()
    source.write_bytes(good.replace(b"II*\0", b"II*\xff", 1).replace(b"MM\0*", b"MM\xff*", 1))
    assert clean_photo(source, target) == KeptFacts()


@pytest.mark.parametrize("kind", ["BMP", "GIF", "EPS", "PPM", "ICO", "TGA"])
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_other_formats_are_refused_whatever_their_name(kind, name, tmp_path):
    source = tmp_path / name
    picture().save(source, kind)
    with pytest.raises(CaptureError) as caught:
        clean_photo(source, tmp_path / "out")
    assert caught.value.code in {"capture.image_format", "capture.image_unreadable"}
    assert not (tmp_path / "out").exists()


def test_a_picture_of_astronomers_under_the_name_of_a_photo_is_refused(tmp_path):
    cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 10", "NAXIS2  = 10", "END"]
    (tmp_path / "a.jpg").write_bytes("".join(c.ljust(80) for c in cards).encode().ljust(2980))
    with pytest.raises(CaptureError, match="not an image that can be read"):
        clean_photo(tmp_path / "a.jpg", tmp_path / "out")


def test_an_enormous_picture_in_a_small_file_is_refused_before_decoding(png_bomb, tmp_path):
    assert png_bomb.stat().st_size < 40_000
    with pytest.raises(CaptureError) as caught:
        clean_photo(png_bomb, tmp_path / "out.png")
    assert caught.value.code == "capture.image_too_large"


@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_is_either_copied_or_refused_by_name(kind, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    good = telling(kind)
    refused = []
    for cut in np.linspace(0, len(good) - 1, 40).astype(int):
        flipped = bytearray(good)
        flipped[cut] ^= 0x55
        for data in (good[:cut], bytes(flipped)):
            source.write_bytes(data)
            try:
                clean_photo(source, target)
            except CaptureError as error:
                refused.append(str(error))
    assert len(refused) >= 20
    assert all(message.startswith("in ") for message in refused)


def test_strips_of_a_tiff_that_share_bytes_are_refused(tmp_path):
    path = tmp_path / "in.tif"
    picture().save(path, compression="tiff_deflate", strip_size=96 * 3 * 8)
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        tag, _, length, value = struct.unpack_from("<HHII", data, place)
        if tag == 279:
            struct.pack_into(f"<{length}I", data, value, *[len(data) - 100] * length)
    path.write_bytes(data)
    with pytest.raises(CaptureError, match="strip"):
        clean_photo(path, tmp_path / "out.tif")


def test_the_command_answers_in_json(tmp_path):
    (tmp_path / "in.jpg").write_bytes(telling("jpeg"))
    words = [sys.executable, "-m", "photocast.worker.clean"]
    done = subprocess.run(
        [*words, str(tmp_path / "in.jpg"), str(tmp_path / "out.jpg")], stdout=subprocess.PIPE
    )
    answer = json.loads(done.stdout)
    assert answer["ok"]
    assert answer["kept"]["model"] == "Phone 12"
    lost = [str(tmp_path / "gone.jpg"), str(tmp_path / "out.jpg")]
    failed = subprocess.run([*words, *lost], stdout=subprocess.PIPE)
    assert failed.returncode == 3
    assert json.loads(failed.stdout)["error"]["code"] == "capture.image_missing"
    assert Path(lost[1]).exists()
