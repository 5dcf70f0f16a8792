# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: sentences, exit codes, files, no tracebacks."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import photocast
from photocast.cli.boundary import run
from photocast.cli.interrupt import cancellable
from photocast.cli.progress_bar import BarProgress, LineProgress, clock
from photocast.data import Scene
from photocast.errors import Cancelled
from photocast.formats.cameras_json import cameras_json
from photocast.formats.meshes import save_mesh
from photocast.progress import silent
from photocast.stages.orbit import orbit_camera

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(photocast.__file__).parents[1])}


@pytest.fixture(scope="module")
def result(textured_sphere, tmp_path_factory) -> Path:
    """A result folder with a mesh and two cameras."""
    out = tmp_path_factory.mktemp("result")
    up = np.array([0.0, 0.0, 1.0])
    cameras = {
        name: orbit_camera(textured_sphere.vertices, up, azimuth_deg=angle, size=(80, 60))
        for name, angle in (("left", 0), ("right", 90))
    }
    scene = Scene(textured_sphere, cameras, up=up)
    save_mesh(out / "mesh.glb", scene.mesh, up=up)
    (out / "cameras.json").write_bytes(cameras_json(cameras, up))
    return out


def photocast_process(*arguments: str, code: str = "") -> "subprocess.Popen[str]":
    script = code or "from photocast.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
    )


def test_help_loads_nothing_heavy_and_starts_within_a_second():
    # Of processor time: other tests keep the machine busy meanwhile.
    code = (
        "import sys, time; start = time.process_time()\n"
        "from photocast.cli.boundary import run\n"
        "code = run(['--help']); took = time.process_time() - start\n"
        "heavy = {'torch', 'warp', 'scipy', 'PIL', 'cv2', 'trimesh', 'numpy'} & set(sys.modules)\n"
        "print(code, sorted(heavy), took, file=sys.stderr)"
    )
    process = photocast_process(code=code)
    out, err = process.communicate(timeout=60)
    assert "reconstruct" in out
    status, heavy, took = re.match(r"(\d+) (\[.*\]) (.*)", err).groups()
    assert (status, heavy) == ("0", "[]")
    assert float(took) < 1.0


def test_no_arguments_show_the_help(capsys):
    assert run([]) == 0
    assert "reconstruct" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"photocast {photocast.__version__}\n"


