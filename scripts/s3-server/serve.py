# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Run OpenStack Swift on this machine's loopback, with its S3 interface, until stdin closes.

    scripts/s3-server/venv/bin/python scripts/s3-server/serve.py FOLDER

Everything lies in FOLDER, on a file system with extended attributes. The first line on stdout is
the address of the S3 endpoint; the access key is ``test:tester`` and the secret key ``testing``.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from swift.common.ring import RingBuilder

DEADLINE_S = 60
SERVERS = ("account", "container", "object", "proxy")
FILTERS = (
    "catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth copy slo dlo "
    "versioned_writes proxy_logging"
)

STORAGE_CONF = """[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0

[pipeline:main]
pipeline = {name}-server

[app:{name}-server]
use = egg:swift#{name}
"""

PROXY_CONF = """[DEFAULT]
swift_dir = {folder}
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0

[pipeline:main]
pipeline = {filters} proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

"""

# Settings of single filters; the others have none.
FILTER_SETTINGS = {"tempauth": "user_test_tester = testing .admin"}


def main(folder: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended too
    folder = folder.resolve()
    ports = dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
    write_settings(folder, ports)
    with contextlib.ExitStack() as stack:
        for name in SERVERS:
            stack.callback(stop, start(folder, name))
        url = f"http://127.0.0.1:{ports['proxy']}"
        wait_until_healthy(url, folder)
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        sys.stdin.read()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def write_settings(folder: Path, ports: dict[str, int]) -> None:
    """Settings of each server, and rings of one copy on one device."""
    (folder / "devices" / "d1").mkdir(parents=True)
    text = "[swift-hash]\nswift_hash_path_suffix = test\n"
    (folder / "swift.conf").write_text(text, encoding="utf-8")
    for name in SERVERS[:-1]:
        conf = STORAGE_CONF.format(folder=folder, name=name, port=ports[name])
        (folder / f"{name}.conf").write_text(conf, encoding="utf-8")
        ring = RingBuilder(4, 1, 0)
        place = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[name], "device": "d1"}
        ring.add_dev({**place, "weight": 1.0})
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{name}.ring.gz"))
    conf = PROXY_CONF.format(folder=folder, port=ports["proxy"], filters=FILTERS)
    for name in FILTERS.split():
        conf += f"[filter:{name}]\nuse = egg:swift#{name}\n{FILTER_SETTINGS.get(name, '')}\n"
    (folder / "proxy.conf").write_text(conf, encoding="utf-8")


def start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name(f"swift-{name}-server")
    with (folder / f"{name}.log").open("wb") as log:
        command = [sys.executable, str(program), str(folder / f"{name}.conf")]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def wait_until_healthy(url: str, folder: Path) -> None:
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/healthcheck", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                log = (folder / "proxy.log").read_text(encoding="utf-8", errors="replace")
                sys.exit(f"Swift does not answer after {DEADLINE_S} s:\n{log}")
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
