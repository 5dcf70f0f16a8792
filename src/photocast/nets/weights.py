# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From a folder of weights to networks: find, check names and shapes, load. Never downloads.

A folder holds what the hub's repositories hold, under their names::

    trellis-vggt-v0-2/pipeline.json            which networks there are, and their settings
    trellis-vggt-v0-2/ckpts/NAME.json          arguments of a network
    trellis-vggt-v0-2/ckpts/NAME.safetensors   its tensors
    vggt-object-v0-1/config.json               arguments of VGGT (may be absent)
    vggt-object-v0-1/model.safetensors
    dinov2/dinov2_vitl14_reg.json              arguments of DINOv2 (may be absent)
    dinov2/dinov2_vitl14_reg.safetensors
"""

import inspect
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from photocast.errors import WeightsError
from photocast.nets.conditions import ModulatedMultiViewCond, ModulatedSLATMultiViewCond
from photocast.nets.dinov2 import DinoVisionTransformer
from photocast.nets.gaussian_decoder import SLatGaussianDecoder
from photocast.nets.latent_flow import SLatFlowModel
from photocast.nets.mesh_decoder import SLatMeshDecoder
from photocast.nets.structure_decoder import SparseStructureDecoder
from photocast.nets.structure_flow import SparseStructureFlowModel
from photocast.nets.tensor_file import TensorFile
from photocast.nets.vggt import VGGT

__all__ = ["FETCH_COMMAND", "NETWORKS", "NetworkFiles", "WeightFolder", "load_network"]

logger = logging.getLogger(__name__)

FETCH_COMMAND = "photocast weights fetch generate"
PIPELINE, VGGT_FOLDER, DINO_FOLDER = "trellis-vggt-v0-2", "vggt-object-v0-1", "dinov2"

NETWORKS = (
    "sparse_structure_flow_model",
    "sparse_structure_decoder",
    "sparse_structure_vggt_cond",
    "slat_flow_model",
    "slat_decoder_gs",
    "slat_decoder_mesh",
    "slat_vggt_cond",
    "vggt",
    "image_cond_model",
)
"""Every network the engine needs."""

_CLASSES: dict[str, Callable[..., nn.Module]] = {
    "SparseStructureFlowModel": SparseStructureFlowModel,
    "SparseStructureDecoder": SparseStructureDecoder,
    "SLatFlowModel": SLatFlowModel,
    "SLatGaussianDecoder": SLatGaussianDecoder,
    "SLatMeshDecoder": SLatMeshDecoder,
    "ModulatedMultiViewCond": ModulatedMultiViewCond,
    "ModulatedSLATMultiViewCond": ModulatedSLATMultiViewCond,
    "VGGT": VGGT,
    "DinoVisionTransformer": DinoVisionTransformer,
}
_NEVER_READ = {
    "ModulatedSLATMultiViewCond": ("fuse_blocks.",),
    "VGGT": ("depth_head.", "track_head."),
}
"""Beginnings of names that published files hold and inference never reads."""


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """Where one network lies, and how it is built."""

    name: str
    kind: str
    """Name of the class."""
    args: Mapping[str, Any]
    tensors: Path

    def build(self) -> nn.Module:
        """The network without memory for its weights (on the meta device)."""
        accepted = inspect.signature(_CLASSES[self.kind]).parameters
        extra = sorted(set(self.args) - set(accepted))
        if extra:
            logger.info(
                "%s: settings that are not needed: %s",
                *(self.name, ", ".join(extra)),
                extra={"event": "weights.extra_settings"},
            )
        try:
            with torch.device("meta"):
                return _CLASSES[self.kind](**{k: v for k, v in self.args.items() if k in accepted})
        except (TypeError, ValueError, KeyError) as error:
            raise WeightsError(
                f"{self.tensors} has settings for {self.kind} that Photocast cannot use: {error}",
                code="weights.mismatch",
            ) from error

    def check(self) -> TensorFile:
        """Compare names and shapes in the file with those of the network.

        Raises:
            WeightsError: The file is absent, damaged, or of another network.
        """
        file = _opened(self.tensors)
        module = self.build()
        wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        never = _NEVER_READ.get(self.kind, ())
        given = {k: p.shape for k, p in file.places.items() if not k.startswith(never)}
        optional = {name for name, _ in module.named_buffers()}
        wrong = [
            f"{name} is missing" for name in wanted if name not in given and name not in optional
        ]
        wrong += [f"{name} is not known" for name in given if name not in wanted]
        wrong += [
            f"{name} is {list(given[name])} instead of {list(wanted[name])}"
            for name in wanted
            if name in given and given[name] != wanted[name]
        ]
        if wrong:
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise WeightsError(
                f"{self.tensors} does not fit {self.kind}: {'; '.join(wrong[:3])}{more}. "
                f"Fetch it again: {FETCH_COMMAND}",
                code="weights.mismatch",
            )
        return file


class WeightFolder:
    """Weights of the engine on disk."""

    def __init__(self, root: Path) -> None:
        """Read which networks there are.

        Raises:
            WeightsError: The folder, or its list of networks, is not there or damaged.
        """
        self.root = root
        self._list = root / PIPELINE / "pipeline.json"
        self._pipeline: dict[str, Any] = _field(_json(self._list), "args", self._list)

    @property
    def is_test(self) -> bool:
        """Whether these are seeded weights for tests, whose results mean nothing."""
        return bool(self._pipeline.get("test_weights", False))

    @property
    def normalization(self) -> dict[str, list[float]]:
        """Mean and standard deviation of the detailed latent, by which its flow was trained."""
        constants: dict[str, list[float]] = _field(self._pipeline, "slat_normalization", self._list)
        return {name: _field(constants, name, self._list) for name in ("mean", "std")}

    def network(self, name: str) -> NetworkFiles:
        """Find one of :data:`NETWORKS`."""
        if name == "vggt":
            return self._plain(name, "VGGT", VGGT_FOLDER, "config.json", "model.safetensors")
        if name == "image_cond_model":
            stem = _field(self._pipeline, "image_cond_model", self._list)
            return self._plain(
                name, "DinoVisionTransformer", DINO_FOLDER, f"{stem}.json", f"{stem}.safetensors"
            )
        path: str = _field(_field(self._pipeline, "models", self._list), name, self._list)
        base = self.root / PIPELINE / path
        if not (base.parent / f"{base.name}.json").is_file():  # a name on the hub: org/repo/path
            base = self.root / PIPELINE / Path(*Path(path).parts[2:])
        source = base.parent / f"{base.name}.json"
        settings = _json(source)
        kind = str(_field(settings, "name", source)).removeprefix("Elastic")
        if kind not in _CLASSES:
            raise WeightsError(
                f"{source} names a network {kind!r} that Photocast does not have.",
                code="weights.mismatch",
            )
        args = _field(settings, "args", source)
        return NetworkFiles(name, kind, args, base.parent / f"{base.name}.safetensors")

    def _plain(
        self, name: str, kind: str, folder: str, settings: str, tensors: str
    ) -> NetworkFiles:
        path = self.root / folder / settings
        args = _json(path) if path.is_file() else {}
        return NetworkFiles(name, kind, args, self.root / folder / tensors)


def load_network(
    files: NetworkFiles, device: torch.device, dtype: torch.dtype = torch.float32
) -> Any:
    """Build a network and give it its weights.

    Args:
        files: Where they are.
        device: Where to put it.
        dtype: Precision of what may be computed in half; the rest is float32, however it is stored.

    Raises:
        WeightsError: A file is absent, damaged, or of another network.
    """
    file = files.check()
    module: Any = files.build()
    computed: dict[str, Tensor] = getattr(module, "computed_buffers", dict)()
    stored = file.tensors()
    state: dict[str, Tensor] = {}
    for name in module.state_dict():
        value = stored[name] if name in stored else computed[name]
        state[name] = value.to(device, torch.float32, copy=True)  # lets go of the file's memory
    module.load_state_dict(state, assign=True)
    module.requires_grad_(False).eval()
    module.cast(dtype)
    return module


def _opened(path: Path) -> TensorFile:
    if not path.is_file():
        raise WeightsError(
            f"{path} is missing. Fetch it: {FETCH_COMMAND}", code="weights.missing_file"
        )
    return TensorFile(path)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise WeightsError(
            f"{path} is missing. Fetch it: {FETCH_COMMAND}", code="weights.missing_file"
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(
            f"{path} is damaged: {error}. Fetch it again: {FETCH_COMMAND}", code="weights.damaged"
        ) from error
    if not isinstance(document, dict):
        raise WeightsError(f"{path} holds no settings.", code="weights.damaged")
    return document


def _field(document: Any, key: str, path: Path) -> Any:
    if not isinstance(document, dict) or key not in document:
        raise WeightsError(
            f"{path} does not say {key}. Fetch it again: {FETCH_COMMAND}", code="weights.mismatch"
        )
    return document[key]
