# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Only what the service lacks is sent."""

import hashlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser, parse_options_header

from photocast.client.captures import LocalFile, capture_files, chosen_files
from photocast.client.download import sha256_of
from photocast.client.forms import form
from photocast.client.retry import Retry
from photocast.client.steps import Answer, Ask, Together, Work
from photocast.client.upload import digest_header, sent
from photocast.errors import CaptureError
from photocast.wire import JobRequest

from .player import Player
from .test_watch import job


class World(Player):
    """Holds some contents; tells of at most three at a time that it does not hold."""

    def __init__(self, held: set[str]) -> None:
        self.held, self.puts, self.keys, self.submits = held, [], [], 0

    def _do(self, step):
        if isinstance(step, Work):
            return step.do()
        if isinstance(step, Together):
            return [self.play(plan) for plan in step.plans]
        assert isinstance(step, Ask)
        if step.path == "/v1/jobs/draft":
            return self._draft(step)
        if step.method == "PUT":
            self.puts.append(step)
            return Answer(200, {}, b"{}")
        return self._submit(step)

    def _draft(self, ask: Ask):
        self.keys.append(ask.headers["Idempotency-Key"])
        refs = json.loads(ask.body[0])["inputs"]
        lacking = [place for place, ref in enumerate(refs) if ref["sha256"] not in self.held]
        if not lacking:
            view = job("draft").model_copy(update={"webhook_secret": "whsec_x"})
            return Answer(201, {}, view.model_dump_json().encode())
        item = {"code": "input.unknown", "detail": ""}
        errors = [{**item, "pointer": f"/inputs/{place}"} for place in lacking[:3]]
        return Answer(422, {}, json.dumps(problem("input.unknown", 422, errors)).encode())

    def _submit(self, ask: Ask):
        if ask.method == "GET":
            return Answer(200, {}, job("queued").model_dump_json().encode())
        self.submits += 1
        return Answer(202, {}, job("queued").model_dump_json().encode())


def problem(code: str, status: int, errors=()) -> dict[str, object]:
    known = {"type": "", "title": "", "detail": "It is so.", "retryable": False}
    return {**known, "status": status, "code": code, "errors": list(errors)}


def local_files(folder, count: int) -> list[LocalFile]:
    made = []
    for number in range(count):
        path = folder / f"{number}.png"
        path.write_bytes(str(number).encode())
        made.append(LocalFile(path, "images", path.name))
    return made


@pytest.mark.parametrize("held", [set(), {1}, {0, 2, 4, 6, 8, 10}, set(range(11))])
def test_what_the_service_holds_is_not_sent(held, tmp_path):
    files = local_files(tmp_path, 11)
    world, told = World({sha256_of(files[n].path) for n in held}), []
    ended = world.play(sent(JobRequest(), files, "key", Retry(), told.append))
    assert {ask.body[0] for ask in world.puts} == {
        file.path for place, file in enumerate(files) if place not in held
    }
    assert len(told) == len(files)
    assert len(set(world.keys)) == len(world.keys), "another body needs another key"
    assert (ended.state, ended.webhook_secret, world.submits) == ("queued", "whsec_x", 1)


def test_a_submission_that_arrived_though_its_answer_did_not_is_no_failure(tmp_path):
    class Deaf(World):
        def _submit(self, ask: Ask):
            if ask.method == "GET":
                return super()._submit(ask)
            return Answer(409, {}, json.dumps(problem("job.invalid_state", 409)).encode())

    plan = sent(JobRequest(), local_files(tmp_path, 1), "key", Retry(), lambda file: None)
    assert Deaf(set()).play(plan).state == "queued"


def test_the_digest_of_a_body_is_written_as_the_standard_says():
    # From RFC 9530, appendix B: the body {"hello": "world"} and a line feed.
    digest = hashlib.sha256(b'{"hello": "world"}\n').hexdigest()
    wanted = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert digest_header(digest) == {"Content-Digest": wanted}


def test_a_capture_folder_is_sent_with_its_layout_and_without_what_is_of_no_use(capture):
    files, skipped = capture_files(capture)
    names = ["images/photo 0 ü.png", "images/photo 1 ü.png", "images/photo 2 ü.png"]
    assert [file.name for file in files] == [*names, "transforms.json"]
    assert {file.role for file in files} == {"capture"}
    assert [path.as_posix() for path in skipped] == ["notes.docx"]


def test_a_list_is_of_photos_and_a_mapping_says_what_is_what(capture):
    photos = sorted((capture / "images").iterdir())
    assert {file.role for file in chosen_files(photos)} == {"images"}
    by_role = chosen_files({"images": photos[:1], "masks": photos[:1]})
    assert [(file.role, file.name) for file in by_role] == [
        ("images", photos[0].name),
        ("masks", photos[0].name),
    ]


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ("nowhere", "capture.no_folder"),
        ([], "capture.no_photos"),
        (["nowhere.png"], "client.file_missing"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_sent(chosen, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaptureError) as caught:
        chosen_files(chosen)
    assert caught.value.code == code


def test_two_photos_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(b"x")
    with pytest.raises(CaptureError, match=re.escape("x.png")) as caught:
        chosen_files([tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"])
    assert caught.value.code == "client.file_twice"


def test_a_folder_without_photos_is_refused(tmp_path):
    (tmp_path / "notes.docx").write_bytes(b"")
    with pytest.raises(CaptureError) as caught:
        capture_files(tmp_path)
    assert caught.value.code == "capture.no_photos"


def parsed(kind: str, body: bytes) -> list[tuple[bytes, bytes]]:
    """Disposition and content of each part, as another parser reads them."""
    _, options = parse_options_header(kind)
    found, now = [], {}
    callbacks = {
        "on_part_begin": lambda: now.update(head=b"", data=b""),
        "on_header_value": lambda d, s, e: now.update(head=now["head"] + d[s:e]),
        "on_part_data": lambda d, s, e: now.update(data=now["data"] + d[s:e]),
        "on_part_end": lambda: found.append((now["head"], now["data"])),
    }
    parser = MultipartParser(options[b"boundary"], callbacks)
    parser.write(body)
    parser.finalize()
    return found


@settings(deadline=None)
@given(name=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1), value=st.text())
def test_a_form_is_read_back_as_it_was_meant(name, value, tmp_path_factory):
    value = value.encode("utf-8", "replace").decode()
    path = tmp_path_factory.getbasetemp() / "form"
    path.write_bytes(b"\r\n--x\r\nphoto")
    headers, body = form({"request": value}, [LocalFile(path, "images", name)])
    sent_bytes = b"".join(b if isinstance(b, bytes) else b.read_bytes() for b in body)
    (first, text), (second, data) = parsed(headers["Content-Type"], sent_bytes)
    assert parse_options_header(first)[1] == {b"name": b"request"}
    assert (text.decode(), data) == (value, b"\r\n--x\r\nphoto")
    quoted = re.search(r'filename="((?:\\.|[^"\\])*)"$', second.decode())
    assert re.sub(r"\\(.)", r"\1", quoted[1]) == name


def test_no_name_adds_a_header(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    _, body = form({}, [LocalFile(tmp_path / "x", "images", 'a"\r\nX-Evil: 1\r\n\r\n.png')])
    assert b"\nX-Evil" not in body[0]
