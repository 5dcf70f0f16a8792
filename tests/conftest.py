# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: devices, the larger captures, one thread of torch, a service."""

import importlib.util
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest
import torch

import photocast
from photocast.data import Camera, Light, Material, Mesh, Photo
from photocast.stages.open3d_door import open3d
from photocast.stages.render import draw, drawable

S3_SERVER = Path(__file__).parents[1] / "scripts" / "s3-server"
S3_BUCKET = "photocast-tests"
DATA = Path(os.environ.get("PHOTOCAST_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device of this machine in turn."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def the_same_limits() -> Iterator[None]:
    """No test may narrow this process, which runs the next ones too (and their browsers)."""
    kinds = ("AS", "CPU", "FSIZE", "NOFILE")
    before = [resource.getrlimit(getattr(resource, f"RLIMIT_{kind}")) for kind in kinds]
    yield
    after = [resource.getrlimit(getattr(resource, f"RLIMIT_{kind}")) for kind in kinds]
    assert after == before, "the test left its process with other limits"


@pytest.fixture
def open3d_tool() -> ModuleType:
    """Open3D, or a reason to skip."""
    tool = open3d()
    if tool is None:
        pytest.skip("Open3D is not installed (extra open3d); scripts/test-open3d.sh brings it")
    return tool


@pytest.fixture
def capture_folder():
    """Find one of the larger captures by name, or skip with the reason."""

    def find(name: str) -> Path:
        folder = (DATA / name).resolve()
        if not folder.is_dir():
            pytest.skip(f"capture {name!r} is not in {DATA} (set PHOTOCAST_DATA)")
        return folder

    return find


@pytest.fixture(scope="session")
def textured_sphere() -> Mesh:
    """A closed unit sphere with a UV seam and a coloured chequered texture; poles at ±Y."""
    rings, segments = 16, 24
    theta = np.pi * np.arange(1, rings) / rings
    phi = 2 * np.pi * np.arange(segments) / segments
    ring = np.stack(
        [
            np.outer(np.sin(theta), np.cos(phi)),
            np.outer(np.cos(theta), np.ones(segments)),
            np.outer(np.sin(theta), np.sin(phi)),
        ],
        axis=-1,
    )
    vertices = np.concatenate([[[0, 1, 0]], ring.reshape(-1, 3), [[0, -1, 0]]])
    across, down = np.meshgrid(np.arange(segments + 1), np.arange(rings + 1))
    uvs = np.stack([across / segments, down / rings], axis=-1).reshape(-1, 2)

    def vertex(row: int, column: int) -> int:
        if row in (0, rings):
            return 0 if row == 0 else len(vertices) - 1
        return 1 + (row - 1) * segments + column % segments

    def corner(row: int, column: int) -> tuple[int, int]:
        return vertex(row, column), row * (segments + 1) + column

    triangles = []
    for row in range(rings):
        for column in range(segments):
            a, b = corner(row, column), corner(row, column + 1)
            c, d = corner(row + 1, column + 1), corner(row + 1, column)
            triangles += [(a, b, c)] * (row > 0) + [(a, c, d)] * (row < rings - 1)
    table = np.array(triangles, dtype=np.int32)
    y, x = np.mgrid[0:64, 0:128]
    tile = ((x // 16 + y // 16) % 2).astype(np.uint8)
    codes = np.stack([60 + 160 * tile, x * 2, 255 - y * 3], axis=-1).astype(np.uint8)
    linear = np.where(codes <= 10, codes / 255 / 12.92, ((codes / 255 + 0.055) / 1.055) ** 2.4)
    return Mesh(
        vertices=vertices.astype(np.float32),
        faces=np.ascontiguousarray(table[..., 0]),
        uvs=uvs.astype(np.float32),
        uv_faces=np.ascontiguousarray(table[..., 1]),
        material=Material(base_color=linear.astype(np.float32)),
    )


def camera_at(center: np.ndarray, size: int) -> Camera:
    """Look at the origin; a unit sphere fits at a distance of 3.2."""
    forward = -center / np.linalg.norm(center)
    right = np.cross(forward, [0.1, 0.2, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ center
    return Camera(size, size, 1.25 * size, 1.25 * size, size / 2, size / 2, pose)


def waves(place: np.ndarray) -> np.ndarray:
    """Linear colours that tell places apart."""
    return (0.5 + 0.35 * np.sin(18 * place + [0, 1, 2])).astype(np.float32)


def around(count: int, turn: float = 0.0) -> np.ndarray:
    """Camera centres evenly over a sphere of radius 3.2 (a Fibonacci spiral)."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k + turn
    ring = np.sqrt(1 - z * z)
    return 3.2 * np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)


def shoot(
    mesh: Mesh, centers: np.ndarray, size: int, light: Light | None = None, depth: bool = False
) -> list[Photo]:
    """Photograph a mesh as it is from some places."""
    item = drawable(mesh, light=light)
    photos = []
    for number, center in enumerate(centers):
        camera = camera_at(center, size)
        picture = draw(item, camera, supersample=2)
        far = picture.depth if depth else None
        photos.append(Photo(f"{number:02}", camera, picture.rgb, picture.alpha, far))
    return photos


@pytest.fixture(scope="session")
def photograph() -> Callable[..., list[Photo]]:
    """Photograph a mesh from all around, wavily coloured: photograph(mesh, count=14, size=64)."""

    def wavy(
        mesh: Mesh, count: int = 14, size: int = 64, turn: float = 0.0, depth: bool = False
    ) -> list[Photo]:
        colored = replace(mesh, colors=waves(mesh.vertices))
        return shoot(colored, around(count, turn), size, depth=depth)

    return wavy


@pytest.fixture(scope="session")
def photograph_lit() -> Callable[..., list[Photo]]:
    """Photograph a mesh in its material and a light: photograph_lit(mesh, light, count=12).

    ``toward`` keeps the cameras on the side of one direction.
    """

    def lit(
        mesh: Mesh,
        light: Light,
        count: int = 12,
        size: int = 64,
        turn: float = 0.0,
        toward: tuple[float, float, float] | None = None,
    ) -> list[Photo]:
        centers = around(count if toward is None else 6 * count, turn)
        if toward is not None:
            cosine = centers @ np.array(toward) / np.linalg.norm(toward) / 3.2
            centers = centers[np.argsort(-cosine)[:count]]
        return shoot(mesh, centers, size, light)

    return lit


@pytest.fixture(scope="session")
def uneven_light() -> Light:
    """A bright, soft lamp from the side over a dim, coloured sky."""
    polar, turn = np.pi * (np.arange(32) + 0.5) / 32, 2 * np.pi * (np.arange(64) + 0.5) / 64
    sine = np.sin(polar)[:, None]
    way = np.stack(
        np.broadcast_arrays(sine * np.cos(turn), sine * np.sin(turn), np.cos(polar)[:, None]), -1
    )
    lamp = np.exp(6 * (way @ [0.48, 0.6, 0.64] - 1))[..., None] * [5.0, 4.6, 4.0]
    sky = 0.35 + 0.1 * way[..., 2:] * [0.0, 0.5, 1.0]
    return Light((lamp + sky).astype(np.float32))


@pytest.fixture(scope="session")
def servers() -> ModuleType:
    """The script ``benchmarks/servers.py``, which starts Redis and PostgreSQL."""
    path = Path(__file__).parents[1] / "benchmarks" / "servers.py"
    spec = importlib.util.spec_from_file_location("photocast_script_servers", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def postgres(servers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of PostgreSQL for all tests."""
    if servers.postgres_program("initdb") is None:
        pytest.skip("no PostgreSQL: sh scripts/get-services.sh")
    with servers.Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Any) -> str:
    """The database of that server, emptied."""
    from sqlalchemy import create_engine, text

    admin = create_engine(postgres.url.replace("postgresql", "postgresql+pg8000"))
    with admin.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    admin.dispose()
    return str(postgres.url)


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty bucket; the environment holds the keys to it."""
    from boto3.session import Session

    python = S3_SERVER / "venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("no S3 server: sh scripts/get-s3-server.sh")
    command = [str(python), str(S3_SERVER / "serve.py"), str(tmp_path_factory.mktemp("s3"))]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        ) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        endpoint = server.stdout.readline().strip()
        assert endpoint, "the S3 server did not start; its reason is above"
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_ACCESS_KEY_ID", "test:tester")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        Session().client("s3", endpoint_url=endpoint).create_bucket(Bucket=S3_BUCKET)
        yield f"s3://{S3_BUCKET}/all?endpoint={endpoint}"
        server.stdin.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Service:
    """``photocast serve`` with the fake engine."""

    data: Path
    log: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        given = {"LEASE_SECONDS": "3", "POLL_SECONDS": "0.2", "DISK_RESERVE_BYTES": "0"}
        named = {f"PHOTOCAST_{name}": text for name, text in {**given, **self.settings}.items()}
        source = str(Path(photocast.__file__).parents[1])
        return {**os.environ, "PYTHONPATH": source, **named}

    def start(self) -> "Service":
        arguments = ["serve", "--data", str(self.data), "--port", str(self.port), "--fake-engine"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from photocast.cli import main; main()", *arguments],
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        end = time.monotonic() + 120  # other tests may keep the machine busy
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            assert time.monotonic() < end, "the service did not start within two minutes"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """One that all tests share."""
    folder = tmp_path_factory.mktemp("service")
    made = Service(folder / "data", folder / "log")
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def own_service(tmp_path):
    """Makes one that a test may do anything to."""
    made: list[Service] = []

    def make(**settings: str) -> Service:
        made.append(Service(tmp_path / "data", tmp_path / "log", settings))
        return made[-1].start()

    try:
        yield make
    finally:
        for one in made:
            one.stop()


@pytest.fixture
def freeze() -> Callable[[int, Path], None]:
    """Stop a process at a moment when it does not hold SQLite's lock, which would stop all."""

    def stop(pid: int, database: Path) -> None:
        for _ in range(100):
            os.kill(pid, signal.SIGSTOP)
            try:
                with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as link:
                    link.execute("BEGIN IMMEDIATE")
                    link.execute("ROLLBACK")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.02)
            else:
                return
        raise AssertionError("the database was always locked")

    return stop
