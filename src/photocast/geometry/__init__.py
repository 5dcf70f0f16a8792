# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Pure tensor maths: frames, projection, triangles. No files, no state."""
