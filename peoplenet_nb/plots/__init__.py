"""Pictures for people: reports over a frame (`frame`), on the way to boxes (`steps`), and charts (`charts`).

Every function returns a `Picture` with a text for those who cannot see it. Matplotlib is
imported when the first one is drawn.
"""

from __future__ import annotations

from peoplenet_nb.plots.picture import Picture, frame_picture

__all__ = ["Picture", "frame_picture"]
