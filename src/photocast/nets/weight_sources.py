# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the published weights are, where they come from, and on which terms.

Licences are facts as found, not advice. Whoever fetches weights accepts their owners' terms.
"""

from dataclasses import dataclass

__all__ = ["GENERATE", "TERMS", "Repository", "SingleFile"]


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the hub, of which some files are needed."""

    folder: str
    """Where its files go, inside the folder of weights."""
    name: str
    revision: str
    """A branch, or better a commit; which commit it was is kept beside the files."""
    patterns: tuple[str, ...]
    """Which files, in shell style; a star does not cross folders."""
    about: str
    licence: str


@dataclass(frozen=True, slots=True)
class SingleFile:
    """A file outside the hub, converted after the download."""

    folder: str
    url: str
    size_bytes: int
    converted: str
    """Its name afterwards."""
    about: str
    licence: str


TERMS = (
    "The default weights of the generate engine inherit non-commercial terms: VGGT-1B, from which "
    "the object-tuned VGGT was made, is CC BY-NC 4.0, and the conditions were trained on its "
    "features. Results may be bound by the same terms. Commercial use needs weights made another "
    "way."
)

GENERATE: tuple[Repository | SingleFile, ...] = (
    Repository(
        "trellis-vggt-v0-2",
        "Stable-X/trellis-vggt-v0-2",
        "main",
        ("pipeline.json", "ckpts/*.json", "ckpts/*.safetensors"),
        "flows, decoders and conditions of ReconViaGen, about 3.3 GB",
        "no licence text found; made from TRELLIS (MIT) and features of VGGT (non-commercial)",
    ),
    Repository(
        "vggt-object-v0-1",
        "Stable-X/vggt-object-v0-1",
        "main",
        ("config.json", "model.safetensors"),
        "VGGT tuned on objects, about 5 GB",
        "no licence text found; made from VGGT-1B (CC BY-NC 4.0): take it as non-commercial",
    ),
    SingleFile(
        "dinov2",
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth",
        1_217_607_321,
        "dinov2_vitl14_reg.safetensors",
        "DINOv2 ViT-L/14 with registers, 1.2 GB",
        "Apache-2.0",
    ),
)
