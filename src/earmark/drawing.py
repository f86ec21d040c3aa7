"""Drawing a spectrogram as a picture, and writing the picture as PNG: NumPy and the standard library only.

The network draws for itself (in torch for training, inside the ONNX graph for serving) out of the same two constants:
the colour table :data:`MAGMA` and the matrices of :func:`resize_matrix`. What is drawn here is for people to look at.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.files import atomic_write

_MAGMA = (
    "00000300000400000601000701010901010b02020d02020f03031104031304041505041706051907051b08061d09071f0a0722"
    "0b08240c09260d0a280e0a2a0f0b2c100c2f110c31120d33140d35150e38160e3a170f3c180f3f1a10411b10441c10461e1049"
    "1f114b20114d2211502311522511552611572811592a115c2b115e2d10602f1062301065321067341068350f6a370f6c390f6e"
    "3b0f6f3c0f713e0f72400f73420f74430f75450f76470f774810784a10794b10794d117a4f117b50127b52127c53137c55137d"
    "57147d58157e5a157e5b167e5d177e5e177f60187f61187f63197f651a80661a80681b80691c806b1c806c1d806e1e816f1e81"
    "711f81731f817420817621817721817922817a22817c23817e24817f24818125818225818426818526818727818928818a2881"
    "8c29808d29808f2a80912a80922b80942b80952c80972c7f992d7f9a2d7f9c2e7f9e2e7e9f2f7ea12f7ea3307ea4307da6317d"
    "a7317da9327cab337cac337bae347bb0347bb1357ab3357ab53679b63679b83778b93778bb3877bd3977be3976c03a75c23a75"
    "c33b74c53c74c63c73c83d72ca3e72cb3e71cd3f70ce4070d0416fd1426ed3426dd4436dd6446cd7456bd9466ada4769dc4869"
    "dd4968de4a67e04b66e14c66e24d65e44e64e55063e65162e75262e85461ea5560eb5660ec585fed595fee5b5eee5d5def5e5d"
    "f0605df1615cf2635cf3655cf3675bf4685bf56a5bf56c5bf66e5bf6705bf7715bf7735cf8755cf8775cf9795cf97b5df97d5d"
    "fa7f5efa805efa825ffb8460fb8660fb8861fb8a62fc8c63fc8e63fc9064fc9265fc9366fd9567fd9768fd9969fd9b6afd9d6b"
    "fd9f6cfda16efda26ffda470fea671fea873feaa74feac75feae76feaf78feb179feb37bfeb57cfeb77dfeb97ffebb80febc82"
    "febe83fec085fec286fec488fec689fec78bfec98dfecb8efdcd90fdcf92fdd193fdd295fdd497fdd698fdd89afdda9cfddc9d"
    "fddd9ffddfa1fde1a3fce3a5fce5a6fce6a8fce8aafceaacfcecaefceeb0fcf0b1fcf1b3fcf3b5fcf5b7fbf7b9fbf9bbfbfabd"
    "fbfcbf"
)

MAGMA: NDArray[np.uint8] = np.frombuffer(bytes.fromhex(_MAGMA), np.uint8).reshape(256, 3)
"""The colour map "magma" of matplotlib (S. van der Walt and N. Smith, 2015, CC0): 256 rows of red, green, blue.

Black for the quietest level to light yellow for the loudest, of evenly rising lightness. The bytes are those that
matplotlib writes into a picture, which are its fractions times 255 without the remainder. Read-only.
"""

IMAGE_SIZE = (256, 256)
"""Height and width of the picture that the report's network looks at, in pixels."""


@lru_cache(maxsize=32)
def resize_matrix(n_in: int, n_out: int) -> NDArray[np.float32]:
    """The matrix that resizes an axis bilinearly: ``resized = resize_matrix(n_in, n_out) @ values``.

    Pixels are unit intervals; output i is the mean of the inputs under a triangle around its middle, whose half width
    is one input pixel where the picture grows and one output pixel where it shrinks, so that nothing is skipped. That
    is Pillow's ``BILINEAR`` and torch's ``interpolate(mode="bilinear", antialias=True, align_corners=False)``.

    Returns
    -------
    Shape (n_out, n_in), float32, read-only; no entry is negative and each row sums to 1.

    Raises
    ------
    InputError
        If a size is below 1.
    """
    if n_in < 1 or n_out < 1:
        raise InputError(f"A picture has at least one pixel on each side; it cannot go from {n_in} to {n_out}.")
    scale = n_in / n_out
    middles = (np.arange(n_out)[:, None] + 0.5) * scale
    distance = np.abs(np.arange(n_in) + 0.5 - middles) / max(scale, 1.0)
    weights = np.maximum(1 - distance, 0)
    matrix: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def draw(levels: NDArray[np.uint8], size: tuple[int, int] | None = IMAGE_SIZE) -> NDArray[np.uint8]:
    """A spectrogram as a colour picture, the lowest frequency at the bottom, time from left to right.

    Parameters
    ----------
    levels
        Spectrogram of 256 levels, shape (bins, columns), low frequencies first.
    size
        Height and width of the picture; None for one pixel per bin and column.

    Returns
    -------
    Shape (height, width, 3), red, green and blue in 0 to 255.

    Raises
    ------
    InputError
        If `levels` has another type or number of axes, or is empty.
    """
    levels = np.asarray(levels)
    if levels.dtype != np.uint8 or levels.ndim != 2 or not levels.size:
        raise InputError(
            f"A drawing needs a spectrogram of 8 bits, (bins, columns), not {levels.dtype} of shape {levels.shape}."
        )
    colours: NDArray[np.uint8] = MAGMA[levels[::-1]]
    if size is None or size == levels.shape:
        return colours
    height, width = size
    bins, columns = levels.shape
    rows = resize_matrix(bins, height) @ colours.reshape(bins, columns * 3).astype(np.float32)
    picture = resize_matrix(columns, width) @ rows.reshape(height, columns, 3)
    drawn: NDArray[np.uint8] = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return drawn


def png(picture: NDArray[np.uint8], *, palette: bool = False) -> bytes:
    """A picture as the bytes of a PNG file (ISO/IEC 15948).

    Parameters
    ----------
    picture
        uint8, shape (height, width, 3) for colour or (height, width) for grey, not empty.
    palette
        Whether a picture of one number per pixel is shown in the colours of :data:`MAGMA` instead of greys; the file
        is a third as large as one of those colours.

    Raises
    ------
    InputError
        If `picture` is none of these.
    """
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.shape[2:] not in ((), (3,)) or picture.ndim < 2 or not picture.size:
        raise InputError(
            f"A PNG is made of 8 bits, (height, width) or (height, width, 3), not {picture.dtype} of {picture.shape}."
        )
    if palette and picture.ndim == 3:
        raise InputError("A palette is for pictures of one number per pixel; this one has colours already.")
    height, width = picture.shape[:2]
    # Filter 0 (none) before each row: unmixed colours of one table deflate to half of what differences do.
    lines = np.zeros((height, 1 + picture[0].size), np.uint8)
    lines[:, 1:] = picture.reshape(height, -1)
    kind = 3 if palette else 2 if picture.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    colours = ((b"PLTE", MAGMA.tobytes()),) if palette else ()
    chunks = ((b"IHDR", header), *colours, (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def write_png(path: Path | str, picture: NDArray[np.uint8]) -> None:
    """Write a picture as PNG, atomically; see :func:`png`.

    Raises
    ------
    InputError
        If the picture is not one, or the place cannot be written.
    """
    data = png(picture)
    with atomic_write(path) as handle:
        handle.write(data)
