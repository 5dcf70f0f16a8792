# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Archives of photos are unpacked into a capture, and those that mean no good are not."""

import json
import stat
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from photocast.children import ask
from photocast.errors import CaptureError
from photocast.worker.unzip import ZipLimits, unzip_photos


def packed(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def all_files(root: Path) -> set[str]:
    """Every file in a folder, by its path inside."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}


def refused(path: Path, out: Path, limits: ZipLimits | None = None) -> str:
    """The code of the refusal."""
    with pytest.raises(CaptureError) as caught:
        unzip_photos(path, out, limits)
    return caught.value.code


def test_photos_masks_depth_and_cameras_go_where_a_capture_has_them(tmp_path):
    members = {
        "set/IMG_1.JPG": b"1",
        "set/photos/b.png": b"2",
        "set/masks/b.png": b"3",
        "set/depths/b.exr": b"4",
        "set/confidence/b.png": b"5",
        "set/transforms.json": b"{}",
        "set/sparse/0/cameras.txt": b"6",
    }
    done = unzip_photos(packed(tmp_path / "a.zip", members), tmp_path / "out")
    wanted = {
        *("images/IMG_1.JPG", "images/b.png", "masks/b.png", "depth/b.exr", "confidence/b.png"),
        *("transforms.json", "cameras.txt"),
    }
    assert set(done.files) == all_files(tmp_path / "out") == wanted
    assert (done.skipped, done.total_bytes) == ((), 8)
    assert (tmp_path / "out/masks/b.png").read_bytes() == b"3"


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.jpg",
        "/etc/evil.jpg",
        "..\\..\\evil.jpg",
        "C:\\evil.jpg",
        "images/../../../evil.jpg",
        "evil.jpg/../../evil.jpg",
    ],
)
def test_no_name_leads_out_of_the_folder(name, tmp_path):
    out = tmp_path / "deep" / "out"
    unzip_photos(packed(tmp_path / "a.zip", {name: b"x"}), out)
    assert all_files(out) == {"images/evil.jpg"}
    assert all_files(tmp_path) == {"a.zip", "deep/out/images/evil.jpg"}


def test_names_become_plain_and_stay_apart(tmp_path):
    members = {
        "a/0001.jpg": b"1",
        "b/0001.JPG": b"2",
        "<img src=x>.png": b"3",
        "Bu\u0308ro 1.png": b"4",
        "--help.png": b"5",
        "\u202egnp.jpg": b"6",
        "x" * 300 + ".jpg": b"7",
        "masks/a/0001.png": b"8",
    }
    done = unzip_photos(packed(tmp_path / "a.zip", members), tmp_path / "out")
    assert set(done.files) == {
        *("images/0001.jpg", "images/0001-2.JPG", "images/_img_src_x_.png", "images/B_ro_1.png"),
        *("images/help.png", "images/_gnp.jpg", f"images/{'x' * 100}.jpg", "masks/0001.png"),
    }


def test_what_belongs_to_no_capture_is_left_out_with_the_reason(tmp_path):
    members = {
        "a.jpg": b"1",
        "inner.zip": b"PK\3\4",
        "page.html": b"<script>",
        "model.pt": b"2",
        "drawing.svg": b"3",
        "depth/a.npz": b"4",
        "__MACOSX/._a.jpg": b"5",
        ".hidden.jpg": b"6",
        "empty/": b"",
    }
    done = unzip_photos(packed(tmp_path / "a.zip", members), tmp_path / "out")
    assert done.files == ("images/a.jpg",)
    assert done.skipped_count == len(done.skipped) == 5
    assert all("not a photo" in reason for reason in done.skipped)


def test_links_and_encrypted_members_are_left_out(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.jpg", b"1")
        link = zipfile.ZipInfo("link.jpg")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("secret.jpg", b"2")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    data[at + 8] |= 1
    path.write_bytes(data)
    done = unzip_photos(path, tmp_path / "out")
    assert done.files == ("images/a.jpg",)
    assert done.skipped == ("'link.jpg': a link or device", "'secret.jpg': encrypted")


def test_a_member_that_unpacks_to_much_is_refused_early(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.png": bytes(200 << 20)})
    assert path.stat().st_size < 250_000
    assert refused(path, tmp_path / "out") == "upload.zip_too_large"
    assert (tmp_path / "out/images/a.png").stat().st_size < 60 << 20


def test_announced_sizes_are_not_believed(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.png": bytes(100 << 20)})
    data = bytearray(path.read_bytes())
    for sign, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.index(sign) + offset, 100)
    path.write_bytes(data)
    assert refused(path, tmp_path / "out").startswith("upload.zip_")
    assert sum(file.stat().st_size for file in (tmp_path / "out/images").iterdir()) < 30 << 20


def test_the_total_is_limited_over_all_members(tmp_path):
    path = packed(tmp_path / "a.zip", {f"{n}.jpg": bytes(600_000) for n in range(4)})
    limits = ZipLimits(total_bytes=2_000_000)
    assert refused(path, tmp_path / "out", limits) == "upload.zip_too_large"


def test_members_that_share_bytes_are_refused(tmp_path):
    # The kernel of a "better zip bomb": many directory entries, one body.
    path = packed(tmp_path / "a.zip", {"a.jpg": bytes(900_000)})
    data = path.read_bytes()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry, count = data[at:end], 1000
    tail = bytearray(data[end:])
    struct.pack_into("<HHII", tail, 8, count, count, len(entry) * count, at)
    path.write_bytes(data[:at] + entry * count + tail)
    assert len(zipfile.ZipFile(path).infolist()) == count
    with pytest.raises(CaptureError, match="overlaps"):
        unzip_photos(path, tmp_path / "out")


@pytest.mark.parametrize("count", [6000, 100_000])
def test_too_many_members_are_refused_quickly(count, tmp_path):
    path = tmp_path / "a.zip"
    local, folder = bytearray(), bytearray()
    for number in range(count):
        name = b"%06d.jpg" % number
        folder += struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, len(local)
        ) + name  # fmt: skip
        local += struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 10, 0) + name
    told = min(count, 0xFFFF)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, told, told, len(folder), len(local), 0)
    path.write_bytes(local + folder + end)
    start = time.monotonic()
    assert refused(path, tmp_path / "out") == "upload.zip_too_large"
    assert time.monotonic() - start < 5


def test_a_directory_of_enormous_size_is_not_read(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.jpg": b"1"})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\5\6")
    filler = bytes(9 << 20)
    struct.pack_into("<I", data, at + 12, len(filler) + at)
    path.write_bytes(bytes(data[:at]) + filler + bytes(data[at:]))
    assert refused(path, tmp_path / "out") == "upload.zip_damaged"


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_left_out(kind, tmp_path):
    path = packed(tmp_path / "a.zip", {"a.jpg": b"1" * 1000}, kind)
    assert refused(path, tmp_path / "out") == "upload.zip_empty"


@pytest.mark.parametrize("data", [b"", b"PK", b"\x1f\x8b\x08", b"Rar!\x1a\x07", bytes(5000)])
def test_other_archives_and_rubbish_are_refused(data, tmp_path):
    (tmp_path / "a.zip").write_bytes(data)
    assert refused(tmp_path / "a.zip", tmp_path / "out") == "upload.zip_damaged"


def test_damage_anywhere_is_refused_or_harmless(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.jpg": bytes(range(256)) * 20, "masks/a.png": b"3" * 99})
    good = path.read_bytes()
    for cut in range(0, len(good), 7):
        for number, data in enumerate((good[:cut], good[:cut] + b"\xff" + good[cut + 1 :])):
            path.write_bytes(data)
            try:
                done = unzip_photos(path, tmp_path / f"out{cut}-{number}")
            except CaptureError:
                continue
            assert all(".." not in name for name in done.files)


def test_the_child_answers_in_json_and_within_its_limits(tmp_path):
    good = packed(tmp_path / "a.zip", {"a.jpg": b"1"})
    assert ask("unzip", [str(good), str(tmp_path / "out")]) == {
        "ok": True,
        "files": ["images/a.jpg"],
        "skipped": [],
        "skipped_count": 0,
        "total_bytes": 1,
    }
    words = [sys.executable, "-m", "photocast.worker.unzip", str(tmp_path), str(tmp_path / "b")]
    failed = subprocess.run(words, stdout=subprocess.PIPE)
    assert json.loads(failed.stdout)["error"]["code"] == "system.io"
