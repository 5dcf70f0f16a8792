# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Steps of an optimisation as CUDA graphs: hundreds of small launches become one.

From Python a launch costs the host several microseconds, more than most of our kernels run; a
replayed graph costs the device alone.
"""

import logging
from collections.abc import Callable

import torch

from photocast.ops.determinism import is_deterministic

__all__ = ["Recorded"]

_LOG = logging.getLogger(__name__)
_EAGER = 2
"""Calls before recording: they load kernels, make tables and the optimiser's state."""


class Recorded:
    """A step without arguments that is recorded once and replayed from then on.

    The step must read from tensors that stay where they are, write in place and never look at a
    value; what differs from call to call is written into a tensor before the call. It may hold an
    autograd pass from its beginning to its end. On the CPU, in the deterministic mode, and where
    recording fails, it is simply called each time.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self._step = step
        self._left = _EAGER if device.type == "cuda" and not is_deterministic() else -1
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Do the step."""
        if self._left == 0 and self._graph is None:
            self._record()
        if self._graph is not None:
            self._graph.replay()
            return
        self._left = max(self._left - 1, -1)
        self._step()

    def _record(self) -> None:
        try:
            self._graph = _graph_of(self._step)
        except torch.cuda.OutOfMemoryError:
            raise  # smaller settings help; the same step outside a graph does not
        except RuntimeError as error:
            self._left = -1
            _LOG.warning(
                "The step runs launch by launch, because it could not be recorded: %s",
                str(error).partition("\n")[0],
                extra={"event": "step.not_recorded"},
            )


def _graph_of(step: Callable[[], None]) -> torch.cuda.CUDAGraph:
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        # thread_local: other threads of the process may go on using the device meanwhile
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            step()
        finally:
            graph.capture_end()
    torch.cuda.current_stream().wait_stream(side)
    return graph
