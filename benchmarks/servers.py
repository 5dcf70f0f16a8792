# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Private servers of PostgreSQL and Redis for tests: in a folder, on a free port, ended at the end.

They come from the packages ``redis-server`` and ``postgresql`` (``scripts/get-services.sh``).
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

__all__ = ["Postgres", "RedisServer", "free_port", "postgres_program", "redis_program"]

_START_S = 30.0


def free_port() -> int:
    """A port of this machine that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def redis_program() -> str | None:
    """Where ``redis-server`` is."""
    return shutil.which("redis-server")


def postgres_program(name: str) -> str | None:
    """Where a program of PostgreSQL is; Debian keeps them out of the path."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return shutil.which(name) or (found[-1] if found else None)


class _Server:
    """A process that listens on a port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + _START_S
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.command()[0]} did not start on port {self.port}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, to it and to all that it started."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it end in order."""
        self._end(signal.SIGINT)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
            self.process.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def __enter__(self) -> "_Server":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


class RedisServer(_Server):
    """Redis as we recommend it, or with another policy of eviction."""

    def __init__(self, folder: Path, policy: str = "noeviction", append: str = "yes") -> None:
        super().__init__()
        self.folder, self.policy, self.append = folder, policy, append

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "maxmemory": "64mb",
            "maxmemory-policy": self.policy,
            "appendonly": self.append,
            "save": "",
        }
        options = [part for k, v in settings.items() for part in (f"--{k}", str(v))]
        return [str(redis_program()), *options]

    def ready(self) -> bool:
        return self.call("PING") == b"+PONG"

    def call(self, *words: str) -> bytes:
        """Send one command; the first line of the answer, nothing if there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as link:
                link.sendall((" ".join(words) + "\r\n").encode())
                return link.recv(4096).partition(b"\r\n")[0]
        except OSError:
            return b""


class Postgres(_Server):
    """PostgreSQL with a database ``photocast``, open to this machine without a password."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        # Its user must be able to reach the folder, and pytest's are closed to others.
        self._own = Path(tempfile.mkdtemp(prefix="photocast-pg-")) if os.getuid() == 0 else folder
        self.data = self._own / "data"
        if os.getuid() == 0:
            os.chown(self._own, pwd.getpwnam("postgres").pw_uid, -1)
        made = [str(postgres_program("initdb")), "-D", str(self.data), "-U", "photocast", "-A"]
        made += ["trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(_as_postgres(made), check=True, stdout=subprocess.DEVNULL)

    @property
    def url(self) -> str:
        return f"postgresql://photocast@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "off",  # processes are killed here, machines are not
        }
        options = [part for k, v in settings.items() for part in ("-c", f"{k}={v}")]
        return _as_postgres([str(postgres_program("postgres")), "-D", str(self.data), *options])

    def ready(self) -> bool:
        probe = [str(postgres_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(probe, check=False).returncode == 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self._own, ignore_errors=True)


def _as_postgres(command: list[str]) -> list[str]:
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *command]
