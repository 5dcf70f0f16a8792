# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the page about the client shows is what happens."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def test_the_snippets_run(service, capture, tmp_path, monkeypatch, capsys):
    text = PAGE.read_text(encoding="utf-8").replace("http://127.0.0.1:8000", service.url)
    text = text.replace('{"preset": "draft"}', '{"engine": "fake", "fake": {"seconds": 0.2}}')
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == 2
    capture.rename(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "client.md", "exec"), {"__name__": "snippet"})
    said = capsys.readouterr().out
    assert "pass [PosixPath('result/mesh.glb')" in said
    assert said.count("end") == 2
