# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights are found, checked strictly and loaded; errors name the file and the command."""

import json
import pickle
import shutil

import pytest
import torch

from photocast.errors import WeightsError
from photocast.nets.seeded import write_test_weights
from photocast.nets.tensor_file import TensorFile, write_tensors
from photocast.nets.weight_convert import convert_pickle
from photocast.nets.weight_record import RECORD, check_hashes, sha256_of, write_record
from photocast.nets.weights import FETCH_COMMAND, NETWORKS, WeightFolder, load_network

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    write_test_weights(root)
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(made, tmp_path / "weights")


def rewrite(files, change):
    tensors = {name: value.clone() for name, value in TensorFile(files.tensors).tensors().items()}
    change(tensors)
    write_tensors(files.tensors, tensors)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gets_exactly_the_numbers_of_its_file(made, name):
    files = WeightFolder(made).network(name)
    module = load_network(files, CPU)
    stored = TensorFile(files.tensors).tensors()
    assert dict(module.named_parameters()).keys() == stored.keys()
    for key, value in module.named_parameters():
        assert value.equal(stored[key])
        assert not value.requires_grad
    assert not any(value.is_meta for value in module.state_dict().values())
    assert not module.training


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_stops_at_the_norms(made, name):
    module = load_network(WeightFolder(made).network(name), CPU, torch.bfloat16)
    kinds = {value.dtype for value in module.parameters()}
    assert kinds == {torch.float32, torch.bfloat16} or name == "slat_vggt_cond"
    for key, value in module.named_parameters():
        if "norm" in key:
            assert value.dtype == torch.float32, key


def test_equal_seeds_give_equal_files(made, tmp_path):
    again = write_test_weights(tmp_path / "again")
    other = write_test_weights(tmp_path / "other", seed=1)
    for name in NETWORKS:
        first = sha256_of(WeightFolder(made).network(name).tensors)
        assert sha256_of(again.network(name).tensors) == first
        assert sha256_of(other.network(name).tensors) != first
    assert again.is_test


def test_a_buffer_that_the_file_leaves_out_is_computed(made):
    flow = load_network(WeightFolder(made).network("sparse_structure_flow_model"), CPU)
    assert flow.pos_emb.abs().max() > 0.5
    decoder = load_network(WeightFolder(made).network("slat_decoder_gs"), CPU)
    assert decoder.offset_perturbation.isfinite().all()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("vggt", lambda t: t.pop("aggregator.camera_token"), "aggregator.camera_token is missing"),
        ("vggt", lambda t: t.update(extra=torch.zeros(1)), "extra is not known"),
        (
            "slat_flow_model",
            lambda t: t.update({"out_layer.bias": torch.zeros(9)}),
            r"out_layer.bias is \[9\] instead of \[8\]",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_named_with_the_key_and_the_command(
    root, name, change, message
):
    files = WeightFolder(root).network(name)
    rewrite(files, change)
    with pytest.raises(WeightsError, match=message) as caught:
        load_network(files, CPU)
    assert caught.value.code == "weights.mismatch"
    assert str(files.tensors) in str(caught.value)
    assert FETCH_COMMAND in str(caught.value)


@pytest.mark.parametrize(
    ("name", "key"),
    [("slat_vggt_cond", "fuse_blocks.0.0.weight"), ("vggt", "depth_head.norm.weight")],
)
def test_tensors_that_are_never_read_may_be_there(root, name, key):
    files = WeightFolder(root).network(name)
    rewrite(files, lambda tensors: tensors.update({key: torch.zeros(2)}))
    load_network(files, CPU)


def test_a_missing_file_is_named_with_the_command(root):
    files = WeightFolder(root).network("slat_decoder_mesh")
    files.tensors.unlink()
    with pytest.raises(WeightsError, match=r"slat_decoder_mesh\.safetensors is missing") as caught:
        load_network(files, CPU)
    assert caught.value.code == "weights.missing_file"
    assert FETCH_COMMAND in str(caught.value)


def test_an_empty_folder_is_told_with_the_command(tmp_path):
    with pytest.raises(WeightsError, match=FETCH_COMMAND):
        WeightFolder(tmp_path)


def test_names_of_other_releases_are_understood(root):
    """Classes with a prefix, settings we do not need, and paths that start with a repository."""
    folder = root / "trellis-vggt-v0-2"
    path = folder / "ckpts" / "slat_flow_model.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["name"] = "Elastic" + settings["name"]
    settings["args"]["use_checkpoint"] = False
    path.write_text(json.dumps(settings), encoding="utf-8")
    pipeline = json.loads((folder / "pipeline.json").read_text(encoding="utf-8"))
    pipeline["args"]["models"]["slat_flow_model"] = "some/repository/ckpts/slat_flow_model"
    (folder / "pipeline.json").write_text(json.dumps(pipeline), encoding="utf-8")
    load_network(WeightFolder(root).network("slat_flow_model"), CPU)


@pytest.mark.parametrize(
    "damage",
    [
        lambda args: args.pop("models"),
        lambda args: args["models"].pop("slat_flow_model"),
        lambda args: args.update(models=3),
    ],
)
def test_a_list_without_a_network_is_told(root, damage):
    path = root / "trellis-vggt-v0-2" / "pipeline.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    damage(document["args"])
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"pipeline\.json does not say") as caught:
        WeightFolder(root).network("slat_flow_model")
    assert caught.value.code == "weights.mismatch"


