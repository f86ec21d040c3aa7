"""Cutting a stream of samples into windows, the same way for a file and for sound that is still going on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# A last stretch shorter than this share of a window is heard as part of the window before it.
SMALLEST_REST = 0.5


class Windows:
    """Windows one after another; of a rest that is long enough, the window that ends where the sound ends.

    Holds two windows of samples, whatever is fed in.

    Parameters
    ----------
    size
        Samples in a window.

    Attributes
    ----------
    total
        Samples fed in so far.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffer = np.empty(2 * size, np.float32)
        self._filled = 0
        self.total = 0

    def feed(self, block: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Take mono samples, float32 (n,), and give each window that they complete.

        Yields
        ------
        tuple
            Number of the window's first sample, and the window, (size,): a view, good until the next one is taken.
        """
        size = self._size
        while len(block):
            if self._filled == 2 * size:
                self._buffer[:size] = self._buffer[size:]
                self._filled = size
            room = size - self._filled % size
            part, block = block[:room], block[room:]
            self._buffer[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            self.total += len(part)
            if self._filled % size == 0:
                yield self.total - size, self.recent(size)

    def rest(self) -> tuple[int, NDArray[np.float32]] | None:
        """What is to be heard of the sound behind the last window, at its end; None: nothing."""
        over = self._filled % self._size
        if self._filled < self._size:
            return (0, self.recent(over)) if over else None
        if over and over >= SMALLEST_REST * self._size:
            return self.total - self._size, self.recent(self._size)
        return None

    def recent(self, count: int) -> NDArray[np.float32]:
        """The last `count` samples, at most a window: a view, good until more is fed in."""
        return self._buffer[self._filled - count : self._filled]
