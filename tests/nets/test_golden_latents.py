# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks of the detailed latent, and mesh extraction, against the original code."""

import pytest

from photocast.nets.flexicubes import extract_mesh
from photocast.nets.gaussian_decoder import PLY_FIELDS, SLatGaussianDecoder
from photocast.nets.latent_flow import SLatFlowModel
from photocast.nets.mesh_decoder import SLatMeshDecoder
from photocast.nets.voxels import Voxels


@pytest.mark.golden("trellis.models.structured_latent_flow.SLatFlowModel")
def test_golden_latent_flow(case):
    flow = case.fill(SLatFlowModel(**case.args))
    voxels = Voxels(case["in_coords"])
    given, views = (case["in_feats"], voxels, case["in_t"]), case.inputs("in_cond")
    with case.watching(flow):
        feats = flow(*given, views)
    nothing = flow(*given, [0 * view for view in views])
    case.check(feats=feats, feats_zero_cond=nothing, coords=voxels.coords)
    case.compare("out_feats_zero_cond", flow(*given, None))
    case.compare("out_feats", flow(*given, flow.project(views)))


@pytest.mark.golden("trellis.models.structured_latent_vae.decoder_gs.SLatGaussianDecoder")
def test_golden_gaussian_decoder(case):
    decoder = case.fill(SLatGaussianDecoder(**case.args))
    raw = []
    decoder.out_layer.register_forward_hook(lambda _m, _i, output: raw.append(output))
    with case.watching(decoder):
        gaussians = decoder(case["in_feats"], Voxels(case["in_coords"]))
    assert list(PLY_FIELDS) == case.entry["ply_fields"]
    case.check(
        raw=raw[0],
        xyz_raw=gaussians.unit_xyz,
        features_dc=gaussians.features_dc,
        scaling_raw=gaussians.raw_scaling,
        rotation_raw=gaussians.raw_rotation,
        opacity_raw=gaussians.raw_opacity,
        xyz=gaussians.xyz,
        scaling=gaussians.scaling,
        rotation=gaussians.rotation,
        opacity=gaussians.opacity,
        offset_perturbation=decoder.offset_perturbation,
        ply=gaussians.ply(),
    )


@pytest.mark.golden("trellis.models.structured_latent_vae.decoder_mesh.SLatMeshDecoder")
def test_golden_mesh_decoder(case):
    decoder = case.fill(SLatMeshDecoder(**case.args))
    with case.watching(decoder):
        cubes, voxels = decoder(case["in_feats"], Voxels(case["in_coords"]))
    mesh = extract_mesh(voxels.coords[:, 1:], cubes, 4 * case.args["resolution"])
    case.check(
        feats=cubes,
        coords=voxels.coords,
        vertices=mesh.vertices,
        faces=mesh.faces,
        vertex_attrs=mesh.attributes,
    )


@pytest.mark.golden("trellis.representations.mesh.cube2mesh.SparseFeatures2Mesh")
def test_golden_flexicubes(case):
    given = case["in_feats"]
    mesh = extract_mesh(case["in_coords"][:, 1:], given, case.args["res"])
    assert given.equal(case["in_feats"])
    facts = case.entry["facts"]
    assert (len(mesh.vertices), len(mesh.faces)) == (facts["vertices"], facts["faces"])
    case.check(vertices=mesh.vertices, faces=mesh.faces, vertex_attrs=mesh.attributes)
