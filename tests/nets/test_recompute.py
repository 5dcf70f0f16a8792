# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Computing a block again gives the same gradient, and keeps nothing but its input."""

import torch

from photocast.nets.recompute import recomputed


def test_the_gradient_is_that_of_the_block_itself():
    x = torch.linspace(-1, 1, 20, requires_grad=True)
    (ours,) = torch.autograd.grad(recomputed(torch.tanh, x * 2).sum(), x)
    (theirs,) = torch.autograd.grad(torch.tanh(x * 2).sum(), x)
    assert ours.equal(theirs)


def test_what_lies_between_is_not_kept():
    def kept(call):
        bytes_kept = []
        note = lambda t: bytes_kept.append(t.nbytes) or t  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            call(torch.ones(1000, requires_grad=True))
        return sum(bytes_kept)

    def deep(x):
        for _ in range(10):
            x = torch.sin(x)
        return x

    assert kept(lambda x: deep(x)) == 10 * 4000
    assert kept(lambda x: recomputed(deep, x)) <= 4000


def test_without_gradient_the_block_runs_once():
    calls = []

    def block(x):
        calls.append(1)
        return x + 1

    recomputed(block, torch.zeros(2))
    with torch.no_grad():
        recomputed(block, torch.zeros(2, requires_grad=True))
    assert len(calls) == 2
