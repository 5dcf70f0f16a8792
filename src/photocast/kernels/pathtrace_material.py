# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A rough dielectric coat over a diffuse base, to evaluate and to sample.

Base colour and roughness mean what they mean in glTF 2.0. What the coat mirrors on the way in and
on the way out is missing from the base, so more light never leaves than arrived; glTF's simpler
mix of the two exceeds that by 2 % at low roughness. Directions are unit vectors in the local frame of the shading normal (0, 0, 1), pointing away from
the surface. ``alpha`` is roughness squared.
Source: Khronos, glTF 2.0 specification, appendix B; Heitz, Understanding the masking-shadowing
function in microfacet-based BRDFs, 2014, equations 85 (distribution) and 99 (height-correlated).
"""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.struct
class Surface:
    """What light meets at a point."""

    base_color: wp.vec3
    roughness: float
    specular: float  # reflectance at normal incidence; 0 is purely diffuse
    normal: wp.vec3  # shading normal, unit, outwards


@wp.func
def fresnel(specular: float, cosine: float) -> float:
    # Schlick. The grazing value fades with specular, so that 0 switches the coat off entirely.
    grazing = wp.min(50.0 * specular, 1.0)
    c = wp.clamp(1.0 - cosine, 0.0, 1.0)
    c2 = c * c
    return specular + (grazing - specular) * c2 * c2 * c


@wp.func
def ggx_density(cosine: float, alpha: float) -> float:
    a2 = alpha * alpha
    d = cosine * cosine * (a2 - 1.0) + 1.0
    return a2 / (wp.pi * d * d)


@wp.func
def ggx_visibility(cos_in: float, cos_out: float, alpha: float) -> float:
    """Masking and shadowing over 4 cos cos."""
    a2 = alpha * alpha
    masked = cos_out * wp.sqrt(cos_in * cos_in * (1.0 - a2) + a2)
    shadowed = cos_in * wp.sqrt(cos_out * cos_out * (1.0 - a2) + a2)
    return 0.5 / wp.max(masked + shadowed, 1.0e-8)


@wp.func
def scattered(surface: Surface, to_eye: wp.vec3, to_light: wp.vec3) -> wp.vec3:
    """BRDF times the cosine at the light."""
    if to_light[2] <= 0.0 or to_eye[2] <= 0.0:
        return wp.vec3(0.0)
    half = wp.normalize(to_eye + to_light)
    mirror = fresnel(surface.specular, wp.dot(half, to_eye))
    alpha = surface.roughness * surface.roughness
    gloss = ggx_density(half[2], alpha) * ggx_visibility(to_light[2], to_eye[2], alpha) * mirror
    passed = 1.0 - fresnel(surface.specular, to_light[2])
    passed *= 1.0 - fresnel(surface.specular, to_eye[2])
    diffuse = surface.base_color * (passed / wp.pi)
    return (diffuse + wp.vec3(gloss)) * to_light[2]


@wp.func
def gloss_share(surface: Surface, to_eye: wp.vec3) -> float:
    """How often to sample the coat rather than the base."""
    gloss = fresnel(surface.specular, to_eye[2])
    diffuse = wp.max(surface.base_color) * (1.0 - gloss)
    if gloss <= 0.0 or diffuse <= 0.0:
        return wp.where(gloss > 0.0, 1.0, 0.0)
    return wp.clamp(gloss / (gloss + diffuse), 0.1, 0.9)


@wp.func
def scatter_density(surface: Surface, to_eye: wp.vec3, to_light: wp.vec3) -> float:
    """Probability per solid angle that ``scatter_direction`` picks ``to_light``."""
    if to_light[2] <= 0.0:
        return 0.0
    share = gloss_share(surface, to_eye)
    half = wp.normalize(to_eye + to_light)
    alpha = surface.roughness * surface.roughness
    gloss = ggx_density(half[2], alpha) * half[2] / (4.0 * wp.max(wp.dot(half, to_eye), 1.0e-6))
    return share * gloss + (1.0 - share) * to_light[2] / wp.pi


@wp.func
def scatter_direction(surface: Surface, to_eye: wp.vec3, u: wp.vec2, pick: float) -> wp.vec3:
    """A direction to look for light in; below the horizon means none."""
    angle = 2.0 * wp.pi * u[1]
    if pick < gloss_share(surface, to_eye):
        alpha = surface.roughness * surface.roughness
        cosine = wp.sqrt((1.0 - u[0]) / (1.0 + (alpha * alpha - 1.0) * u[0]))
        sine = wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0))
        half = wp.vec3(sine * wp.cos(angle), sine * wp.sin(angle), cosine)
        return 2.0 * wp.dot(half, to_eye) * half - to_eye
    sine = wp.sqrt(u[0])
    return wp.vec3(sine * wp.cos(angle), sine * wp.sin(angle), wp.sqrt(1.0 - u[0]))
