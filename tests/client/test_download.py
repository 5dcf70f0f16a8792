# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A download ends with the right bytes under the right name, whatever happens on the way."""

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photocast.client.download import place_of, saved
from photocast.client.errors import ClientError
from photocast.client.retry import Retry
from photocast.client.steps import Answer, Broken, Open, Pause, Read, Work
from photocast.wire import ArtifactView

from .player import Player

RETRY = Retry(count=3, draw=lambda: 0.5)


def artifact(data: bytes, name: str = "mesh.glb") -> ArtifactView:
    digest = hashlib.sha256(data).hexdigest()
    return ArtifactView(name=name, size=len(data), sha256=digest, media_type="", url="")


class World(Player):
    """Serves a file, badly: each answer is cut, and may ignore the range that was asked for."""

    def __init__(self, data: bytes, cuts: list[int], ranges: list[bool]) -> None:
        self.data, self.cuts, self.ranges = data, list(cuts), list(ranges)
        self.asked: list[str] = []
        self.pauses = 0
        self._left, self._rest = 0, b""

    def _do(self, step):
        if isinstance(step, Work):
            return step.do()
        if isinstance(step, Open):
            return self._open(step.ask.headers.get("Range", ""))
        if isinstance(step, Read):
            return self._read()
        assert isinstance(step, Pause)
        self.pauses += 1
        return None

    def _open(self, wanted: str):
        self.asked.append(wanted)
        keeps = not self.ranges or self.ranges.pop(0)
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and keeps else 0
        self._rest = self.data[start:]
        self._left = self.cuts.pop(0) if self.cuts else len(self.data)
        if wanted and keeps:
            return Answer(206, {"content-range": f"bytes {start}-{len(self.data) - 1}/9"})
        return Answer(200, {})

    def _read(self):
        if not self._rest:
            return b""
        if self._left <= 0:
            return Broken("reset")
        size = min(7, self._left)
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._left -= size
        return piece


@settings(deadline=None)
@given(
    data=st.binary(max_size=200),
    cuts=st.lists(st.integers(1, 60), max_size=20),
    ranges=st.lists(st.booleans(), max_size=20),
    left=st.none() | st.integers(0, 250),
)
def test_a_file_is_whole_wherever_its_transfers_are_cut(data, cuts, ranges, left):
    one, progress = artifact(data), []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        if left is not None:  # by an earlier try, perhaps of more than there is
            part = out / f".mesh.glb.{one.sha256[:16]}.part"
            part.write_bytes((data + b"x" * 250)[:left])
        world = World(data, cuts, ranges)
        target = world.play(saved(one, "/x", out, RETRY, progress.append))
        assert target.read_bytes() == data
        assert list(out.iterdir()) == [out / "mesh.glb"]
        assert sum(progress) == len(data)


def test_only_what_is_missing_is_asked_for(tmp_path):
    data = bytes(range(100))
    world = World(data, cuts=[30, 30], ranges=[])
    world.play(saved(artifact(data), "/x", tmp_path, RETRY, lambda size: None))
    assert world.asked == ["", "bytes=30-99", "bytes=60-99"]


def test_what_an_earlier_try_left_of_another_content_is_not_used(tmp_path):
    first, second = artifact(b"a" * 100), artifact(b"b" * 100)
    plan = saved(first, "/x", tmp_path, Retry(count=0), lambda size: None)
    with pytest.raises(ClientError):
        World(b"a" * 100, cuts=[50], ranges=[]).play(plan)
    world = World(b"b" * 100, cuts=[], ranges=[])
    target = world.play(saved(second, "/x", tmp_path, RETRY, lambda size: None))
    assert world.asked == [""]
    assert target.read_bytes() == b"b" * 100


def test_a_file_that_is_here_already_is_not_asked_for(tmp_path):
    (tmp_path / "mesh.glb").write_bytes(b"mesh")
    world = World(b"", cuts=[], ranges=[])
    world.play(saved(artifact(b"mesh"), "/x", tmp_path, RETRY, lambda size: None))
    assert world.asked == []


def test_a_file_that_arrives_damaged_each_time_is_refused_and_not_left_behind(tmp_path):
    world = World(b"wrong", cuts=[], ranges=[])
    plan = saved(artifact(b"right"), "/x", tmp_path, RETRY, lambda size: None)
    with pytest.raises(ClientError, match="3 times") as caught:
        world.play(plan)
    assert caught.value.code == "client.corrupt"
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_sends_nothing_is_given_up(tmp_path):
    world = World(b"data", cuts=[0] * 50, ranges=[])
    with pytest.raises(ClientError) as caught:
        world.play(saved(artifact(b"data"), "/x", tmp_path, RETRY, lambda size: None))
    assert caught.value.code == "client.unreachable"
    assert world.pauses <= 3


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "a\\x", "C:x", "", ".", "a\0b", "//host/x"]
)
def test_no_name_leads_out_of_the_folder(name, tmp_path):
    with pytest.raises(ClientError) as caught:
        place_of(tmp_path, name)
    assert caught.value.code == "client.file_name"


def test_a_name_with_folders_lies_inside(tmp_path):
    assert place_of(tmp_path, "maps/color.png") == tmp_path / "maps" / "color.png"
