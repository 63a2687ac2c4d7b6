"""A frame on its way to the network, and the way back for boxes.

`peoplenet_nb.fit.Fit` holds everything needed to map network pixels back to the frame.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import SourceError, choose
from peoplenet_nb.fit import Fit, FitMode

NetworkInput = npt.NDArray[Any]

# The network takes RGB / 255 without a mean (TAO DetectNet_v2): every byte has one float32.
_SCALE = (np.arange(256, dtype=np.float32) / np.float32(255.0)).astype(np.float32)


def check_frame(frame: object) -> npt.NDArray[np.uint8]:
    """Return the frame if it is a BGR picture.

    Raises
    ------
    SourceError
        When it is not a ``(H, W, 3)`` uint8 array with pixels in it.
    """
    if not isinstance(frame, np.ndarray):
        raise SourceError(
            "A frame must be a numpy array",
            seen=type(frame).__name__,
            next_step="read it with pn.open_source, or with cv2.imread (None means: not read).",
        )
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise SourceError(
            "A frame must be BGR uint8 of shape (height, width, 3)",
            seen=f"{frame.dtype} {frame.shape}",
            next_step="convert it first, e.g. cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR).",
        )
    return frame


class Preprocessor:
    """Brings frames to the network's input; keeps its buffers, so one is for one thread.

    Parameters
    ----------
    network_size : tuple of int
        ``(width, height)`` of the network's input.
    mode : FitMode or str
        ``stretch``, ``letterbox``, ``near``, or ``auto``: by each frame's shape.
    as_bytes : bool
        Leave the rest to a network that takes resized BGR bytes (`peoplenet_nb.speed`).

    Notes
    -----
    Resize, split into planes and a 256-entry table replace the usual resize, cvtColor, astype / 255 and
    transpose: the same values to the bit, in less time, and already in the order that the network reads, where a
    transposed view would be copied once more. What is left is the resize and writing 6 MB of floats
    (``benchmarks/preprocess_speed.py``); a table of pairs of bytes, half the steps, is no faster from cold caches.
    """

    def __init__(
        self, network_size: tuple[int, int], mode: FitMode | str = FitMode.AUTO, *, as_bytes: bool = False
    ) -> None:
        self.network_size = network_size
        self.mode: FitMode = choose(FitMode, mode, "fit")
        self.as_bytes = as_bytes
        width, height = network_size
        self._resized = np.zeros((height, width, 3), np.uint8)
        self._planes = np.empty((3, height, width), np.uint8)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one input without the batch axis."""
        width, height = self.network_size
        return (height, width, 3) if self.as_bytes else (3, height, width)

    @property
    def dtype(self) -> type[np.uint8 | np.float32]:
        """The input's dtype."""
        return np.uint8 if self.as_bytes else np.float32

    def __call__(
        self, frame: npt.NDArray[np.uint8], out: NetworkInput | None = None
    ) -> tuple[NetworkInput, Fit]:
        """Return the network input and the fit.

        Parameters
        ----------
        frame : ndarray
            BGR uint8 ``(h, w, 3)``.
        out : ndarray, optional
            Where to write: ``(1, 3, H, W)`` float32, or ``(1, H, W, 3)`` uint8 with ``as_bytes``.

        Returns
        -------
        batch : ndarray
            ``(1, 3, H, W)`` float32 RGB in 0..1, or ``(1, H, W, 3)`` uint8 BGR with ``as_bytes``.
        fit : Fit
            The way back.

        Raises
        ------
        SourceError
            When the frame is not a BGR picture.
        """
        frame = check_frame(frame)
        fit = Fit.of((frame.shape[1], frame.shape[0]), self.network_size, self.mode)
        if out is None:
            out = np.empty((1, *self.shape), self.dtype)
        if self.as_bytes:
            _place(frame, out[0], fit.content_size)
            return out, fit
        _place(frame, self._resized, fit.content_size)
        cv2.split(self._resized, list(self._planes[::-1]))  # BGR in, RGB out
        # As one tall picture, which OpenCV shares among the cores.
        width, height = self.network_size
        tall = out.reshape(3 * height, width) if out.flags.c_contiguous else None
        looked_up = cv2.LUT(self._planes.reshape(3 * height, width), _SCALE, dst=tall)
        if tall is None or not np.shares_memory(looked_up, tall):
            out[0] = looked_up.reshape(3, height, width)
        return out, fit


def _place(frame: npt.NDArray[np.uint8], canvas: npt.NDArray[np.uint8], content: tuple[int, int]) -> None:
    """Resize a frame into the top left of a canvas ``(H, W, 3)`` uint8, and blacken the rest."""
    width, height = content
    target = canvas[:height, :width]
    resized = cv2.resize(frame, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
    if not np.shares_memory(resized, target):  # OpenCV cannot write into every view
        target[:] = resized
    canvas[height:] = 0
    canvas[:height, width:] = 0