def test_settings_that_cannot_be_built_are_told(root):
    path = root / "trellis-vggt-v0-2" / "ckpts" / "slat_flow_model.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["args"]["pe_mode"] = "rope"
    path.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(WeightsError, match="only 'ape' is published"):
        load_network(WeightFolder(root).network("slat_flow_model"), CPU)


def test_an_unknown_class_is_refused(root):
    path = root / "trellis-vggt-v0-2" / "ckpts" / "slat_flow_model.json"
    path.write_text(json.dumps({"name": "SomethingElse", "args": {}}), encoding="utf-8")
    with pytest.raises(WeightsError, match="SomethingElse"):
        WeightFolder(root).network("slat_flow_model")


def test_a_file_that_changed_is_found_by_its_hash(root):
    name = "dinov2/dinov2_vitl14_reg.safetensors"
    write_record(root, {name: {"sha256": sha256_of(root / name)}})
    assert check_hashes(root) == [name]
    content = bytearray((root / name).read_bytes())
    content[-1] ^= 1
    (root / name).write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        check_hashes(root)
    assert caught.value.code == "weights.hash"
    (root / name).unlink()
    with pytest.raises(WeightsError) as caught:
        check_hashes(root)
    assert caught.value.code == "weights.missing_file"


def test_a_damaged_record_is_told(tmp_path):
    (tmp_path / RECORD).write_text("{}", encoding="utf-8")
    with pytest.raises(WeightsError, match="damaged"):
        check_hashes(tmp_path)


def test_a_pickle_of_tensors_is_converted(tmp_path):
    state = {"a": torch.randn(3, 2), "b": torch.arange(4)}
    torch.save(state, tmp_path / "x.pth")
    convert_pickle(tmp_path / "x.pth", tmp_path / "x.safetensors")
    read = TensorFile(tmp_path / "x.safetensors").tensors()
    assert all(read[name].equal(value) for name, value in state.items())


class Mischief:
    """A pickle that would write a file when read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_would_run_code_does_not(tmp_path):
    proof = tmp_path / "proof"
    torch.save({"a": Mischief(proof)}, tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(pickle.dumps({"a": Mischief(proof)}))
    for name in ("x.pth", "y.pth"):
        with pytest.raises(WeightsError) as caught:
            convert_pickle(tmp_path / name, tmp_path / "x.safetensors")
        assert caught.value.code == "weights.pickle"
    assert not proof.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.pth", "y.pth"]


def test_a_pickle_of_something_else_is_refused(tmp_path):
    torch.save({"a": [1, 2]}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="something else than named tensors"):
        convert_pickle(tmp_path / "x.pth", tmp_path / "x.safetensors")
