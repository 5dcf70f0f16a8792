# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Jobs of the service: what is kept about them, and where their files lie."""
