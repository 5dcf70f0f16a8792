# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Engine ``optimize``: posed photos to a textured mesh by differentiable rendering.

Silhouettes, and depth where there is any, give a first shape; a signed-distance volume is fitted to
the photos, coarse to fine; its surface becomes a mesh whose vertices are refined through the
rasteriser; the mesh is unwrapped and textured from the photos.
"""

from photocast.engines.optimize.engine import Optimize

__all__ = ["Optimize"]
