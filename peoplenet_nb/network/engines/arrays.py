"""The arrays that go into and come out of an engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""``(N, 3, H, W)`` float32 RGB / 255, or ``(N, H, W, 3)`` uint8 BGR, as the file takes it."""

Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]
"""Coverage ``(N, C, rows, cols)``, and boxes ``(N, 4C, rows, cols)`` or None."""


def as_outputs(arrays: list[npt.NDArray[np.float32]]) -> Outputs:
    """Return one or two arrays as what an engine returns."""
    return arrays[0], arrays[1] if len(arrays) > 1 else None
