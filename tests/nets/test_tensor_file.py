# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of tensors are read exactly, and refused where anything is amiss."""

import json

import pytest
import torch

from photocast.errors import WeightsError
from photocast.nets.tensor_file import TensorFile, write_tensors

TENSORS = {
    "a.weight": torch.randn(3, 4),
    "b": torch.arange(6, dtype=torch.int64).view(2, 3),
    "half": torch.randn(5).half(),
    "brain": torch.randn(2, 1).bfloat16(),
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "flags": torch.tensor([True, False, True]),
}


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS, note="hello")
    read = TensorFile(path).tensors()
    assert set(read) == set(TENSORS)
    for name, value in TENSORS.items():
        assert read[name].dtype == value.dtype
        assert read[name].equal(value)


def test_the_bytes_are_those_of_the_layout(tmp_path):
    path = tmp_path / "x.safetensors"
    table = {"t": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}
    head = json.dumps(table).encode()
    numbers = b"\x00\x00\x80\x3f\x00\x00\x00\xc0"  # 1 and -2
    path.write_bytes(len(head).to_bytes(8, "little") + head + numbers)
    assert TensorFile(path).tensors()["t"].tolist() == [[1.0, -2.0]]


def test_changing_a_tensor_leaves_the_file_alone(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS)
    TensorFile(path).tensors()["a.weight"].zero_()
    assert TensorFile(path).tensors()["a.weight"].equal(TENSORS["a.weight"])


def written(path, table, numbers=b"\0" * 8):
    head = table if isinstance(table, bytes) else json.dumps(table).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + numbers)
    return path


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "table",
    [
        b"not json",
        b"[]",
        {"t": GOOD | {"dtype": "F31"}},
        {"t": GOOD | {"shape": [3]}},
        {"t": GOOD | {"shape": [-2]}},
        {"t": GOOD | {"data_offsets": [4, 12]}},
        {"t": GOOD, "u": GOOD},
        {"t": GOOD | {"data_offsets": [0, 4], "shape": [1]}},
        {"t": {"dtype": "F32"}},
        b'{"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "t": {}}',
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, table):
    with pytest.raises(WeightsError, match="damaged") as caught:
        TensorFile(written(tmp_path / "x.safetensors", table))
    assert caught.value.code == "weights.damaged"


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 16, b"PK\x03\x04" + b"\0" * 90])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        TensorFile(path)
    assert caught.value.code == "weights.damaged"


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        TensorFile(path)


def test_an_absent_file_says_so(tmp_path):
    with pytest.raises(WeightsError) as caught:
        TensorFile(tmp_path / "x.safetensors")
    assert caught.value.code == "weights.missing_file"
