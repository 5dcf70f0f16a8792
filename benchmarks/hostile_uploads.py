# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Throws hostile requests at a real service and looks what becomes of it.

    python benchmarks/hostile_uploads.py [--count 5000] [--seed 0]

Every request is made by a seeded generator: bombs, polyglots, files cut short, names that climb,
forms that lie, huge headers, broken HTTP, uploads in parts that contradict themselves. The service
must answer each with a status below 500 or close the connection of broken HTTP; it must not grow,
and nothing of a refused request may stay on the disk. One in a hundred asks to look at the files
(``validate_only``), which decodes them in a limited process. Prints one JSON object; ends with 1 if
anything was wrong.
"""

import argparse
import collections
import functools
import io
import json
import random
import re
import signal
import socket
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from serving import memory_mb, start

SETTINGS = {
    "max_open_jobs": "1000000",
    "rate_burst": "1000000",
    "disk_reserve_bytes": "0",
}
BOUNDARY = b"hostile"
WAIT_S = 30.0
Request = tuple[str, bytes, bool]
"""Its kind, all its bytes, and whether it is whole: what is not ends with half a connection."""


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG that claims a size and holds what it likes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@functools.cache
def bombs() -> tuple[bytes, bytes, bytes]:
    """Rows of a picture, a whole small picture, and an archive; all the same every time."""
    rows = zlib.compress(bytes(3 * 16000 + 1) * 4)
    whole = png(8, 8, zlib.compress(bytes(25) * 8))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("../../etc/x.png", "/abs.png", "a.png", "C:\\b.png", "deep/../../y.png"):
            file.writestr(name, bytes(5_000_000))
    return rows, whole, archive.getvalue()


def contents(rng: random.Random) -> tuple[str, bytes]:
    """What a file holds."""
    rows, whole, archive = bombs()
    choices = {
        "png_bomb": png(16000, 16000, rows),
        "png_absurd": png(2**31 - 1, 2**31 - 1, b""),
        "png_cut": whole[: rng.randrange(len(whole))],
        "png_noise": bytes(b ^ (rng.random() < 0.05) * rng.randrange(256) for b in whole),
        "jpeg_cut": b"\xff\xd8\xff\xe0\x00\x10JFIF" + rng.randbytes(rng.randrange(300)),
        "polyglot": whole + archive,
        "html": b"<script>alert(1)</script>" * 20,
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file\n",
        "gif": b"GIF89a\xff\xff\xff\xff\x80\x00\x00" + rng.randbytes(40),
        "tiff_loop": b"II*\x00\x08\x00\x00\x00\x01\x00" + rng.randbytes(12) + b"\x08\x00\x00\x00",
        "npy_huge": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, "
        b"'shape': (99999999999,), }".ljust(128),
        "npy_pickle": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, "
        b"'shape': (1,), }".ljust(128)
        + b"cos\nsystem\n(S'true'\ntR.",
        "json_deep": b"[" * 200_000,
        "json_wrong": json.dumps({"frames": [{"file_path": "../../../etc/passwd"}]}).encode(),
        "zip_bomb": archive,
        "empty": b"",
        "noise": rng.randbytes(rng.randrange(1, 5000)),
    }
    name = rng.choice(list(choices))
    return name, choices[name]


NAMES = [
    b"a.png",
    b"b.jpg",
    b"../../../etc/cron.d/x.png",
    b"..\\..\\x.png",
    b"/etc/passwd.png",
    b"C:\\x.png",
    b"a\x00.png",
    b".htaccess.png",
    b"CON.png",
    b"a.png.exe",
    b"x" * 5000 + b".png",
    "\u202egnp.exe".encode(),
    b"\xff\xfe.png",
    b"a/b/c/d/../e.png",
    b"<script>.png",
    b"a\r\nX-Evil: 1.png",
    b'a";role=b.png',
    b"%2e%2e%2fx.png",
    b"transforms.json",
    b"d.npy",
]
ROLES = [b"images", b"masks", b"depths", b"cameras", b"capture", b"archive", b"mesh", b"evil", b""]


def part(name: bytes, filename: bytes | None, body: bytes) -> bytes:
    """One part of a form."""
    head = b'Content-Disposition: form-data; name="' + name + b'"'
    head += b"" if filename is None else b'; filename="' + filename + b'"'
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + body + b"\r\n"


def http(method: str, path: str, headers: dict[str, str], body: bytes, length: int | None) -> bytes:
    """A request, whose length may be a lie."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def form_request(rng: random.Random) -> Request:
    """A form with files."""
    parts, kinds = [], []
    for _ in range(rng.randrange(1, 6)):
        kind, data = contents(rng)
        kinds.append(kind)
        parts.append(part(rng.choice(ROLES), rng.choice(NAMES), data))
    if rng.random() < 0.3:
        parts.append(part(b"request", None, rng.choice([b"{", b'{"options":{"x":1}}', b"null"])))
    body = b"".join(parts) + rng.choice([b"--" + BOUNDARY + b"--\r\n", b"", b"--hostil"])
    if rng.random() < 0.2:
        body = body[: rng.randrange(len(body))]
    kind = rng.choice(["multipart/form-data; boundary=hostile"] * 6 + ["multipart/form-data"])
    length = rng.choice([None] * 8 + [len(body) + 100])
    path = rng.choice(["/v1/jobs", "/v1/jobs", "/v1/mesh-reports"])
    data = http("POST", path, {"Content-Type": kind}, body, length)
    return f"form {'+'.join(sorted(set(kinds)))}", data, length is None


