# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: devices, the larger captures, one thread of torch."""

import os
from pathlib import Path

import pytest
import torch

DATA = Path(os.environ.get("PHOTOCAST_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device of this machine in turn."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return torch.device(request.param)


@pytest.fixture
def capture_folder():
    """Find one of the larger captures by name, or skip with the reason."""

    def find(name: str) -> Path:
        folder = (DATA / name).resolve()
        if not folder.is_dir():
            pytest.skip(f"capture {name!r} is not in {DATA} (set PHOTOCAST_DATA)")
        return folder

    return find
