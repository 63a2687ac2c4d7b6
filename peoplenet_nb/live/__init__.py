"""Streams and cameras watched as they come: a panel over a running stream, and the camera of the browser.

What is live as a source (RTSP, RTMP, files at their own pace) is in `peoplenet_nb.sources`, and runs over it are
`peoplenet_nb.video.run`; here is what shows them in a notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as _lazy

if TYPE_CHECKING:
    from peoplenet_nb.live.camera import BrowserCamera as BrowserCamera
    from peoplenet_nb.live.camera import Still as Still
    from peoplenet_nb.live.panel import LivePanel as LivePanel
    from peoplenet_nb.live.panel import watch as watch
    from peoplenet_nb.live.rtsp import demo_stream as demo_stream
    from peoplenet_nb.live.watching import Watching as Watching

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "camera": ["BrowserCamera", "Still"],
        "panel": ["LivePanel", "watch"],
        "rtsp": ["demo_stream"],
        "watching": ["Watching"],
    },
)
