# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Getting a device ready."""

from importlib.util import find_spec

import pytest

from photocast.ops.warm_up import KERNELS, warm_up


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_file_named_is_there(name):
    assert find_spec(f"photocast.kernels.{name}") is not None


def test_any_device_gets_ready(device):
    warm_up(device)
