"""Products of matrices and vectors that stay on one core.

Above some size OpenBLAS deals a product to threads. For the small ones of a front end that gains little on an idle
machine, and on a busy one, where a worker runs on every core already, waiting for the threads takes longer than all
the rest: the features of a window took 70 ms instead of 5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 1 << 18
"""Multiplications in one product of matrices up to which OpenBLAS starts no threads."""
ROW = 1 << 12
"""Values of a vector up to which it starts none; for more than twice as many it would."""


def product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """``left @ right`` in strips of columns that are each small enough.

    Parameters
    ----------
    left
        (m, k) with m k at most :data:`MOST`.
    right
        (k, n).

    Returns
    -------
    (m, n).
    """
    width = max(1, MOST // left.size)
    found = np.empty((left.shape[0], right.shape[1]), np.result_type(left, right))
    for first in range(0, right.shape[1], width):
        np.matmul(left, right[:, first : first + width], out=found[:, first : first + width])
    return found


def energy(values: NDArray[np.floating]) -> float:
    """Sum of the squares of all values, in their own precision; infinite or not a number where one of them is.

    Parameters
    ----------
    values
        Of any shape.
    """
    with np.errstate(all="ignore"):
        flat = values.ravel()
        whole = len(flat) // ROW * ROW
        rows, rest = flat[:whole].reshape(-1, ROW), flat[whole:]
        return float(np.vecdot(rows, rows).sum()) + float(np.vecdot(rest, rest))
