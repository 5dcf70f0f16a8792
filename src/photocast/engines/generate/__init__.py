# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Engine ``generate``: a few photos without cameras to a textured mesh, by a learned prior.

Networks look at the photos, two flows turn noise into a latent of the object, and decoders make
gaussians and a mesh of it; see ``docs/generate.md``.
"""

from photocast.engines.generate.engine import Generate, Generated

__all__ = ["Generate", "Generated"]