def look_request(rng: random.Random) -> Request:
    """A form whose files are to be looked at, with proper names so that they are."""
    parts = [part(b"images", b"good%d.png" % index, contents(rng)[1]) for index in range(4)]
    body = b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=hostile"}
    return "look", http("POST", "/v1/jobs?validate_only=true", headers, body, None), True


def json_request(rng: random.Random) -> Request:
    """A job as JSON."""
    bodies = [
        b"[" * 100_000,
        b'{"options":' * 2000,
        b'{"labels":{' + b",".join(b'"%d":"x"' % i for i in range(5000)) + b"}}",
        b'{"inputs":[{"role":"images","name":"../x","sha256":"' + b"0" * 64 + b'"}]}',
        b'{"webhook":{"url":"http://169.254.169.254/latest"}}',
        b'{"webhook":{"url":"https://[::ffff:127.0.0.1]/"}}',
        b'{"options":{"max_size":1e999}}',
        b'{"options":{"seed":-1}}',
        b"\xff\xfe\x00",
        b"\x00" * 1000,
        b'{"a":"' + b"x" * 3_000_000 + b'"}',
    ]
    path = rng.choice(["/v1/jobs", "/v1/jobs/draft", "/v1/jobs/job_x/rerun"])
    data = http("POST", path, {"Content-Type": "application/json"}, rng.choice(bodies), None)
    return "json", data, True


def tus_request(rng: random.Random) -> Request:
    """A part of a resumable upload."""
    headers = {
        "Tus-Resumable": rng.choice(["1.0.0", "0.2.2", "x"]),
        "Upload-Length": rng.choice(["10", "-1", "99999999999999999999", "abc", "1e9"]),
        "Upload-Offset": rng.choice(["0", "-5", "18446744073709551616", ""]),
        "Upload-Metadata": rng.choice(["filename !!!", "filename Li4vLi4veA==", "a," * 500, ""]),
        "Upload-Checksum": rng.choice(["sha1 xx", "md5 AA==", "sha256 ===", ""]),
        "Content-Type": rng.choice(["application/offset+octet-stream", "text/plain"]),
    }
    method = rng.choice(["POST", "PATCH", "HEAD", "DELETE", "OPTIONS"])
    path = rng.choice(
        ["/v1/uploads", "/v1/uploads/upl_x", "/v1/uploads/../jobs", "/v1/uploads/%00"]
    )
    return "tus", http(method, path, headers, rng.randbytes(rng.randrange(50)), None), True


