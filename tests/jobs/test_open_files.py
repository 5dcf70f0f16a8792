# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A URL names one store, and what it must not hold is refused before anything is opened."""

import subprocess
import sys
from pathlib import Path

import pytest

from photocast.errors import ConfigError, UserError
from photocast.jobs.files import open_files
from photocast.jobs.files_rules import attachment


@pytest.mark.parametrize("name", ["plain", "with space", "späte"])
def test_a_path_and_a_file_url_name_the_same_folder(tmp_path, name):
    folder = tmp_path / name
    open_files(str(folder)).put_bytes("a/b", b"x")
    assert list(open_files(folder.as_uri()).keys()) == ["a/b"]


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAKEY:hidden@bucket/x",
        "s3://hidden@bucket",
        "s3://bucket/x?endpoint=https://key:hidden@host",
        "file://me:hidden@/tmp",
        "ftp://me:hidden@host",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID") as raised:
        open_files(url)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("gs://bucket", "file:// or s3://"),
        ("file://tmp/x", "three slashes"),
        ("file:///tmp?x=1", "three slashes"),
        ("s3://", "bucket"),
        ("s3://Bucket_1", "bucket"),
        ("s3://bucket/../x", "prefix"),
        ("s3://bucket/x?endpoint=host:9000", "https://"),
        ("s3://bucket/x?endpoint=", "https://"),
        ("s3://bucket/x?secret=1", "secret"),
        ("s3://bucket/x#y", "endpoint="),
    ],
)
def test_a_url_that_names_no_store_is_refused_with_the_reason(url, reason):
    with pytest.raises(ConfigError, match=reason):
        open_files(url)


def test_a_bucket_without_boto3_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3.exceptions", None)
    monkeypatch.delitem(sys.modules, "photocast.jobs.files_s3", raising=False)
    with pytest.raises(UserError, match=r"photocast\[scale\]") as raised:
        open_files("s3://bucket")
    assert raised.value.code == "install.scale"


def test_a_local_store_needs_neither_boto3_nor_torch(tmp_path):
    code = (
        "import sys; from photocast.jobs.files import open_files; open_files(sys.argv[1]).check(); "
        "sys.exit(' '.join({'boto3', 'torch', 'numpy'} & set(sys.modules)) or None)"
    )
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_name_in_a_header_is_plain_for_old_readers_and_whole_for_new_ones():
    value = attachment('my "größe"\r\n.glb')
    assert value == (
        'attachment; filename="my _gr__e___.glb"; '
        "filename*=UTF-8''my%20%22gr%C3%B6%C3%9Fe%22%0D%0A.glb"
    )
