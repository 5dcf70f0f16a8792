# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A recorded step does what the step itself does."""

import pytest
import torch
from torch.testing import assert_close

from photocast.ops.determinism import deterministic
from photocast.ops.recorded import Recorded
from photocast.stages.cooled_adam import CooledAdam

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def descend(device, steps, wrap):
    """Adam towards a target that changes from step to step."""
    leaf, target = torch.zeros(5, device=device), torch.zeros(5, device=device)
    adam = CooledAdam([(leaf, 0.1)])

    def step():
        adam.forget()
        ((leaf - target).square()).sum().backward()
        adam.step()

    run = wrap(step)
    with adam:
        for index in range(steps):
            target.copy_(torch.arange(5.0) + index)
            adam.cool.fill_(0.9**index)
            run()
    return leaf.detach().cpu()


def test_a_recorded_step_is_the_step(device):
    plain = descend(device, 12, lambda step: step)
    assert_close(descend(device, 12, lambda step: Recorded(step, device)), plain)


def test_cooling_scales_every_move():
    # Adam's first move is one step size, whatever the gradient.
    leaf = torch.zeros(3)
    adam = CooledAdam([(leaf, 0.1)])
    with adam:
        adam.cool.fill_(0.25)
        (leaf * torch.tensor([1.0, -20.0, 300.0])).sum().backward()
        adam.step()
    assert_close(leaf, torch.tensor([-0.025, 0.025, -0.025]), rtol=1e-4, atol=0)


def test_leaves_stop_learning_afterwards():
    leaf = torch.zeros(3)
    with CooledAdam([(leaf, 0.1)]):
        assert leaf.requires_grad
    assert not leaf.requires_grad
    assert leaf.grad is None


@pytest.mark.gpu
@on_gpu
def test_what_cannot_be_recorded_runs_all_the_same():
    calls = []
    value = torch.zeros(1, device="cuda")

    def step():
        value.add_(1)
        calls.append(float(value))  # waits for the device: not allowed in a graph

    run = Recorded(step, torch.device("cuda"))
    for _ in range(6):
        run()
    assert calls[-1] == 6.0


@pytest.mark.gpu
@on_gpu
def test_the_deterministic_mode_records_nothing():
    with deterministic():
        run = Recorded(lambda: None, torch.device("cuda"))
        for _ in range(5):
            run()
    assert run._graph is None