def path_request(rng: random.Random) -> Request:
    """A path or a header that leads astray."""
    path = rng.choice(
        [
            "/v1/jobs/../../etc/passwd",
            "/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/v1/jobs/job_x/artifacts/../../../x",
            "/v1/jobs/job_x/artifacts/%2e%2e/%2e%2e/photocast.db",
            "/v1/jobs/" + "a" * 6000,
            "/v1/jobs?page_size=99999999999999999999",
            "/v1/jobs?page_token=%00%ff",
            "/v1/jobs?state=" + "x" * 3000,
            "/v1/jobs/job_x/logs?after=-1",
            "//evil.example/v1/jobs",
            "/\u00e9",
        ]
    )
    headers = {
        "Range": rng.choice(["bytes=0-", "bytes=-0", "bytes=9-1", "bytes=" + "0-1," * 500, "x"]),
        "Prefer": "wait=0",
        "If-None-Match": rng.choice(['"1"', "*", "x" * 3000]),
        "Idempotency-Key": rng.choice(["k", "\u00e9", "x" * 400, "a b"]),
        rng.choice(["X-A", "Cookie", "Authorization"]): "y" * rng.choice([1, 2000, 60_000]),
    }
    method = rng.choice(["GET", "POST", "PUT", "DELETE"])
    return "path", http(method, path, headers, b"", None), True


def broken_request(rng: random.Random) -> Request:
    """What is not HTTP."""
    data = rng.choice(
        [
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(100),
            b"POST /v1/jobs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
            b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
            b"POST /v1/jobs HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
            rng.randbytes(500),
        ]
    )
    return "broken", data, False


KINDS: list[tuple[Callable[[random.Random], Request], int]] = [
    (form_request, 50),
    (json_request, 15),
    (tus_request, 15),
    (path_request, 12),
    (broken_request, 4),
    (look_request, 1),
]


def send(port: int, data: bytes, whole: bool = True) -> int | None:
    """Send bytes; the status of the answer, or ``None`` if the connection was closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as link:
        try:
            link.sendall(data)
            if not whole:
                link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent, which is its right
        try:
            head = link.recv(4096)
        except ConnectionError:
            return None
    found = re.match(rb"HTTP/1.1 (\d{3})", head)
    return int(found[1]) if found else None


def leftovers(folder: Path) -> list[str]:
    """Files of refused requests."""
    return [str(path) for path in (folder / "incoming").rglob("*") if path.is_file()]


def main() -> None:
    """Throw, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    rng = random.Random(wanted.seed)
    makers, weights = zip(*KINDS, strict=True)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        process, port = start(folder, **SETTINGS)
        try:
            for _ in range(50):
                send(port, *form_request(rng)[1:])  # what grows once, grows now
            before, began = memory_mb(process.pid), time.monotonic()
            statuses: collections.Counter[str] = collections.Counter()
            bad: list[str] = []
            for _ in range(wanted.count):
                kind, data, whole = rng.choices(makers, weights)[0](rng)
                try:
                    status = send(port, data, whole)
                except TimeoutError:
                    status = 599
                statuses[str(status)] += 1
                if (status or 0) >= 500 and status not in (503,):
                    bad.append(f"{kind}: {status}: {data[:200]!r}")
            found = {
                "requests": wanted.count,
                "seconds": round(time.monotonic() - began, 1),
                "statuses": dict(sorted(statuses.items())),
                "growth_mb": memory_mb(process.pid) - before,
                "left_behind": leftovers(folder)[:5],
                "alive": process.poll() is None
                and send(port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") == 200,
                "wrong": bad[:10],
            }
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    fine = found["alive"] and not bad and not found["left_behind"] and found["growth_mb"] < 60  # type: ignore[operator]
    raise SystemExit(0 if fine else 1)


if __name__ == "__main__":
    main()
