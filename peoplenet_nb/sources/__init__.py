"""Frames from images, folders, videos, URLs and YouTube; no inference here.

A frame's index is its place in the source, counted from 0, whatever was skipped.
"""

from __future__ import annotations

from peoplenet_nb.sources.frames import Frame, Source, SourceInfo
from peoplenet_nb.sources.opening import open_path, open_source

__all__ = ["Frame", "Source", "SourceInfo", "open_path", "open_source"]
