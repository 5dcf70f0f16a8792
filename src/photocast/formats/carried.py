# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What each mesh format can hold besides positions and triangles, and what a mesh would lose."""

from photocast.data import Mesh

__all__ = ["CARRIED", "PARTS", "lost_parts"]

PARTS = ("uvs", "colors", "base_color", "roughness", "metallic", "normal")
"""Of a mesh and its material; ``unlit`` goes with the base colour."""

CARRIED = {
    ".glb": PARTS,
    ".gltf": PARTS,
    ".obj": PARTS,
    ".ply": ("uvs", "colors"),
    ".stl": (),
    ".3mf": ("uvs", "colors", "base_color"),
    ".usdz": PARTS,
}
"""By suffix. A 3MF holds colours or a base colour map, not both, and UVs only with the map."""


def lost_parts(mesh: Mesh, suffix: str) -> tuple[str, ...]:
    """List what a mesh has and a format does not keep.

    Args:
        mesh: What would be written.
        suffix: One of ``SAVED_SUFFIXES``.
    """
    there = {
        "uvs": mesh.uvs is not None,
        "colors": mesh.colors is not None,
        **{name: getattr(mesh.material, name) is not None for name in PARTS[2:]},
    }
    kept = set(CARRIED[suffix])
    if suffix == ".3mf" and there["uvs"]:
        kept -= {"colors"} if there["base_color"] else {"uvs"}
    return tuple(name for name in PARTS if there[name] and name not in kept)
