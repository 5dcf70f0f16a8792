# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Names that users give to files: what is allowed, and where each lies in a capture folder."""

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

__all__ = ["FOLDERS", "SUFFIXES", "clash", "place", "safe_name"]

FOLDERS = {"images": "images", "masks": "masks", "depths": "depth"}
"""Folder of a role inside the capture; files of other roles lie at its top."""
_PHOTOS = frozenset((".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"))
_DEPTHS = frozenset((".exr", ".npy", ".tif", ".tiff", ".pfm", ".bin", ".png"))
_CAMERAS = frozenset((".json", ".txt", ".npz", ".npy", ".bin"))
SUFFIXES = {
    "images": _PHOTOS,
    "masks": _PHOTOS,
    "depths": _DEPTHS,
    "cameras": _CAMERAS,
    "capture": _PHOTOS | _DEPTHS | _CAMERAS,
    "mesh": frozenset((".glb", ".gltf", ".obj", ".ply", ".stl", ".3mf")),
    "archive": frozenset((".zip",)),
}
"""How names may end, by role."""
_MOST_BYTES = 255
_FORBIDDEN = frozenset("\\:")


def safe_name(name: str) -> str:
    """The name in its canonical form (NFC), a relative path with slashes.

    Raises:
        ValueError: It is none; the text ends the sentence "the name …".
    """
    name = unicodedata.normalize("NFC", name)
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 0 < size <= _MOST_BYTES:
        raise ValueError(f"has {size} bytes; it must have 1 to {_MOST_BYTES}")
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in name):
        raise ValueError("has an invisible character")
    if not _FORBIDDEN.isdisjoint(name):
        raise ValueError("has a backslash or a colon")
    if any(not part or part.startswith(".") for part in name.split("/")):
        raise ValueError("has a part that is empty or starts with a dot")
    return name


def place(role: str, name: str) -> PurePosixPath:
    """Where a file lies in the capture folder."""
    return PurePosixPath(FOLDERS.get(role, ""), name)


def clash(places: Iterable[PurePosixPath]) -> PurePosixPath | None:
    """The first place that is taken twice, or is also the folder of another."""
    taken: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for one in places:
        if one in taken or one in folders or not taken.isdisjoint(one.parents):
            return one
        taken.add(one)
        folders.update(one.parents)
    return None
