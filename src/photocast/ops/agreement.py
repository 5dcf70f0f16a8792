# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Let faces agree with their neighbours, in rounds. No gradient."""

import torch
from jaxtyping import Float32, Int32
from torch import Tensor

from photocast.kernels import agreement as kernels
from photocast.ops._launch import launch_parts, part_count, split

__all__ = ["beliefs", "beliefs_twin", "softened", "softened_twin"]


def softened(
    vectors: Float32[Tensor, "face 3"],
    neighbours: Int32[Tensor, "face 3"],
    weights: Float32[Tensor, "face 3"],
    rounds: int,
) -> Float32[Tensor, "face 3"]:
    """Move each face's vector half way to the mean of its neighbours, again and again.

    Args:
        vectors: One per face.
        neighbours: The faces beside each; -1 where there is none.
        weights: Theirs in the mean.
        rounds: How often.
    """
    now, then = vectors.contiguous().clone(), torch.empty_like(vectors)
    parts = split(len(vectors), part_count(vectors.device))
    for _ in range(rounds):
        jobs = [(b - a, [a, neighbours, weights, now, then]) for a, b in parts]
        launch_parts(kernels.soften, jobs, vectors.device)
        now, then = then, now
    return now


def softened_twin(vectors: Tensor, neighbours: Tensor, weights: Tensor, rounds: int) -> Tensor:
    """The specification."""
    for _ in range(rounds):
        vectors = 0.5 * (vectors + _around(vectors, neighbours, weights))
    return vectors


def beliefs(
    fit: Float32[Tensor, "face 6"],
    neighbours: Int32[Tensor, "face 3"],
    weights: Float32[Tensor, "face 3"],
    agreement: float,
    rounds: int,
) -> Float32[Tensor, "face 6"]:
    """Mean field of a Potts model: how surely each face takes each of six labels.

    Args:
        fit: How well each label suits each face by itself; with ``agreement`` added, small enough
            for exp().
        neighbours: The faces beside each; -1 where there is none.
        weights: Theirs; they add up to at most 1.
        agreement: What a label gains if all neighbours take it.
        rounds: How often faces listen to each other.
    """
    now, then = torch.softmax(fit, 1), torch.empty_like(fit)
    parts = split(len(fit), part_count(fit.device))
    for _ in range(rounds):
        jobs = [(b - a, [a, neighbours, weights, fit, agreement, now, then]) for a, b in parts]
        launch_parts(kernels.discuss, jobs, fit.device)
        now, then = then, now
    return now


def beliefs_twin(
    fit: Tensor, neighbours: Tensor, weights: Tensor, agreement: float, rounds: int
) -> Tensor:
    """The specification."""
    belief = torch.softmax(fit, 1)
    for _ in range(rounds):
        belief = torch.softmax(fit + agreement * _around(belief, neighbours, weights), 1)
    return belief


def _around(values: Tensor, neighbours: Tensor, weights: Tensor) -> Tensor:
    there = (neighbours >= 0).to(values.dtype) * weights.to(values.dtype)
    return (values[neighbours.long().clamp(min=0)] * there[..., None]).sum(1)
