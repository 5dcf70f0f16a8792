# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The description of the API is fresh, and its page names every route."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
API = DOCS / "api.md"


def _made() -> str:
    spec = importlib.util.spec_from_file_location(
        "photocast_make_openapi", DOCS / "make_openapi.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def test_the_description_is_what_its_script_makes():
    found = (DOCS / "openapi.json").read_text(encoding="utf-8")
    assert found == _made(), "run: python docs/make_openapi.py"


def test_the_page_names_every_route():
    paths = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))["paths"]
    routes = {f"{method.upper()} {path}" for path, found in paths.items() for method in found}
    named = set(re.findall(r"`((?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[^`?]*)`",
                           API.read_text(encoding="utf-8")))  # fmt: skip
    assert {_plain(route) for route in routes} - {_plain(name) for name in named} == set()


def _plain(route: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", route)


def test_every_example_of_the_page_runs(tmp_path):
    if not shutil.which("curl") or not shutil.which("sh"):
        pytest.skip("curl is not installed")
    blocks = re.findall(r"^```sh\n(.*?)^```", API.read_text(encoding="utf-8"), re.M | re.S)
    log = tmp_path / "log"
    words = [sys.executable, "-m", "photocast", "serve", "--port", "0", "--fake-engine"]
    with log.open("wb") as file:
        service = subprocess.Popen([*words, "--data", str(tmp_path / "data")], stderr=file)
    try:
        script = "\n".join(["set -eu", *blocks])
        script = script.replace("http://127.0.0.1:8000", _url(log, service))
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
    finally:
        service.terminate()
        service.wait(30)
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-500:]}"
    assert (tmp_path / "mesh.glb").read_bytes().startswith(b"glTF")


def _url(log: Path, service: subprocess.Popen[bytes]) -> str:
    while service.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text(encoding="utf-8"))
        if found:
            return found[0]
    raise AssertionError(log.read_text(encoding="utf-8"))
