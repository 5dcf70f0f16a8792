# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Lists that threads append to, so that a later launch works only where there is work."""

import warp as wp

wp.set_module_options({"enable_backward": False})

# One addition to the counter per warp: a hundred thousand to one address would take a while.
RESERVE = """
    wp::int32* counter = &wp::index(counts, which);
#if defined(__CUDA_ARCH__)
    const unsigned active = __activemask();
    const unsigned lane = threadIdx.x & 31;
    int total = 0;
    int before = 0;
    for (int bit = 0; bit < 5; ++bit) {
        const unsigned votes = __ballot_sync(active, (wanted >> bit) & 1);
        total += __popc(votes) << bit;
        before += __popc(votes & ((1u << lane) - 1)) << bit;
    }
    const int leader = __ffs(active) - 1;
    int start = 0;
    if (lane == leader && total > 0)
        start = atomicAdd(counter, total);
    return __shfl_sync(active, start, leader) + before;
#else
    const int start = *counter;
    *counter = start + wanted;
    return start;
#endif
"""


@wp.func_native(RESERVE)
def reserve(counts: wp.array[wp.int32], which: wp.int32, wanted: wp.int32) -> wp.int32:
    """First of ``wanted`` free places, at most 31, in the list counted by ``counts[which]``."""
    ...
