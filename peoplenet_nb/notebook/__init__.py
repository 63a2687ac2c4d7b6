"""What makes sense in a notebook only: a field for a key, an upload, a player, and tables on NGC and on folders.

Everything else that a notebook calls is the package itself. Names are imported when they are first used, so that the
notebook on set-up runs even where ipywidgets is what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as _lazy

if TYPE_CHECKING:  # the same names once more, for type checkers
    from peoplenet_nb.notebook.clips import folder_of_clips as folder_of_clips
    from peoplenet_nb.notebook.folders import places as places
    from peoplenet_nb.notebook.judge import labels_for as labels_for
    from peoplenet_nb.notebook.keyfield import KeyField as KeyField
    from peoplenet_nb.notebook.ngc import by_hand as by_hand
    from peoplenet_nb.notebook.ngc import failures as failures
    from peoplenet_nb.notebook.ngc import versions as versions
    from peoplenet_nb.notebook.pairs import beside as beside
    from peoplenet_nb.notebook.player import Player as Player
    from peoplenet_nb.notebook.service import ask_service as ask_service
    from peoplenet_nb.notebook.unplugged import Unplugged as Unplugged
    from peoplenet_nb.notebook.upload import UploadField as UploadField

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "pairs": ["beside"],
        "clips": ["folder_of_clips"],
        "folders": ["places"],
        "judge": ["labels_for"],
        "keyfield": ["KeyField"],
        "ngc": ["by_hand", "failures", "versions"],
        "player": ["Player"],
        "service": ["ask_service"],
        "unplugged": ["Unplugged"],
        "upload": ["UploadField"],
    },
)
