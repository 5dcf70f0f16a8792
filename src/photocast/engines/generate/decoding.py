# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""From a latent to things: a coloured mesh, and gaussians."""

from dataclasses import replace

import numpy as np
import torch

from photocast.config import GenerateConfig, UnwrapConfig
from photocast.data import Mesh
from photocast.engines.generate.networks import Networks
from photocast.engines.generate.sampling import Latent
from photocast.errors import PhotocastError
from photocast.geometry.manifold import separate_touching
from photocast.geometry.srgb import linear_from_srgb
from photocast.nets.flexicubes import extract_mesh
from photocast.nets.gaussian_decoder import Gaussians
from photocast.progress import Progress
from photocast.stages.foreign import cleaned, reduced
from photocast.stages.unwrap import unwrap
from photocast.stages.vertex_paint import nearest_colors

__all__ = ["decode_gaussians", "decode_mesh", "finish_mesh"]


def decode_mesh(networks: Networks, latent: Latent) -> Mesh:
    """The surface, with a colour per vertex; z up, in the cube from -0.5 to 0.5.

    Raises:
        PhotocastError: There is no surface.
    """
    with torch.inference_mode(), networks.use("slat_decoder_mesh") as decoder:
        cubes, voxels = decoder(latent.features, latent.voxels)
        found = extract_mesh(voxels.coords[:, 1:], cubes, 4 * decoder.resolution)
        colors = linear_from_srgb(found.attributes[:, :3])
    if len(found.faces) == 0:
        raise PhotocastError(
            "The generated field has no surface. Try another --seed.", code="generate.empty"
        )
    return Mesh(
        vertices=found.vertices.cpu().numpy().astype(np.float32),
        faces=found.faces.cpu().numpy().astype(np.int32),
        colors=colors.cpu().numpy().astype(np.float32),
    )


def finish_mesh(
    colored: Mesh,
    config: GenerateConfig,
    device: torch.device,
    progress: Progress,
    notes: list[str],
) -> Mesh:
    """Fewer triangles, sheets that only touch taken apart, and UVs; colours at the vertices."""
    mesh = reduced(cleaned(colored), config.face_count)
    vertices, faces = separate_touching(mesh.vertices, mesh.faces)
    mesh = Mesh(vertices.astype(np.float32), np.ascontiguousarray(faces, np.int32))
    charts = UnwrapConfig(size=config.texture, atlas=config.atlas)
    mesh = unwrap(mesh, charts, progress, device=device, notes=notes)
    return replace(mesh, colors=nearest_colors(mesh, colored))


def decode_gaussians(networks: Networks, latent: Latent) -> Gaussians:
    """Gaussians of the same object."""
    with torch.inference_mode(), networks.use("slat_decoder_gs") as decoder:
        gaussians: Gaussians = decoder(latent.features, latent.voxels)
    return gaussians