@pytest.mark.parametrize("command", ["reconstruct", "render"])
def test_every_command_teaches_with_an_example(command, capsys):
    assert run([command, "--help"]) == 0
    assert f"photocast {command}" in capsys.readouterr().out.partition("Example")[2]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "words"),
    [
        (["rendr"], 2, "usage", "No such command"),
        (["render", "x.glb"], 2, "usage", "--out"),
        (["render", "x.glb", "--out", "p.png", "--size", "3"], 2, "usage", "--size"),
        (["reconstruct", "x", "--preset", "best"], 2, "usage", "draft"),
        (["render", "nowhere.glb", "--out", "p.png"], 3, "mesh.missing", "nowhere.glb"),
        (["render", "x.fbx", "--out", "p.png"], 3, "mesh.unknown_format", ".fbx"),
        (["render", "RESULT", "--out", "p.jpg"], 2, "render.suffix", "p.jpg"),
        (["render", "RESULT", "--out", "p.png", "--camera", "up"], 2, "render.camera", "left"),
        (
            ["render", "RESULT", "--out", "p.webp", "--camera", "left", "--turntable"],
            2,
            "render.choice",
            "not both",
        ),
        (["render", "RESULT", "--out", "p.png", "--device", "tpu"], 2, "device.unknown", "tpu"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_errors_are_one_sentence_with_a_code(
    arguments, exit_code, code, words, as_json, result, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = [str(result) if a == "RESULT" else a for a in arguments]
    assert run(arguments + ["--json"] * as_json) == exit_code
    out, err = capsys.readouterr()
    if as_json:
        error = json.loads(out)["error"]
        assert err == ""
        assert (error["code"], error["exit_code"]) == (code, exit_code)
        assert words in error["message"]
    else:
        assert out == ""
        assert re.fullmatch(rf"error: .+  \[{re.escape(code)}\]\n", err)
        assert words in err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_engine_names_the_extra_to_install():
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"  # what import sees when a package is absent
        "from photocast.cli.boundary import run\n"
        "sys.exit(run(['render', 'x.glb', '--out', 'p.png']))"
    )
    process = photocast_process(code=code)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert "pip install 'photocast[engine]'" in err
    assert "[install.engine]" in err


def test_a_view_is_rendered_at_the_size_of_its_camera(result, tmp_path, capsys):
    out = tmp_path / "view.png"
    assert run(["render", str(result), "--camera", "left", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "out": str(out),
        "bytes": out.stat().st_size,
    }
    with Image.open(out) as image:
        assert (image.size, image.mode) == ((80, 60), "RGBA")
        alpha = np.asarray(image)[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[30, 40] == 255


def test_size_scales_a_camera_and_an_orbit(result, tmp_path):
    for extra, size in ((["--camera", "right"], (160, 120)), ([], (160, 160))):
        out = tmp_path / "view.png"
        assert run(["render", str(result), "--out", str(out), "--size", "160", *extra]) == 0
        with Image.open(out) as image:
            assert image.size == size


def test_a_lone_mesh_turns_on_a_turntable(result, tmp_path, capsys):
    lone = tmp_path / "lone.glb"
    lone.write_bytes((result / "mesh.glb").read_bytes())
    out = tmp_path / "turn.webp"
    arguments = ["render", str(lone), "--turntable", "--out", str(out), "--size", "32"]
    assert run([*arguments, "--style", "clay"]) == 0
    assert "turntable: 36/36, done in" in capsys.readouterr().err
    with Image.open(out) as image:
        assert (image.size, image.n_frames) == ((32, 32), 36)


def test_the_first_interrupt_cancels_at_the_next_report():
    reports, before = [], signal.getsignal(signal.SIGINT)
    with pytest.raises(Cancelled), cancellable(lambda *a, **n: reports.append(a)) as progress:  # noqa: PT012
        progress("work", 1, 3)
        os.kill(os.getpid(), signal.SIGINT)
        progress("work", 2, 3)
    assert reports == [("work", 1, 3), ("work", 2, 3)]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_ends_the_process_at_once():
    code = (
        "import time\n"
        "from photocast.cli.interrupt import cancellable\n"
        "from photocast.progress import silent\n"
        "with cancellable(silent):\n"
        "    print('ready', flush=True)\n"
        "    end = time.monotonic() + 30\n"
        "    while time.monotonic() < end: time.sleep(0.05)\n"
    )
    process = photocast_process(code=code)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


def test_an_interrupt_outside_any_loop_is_a_sentence_too(capsys, monkeypatch):
    from photocast.cli import boundary

    def interrupted(**settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(boundary, "app", interrupted)
    assert run(["render"]) == 130
    assert "[cancelled]" in capsys.readouterr().err


def test_lines_are_few_and_tell_the_time_left(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = LineProgress()
    for done in range(101):
        progress("optimize", done, 100, loss=1 / (done + 1))
        now[0] += 0.5
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "optimize: 0/100, loss 1"
    assert lines[1] == "optimize: 10/100, 45 s left, loss 0.09091"
    assert lines[-1].startswith("optimize: 100/100, done in 50 s")
    assert len(lines) == 11


def test_quiet_says_nothing(capsys):
    progress = LineProgress(silent=True)
    progress("optimize", 1, 1)
    assert capsys.readouterr() == ("", "")


def test_bars_show_each_stage_and_its_numbers():
    from io import StringIO

    from rich.console import Console

    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=110, color_system=None)
    with BarProgress(console) as progress:
        progress("hull", 4, 4)
        progress("optimize", 30, 120, loss=0.25)
    text = screen.getvalue()
    assert re.search(r"hull .*4/4", text)
    assert re.search(r"optimize .*30/120 .*loss 0.25", text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.4, "0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (4320, "1 h 12 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert clock(seconds) == text


def test_silent_progress_can_be_cancelled_too():
    with cancellable(silent) as progress:
        progress("work", 1, 1)
