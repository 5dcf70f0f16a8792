# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""NumPy's files of numbers, read without believing their headers.

``numpy.load`` takes memory for what a header announces before it looks for the bytes.
Source: NEP 1, A simple file format for NumPy arrays.
"""

import io
import math
import tokenize
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_from_npy"]


def array_from_npy(data: bytes) -> NDArray[Any]:
    """Decode the bytes of an ``.npy`` file of numbers, as a view of them.

    Raises:
        ValueError: Damaged, of objects, or shorter than its header announces.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, by_columns, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"version {version} of the format")
    except (tokenize.TokenError, SyntaxError, TypeError, OverflowError) as error:
        raise ValueError(f"its header is damaged: {ascii(error)[:80]}") from error
    start, count = file.tell(), math.prod(shape)
    if dtype.kind not in "fiub":
        raise ValueError(f"it holds {ascii(str(dtype))[:40]} instead of numbers")
    if min(shape, default=0) < 0 or count * dtype.itemsize > len(data) - start:
        raise ValueError(
            f"it announces {count:,} numbers of {dtype.itemsize} bytes, but {len(data) - start:,} "
            "bytes are left"
        )
    array = np.frombuffer(data, dtype, count, start)
    return array.reshape(shape, order="F" if by_columns else "C")
