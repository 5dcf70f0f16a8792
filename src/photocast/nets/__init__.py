# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks of the generate engine, one per file, and where their weights come from.

Plain PyTorch. Parameter names and shapes are those of the published checkpoints of ReconViaGen
(arXiv 2510.23306), TRELLIS, VGGT and DINOv2, so that these load as they are. Nothing here
downloads on import. ``docs/generate.md`` says what is proven about them and what is not.
"""
