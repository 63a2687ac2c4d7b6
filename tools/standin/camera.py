"""From metres on the street to pixels of the picture.

The camera looks straight ahead and its lens is shifted instead of tilted, so upright things stay upright in the
picture and the ground's mapping is one homography. World axes are x to the right, y up and z away from the
camera, in metres; the ground is y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Camera:
    """A shifted pinhole camera.

    Parameters
    ----------
    width, height : int
        Picture size in pixels.
    focal : float
        Focal length in pixels.
    eye : float
        Height of the camera above the ground in metres.
    horizon : float
        Row of the horizon in pixels.
    """

    width: int
    height: int
    focal: float
    eye: float
    horizon: float

    def scale(self, z: float) -> float:
        """Return pixels per metre at depth `z` (metres)."""
        return self.focal / z

    def half_width(self, z: float) -> float:
        """Return how many metres the picture shows to either side of its middle at depth `z`."""
        return 0.5 * self.width * z / self.focal

    def project(self, points: Array) -> Complex:
        """Project world points to the picture.

        Parameters
        ----------
        points : ndarray, shape (N, 3)
            World x, y, z in metres, z > 0.

        Returns
        -------
        ndarray of complex, shape (N,)
            Column + 1j * row in frame pixels; complex, because rotating and moving outlines is then one
            multiplication.
        """
        scale = self.focal / points[:, 2]
        column = 0.5 * self.width + points[:, 0] * scale
        row = self.horizon + (self.eye - points[:, 1]) * scale
        return np.asarray(column + 1j * row, dtype=np.complex128)

    def point(self, x: float, y: float, z: float) -> complex:
        """Project one world point; the same as `project` for a single point."""
        scale = self.focal / z
        return complex(0.5 * self.width + x * scale, self.horizon + (self.eye - y) * scale)


@dataclass(frozen=True)
class Street:
    """The street's own axes on the ground: along it, and across it away from the camera.

    Parameters
    ----------
    yaw : float
        Angle in radians by which the street is turned against the picture plane.
    pivot : float
        Depth in metres around which it is turned.
    """

    yaw: float
    pivot: float = 7.0

    def world(self, along: float, depth: float) -> tuple[float, float]:
        """Return the world (x, z) of a point given in the street's axes (metres)."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        d = depth - self.pivot
        return float(along * c - d * s), float(self.pivot + along * s + d * c)
