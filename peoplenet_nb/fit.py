"""How a frame is mapped to the network's input, and back: a value that travels with the raw grids.

Stretching is what NVIDIA's pipelines do; a letterbox puts the frame top-left on black, which is what DeepStream's
``maintain-aspect-ratio=1`` does. The default, ``auto``, stretches wide frames and letterboxes all others. ``near`` is a
letterbox of half the size, for people near the camera: the network knows no face as large as those of a portrait.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from peoplenet_nb.errors import SettingsError, choose

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Width over height below which a letterbox finds more than stretching, measured on photographs of all shapes: stretched
# to the network's 16:9, people in a narrow picture become wider than any that the network was trained on.
NARROW = 1.45


# Of a letterbox; halves find more of photographs than thirds do (`python benchmarks/photographs.py`).
_NEAR_SCALE = 0.5


class FitMode(StrEnum):
    """How a frame is resized to the network's input; ``auto`` is decided by each frame's shape, and never ``near``."""

    STRETCH = "stretch"
    LETTERBOX = "letterbox"
    NEAR = "near"
    AUTO = "auto"

    def of_frame(self, width: float, height: float) -> FitMode:
        """Return how a frame of this shape is resized: for ``auto`` ``stretch`` or ``letterbox``."""
        if self is not FitMode.AUTO:
            return self
        return FitMode.LETTERBOX if width < NARROW * height else FitMode.STRETCH


@dataclass(frozen=True, slots=True)
class Fit:
    """How a frame was resized to the network's input.

    Parameters
    ----------
    mode : FitMode
        ``stretch``, ``letterbox`` or ``near``; one of the first two is what became of ``auto``.
    frame_size, network_size : tuple of int
        ``(width, height)`` in pixels.
    content_size : tuple of int
        The part of the network input that the frame covers, ``(width, height)`` in network pixels from the
        top left; the whole of it when stretched.
    """

    mode: FitMode
    frame_size: tuple[int, int]
    network_size: tuple[int, int]
    content_size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.mode is FitMode.AUTO:
            what = "A frame was resized in one way or the other"
            step = "Fit.of(frame_size, network_size, 'auto') decides."
            raise SettingsError(what, seen=repr(str(self.mode)), next_step=step)

    @classmethod
    def of(cls, frame_size: tuple[int, int], network_size: tuple[int, int], mode: FitMode | str) -> Fit:
        """Return the fit of a frame of ``(width, height)`` pixels."""
        mode = choose(FitMode, mode, "fit").of_frame(*frame_size)
        content = network_size
        if mode is not FitMode.STRETCH:
            scale = min(network_size[0] / frame_size[0], network_size[1] / frame_size[1])
            scale *= _NEAR_SCALE if mode is FitMode.NEAR else 1.0
            content = (
                min(network_size[0], max(1, round(frame_size[0] * scale))),
                min(network_size[1], max(1, round(frame_size[1] * scale))),
            )
        return cls(mode, frame_size, network_size, content)

    @property
    def scale(self) -> tuple[float, float]:
        """Frame pixels per network pixel, ``(x, y)``."""
        return (self.frame_size[0] / self.content_size[0], self.frame_size[1] / self.content_size[1])

    def to_frame(self, xyxy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map boxes or points ``(..., 2k)`` from network pixels to frame pixels."""
        points, scale = self._with_scale(xyxy)
        return points * scale

    def to_network(self, xyxy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map boxes or points ``(..., 2k)`` from frame pixels to network pixels."""
        points, scale = self._with_scale(xyxy)
        return points / scale

    def _with_scale(self, xyxy: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        import numpy as np  # here: the shell names the fits without it

        points = np.asarray(xyxy, np.float64)
        return points, np.array(self.scale * (points.shape[-1] // 2))
