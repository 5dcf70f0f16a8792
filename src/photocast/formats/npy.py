# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""NumPy's files of numbers, read without believing their headers.

``numpy.load`` takes memory for what a header announces before it looks for the bytes.
Source: NEP 1, A simple file format for NumPy arrays.
"""

import io
import math
import tokenize
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_from_npy"]

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (tokenize.TokenError, SyntaxError, TypeError, ValueError, LookupError, OverflowError)


def array_from_npy(data: bytes) -> NDArray[Any]:
    """Decode the bytes of an ``.npy`` file of numbers, as a view of them.

    Raises:
        ValueError: Damaged, of objects, or shorter than its header announces.
    """
    file = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of Python 2 are read more slowly, no more
            version = np.lib.format.read_magic(file)
            read = _HEADERS[version]
            shape, by_columns, dtype = read(file)
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(shape)
    except _DAMAGE as error:
        raise ValueError(f"its header is damaged: {ascii(str(error))[1:-1][:80]}") from error
    start, count = file.tell(), math.prod(shape)
    if dtype.kind not in "fiub":
        raise ValueError(f"it holds {ascii(str(dtype))[:40]} instead of numbers")
    if count * dtype.itemsize > len(data) - start:
        raise ValueError(
            f"it announces {count:,} numbers of {dtype.itemsize} bytes, but {len(data) - start:,} "
            "bytes are left"
        )
    array = np.frombuffer(data, dtype, count, start)
    return array.reshape(shape, order="F" if by_columns else "C")
