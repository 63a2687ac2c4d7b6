"""The same person in several frames: matched, interpolated between key frames, and followed through a video.

Pure functions on `peoplenet_nb.detections.Detections`; `peoplenet_nb.video` calls them.
"""

from __future__ import annotations

from peoplenet_nb.tracks.association import Matches, match_boxes
from peoplenet_nb.tracks.counting import Counts, count
from peoplenet_nb.tracks.cuts import scene_cut, thumbnail
from peoplenet_nb.tracks.identities import Tracker, track_boxes
from peoplenet_nb.tracks.interpolation import interpolate
from peoplenet_nb.tracks.keyframes import KeyFrames, choose_and_fill, window_frames
from peoplenet_nb.tracks.motion import Link, link_frames
from peoplenet_nb.tracks.picture import draw_footprints, draw_tracks
from peoplenet_nb.tracks.scene import Line, Scene, Zone
from peoplenet_nb.tracks.smoothing import smooth, trim
from peoplenet_nb.tracks.tracked import Tracks

__all__ = [
    "Counts",
    "KeyFrames",
    "Line",
    "Link",
    "Matches",
    "Scene",
    "Tracker",
    "Tracks",
    "Zone",
    "choose_and_fill",
    "count",
    "draw_footprints",
    "draw_tracks",
    "interpolate",
    "link_frames",
    "match_boxes",
    "scene_cut",
    "smooth",
    "thumbnail",
    "track_boxes",
    "trim",
    "window_frames",
]
