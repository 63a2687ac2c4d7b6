"""What every notebook begins with: a model and frames, and what was taken instead of what is not there.

One decision to know: only what the outside world withholds is replaced (no PeopleNet: the stand-in; an
address that does not answer: the demo clip), and it is said. A mistyped path or a device that was asked for and is
not there stays an error: nobody wants eight hours of the wrong video.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from peoplenet_nb.errors import InstallationError, PeopleNetError, SourceError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.network.model import PeopleNet, resolve_model
from peoplenet_nb.notebook.rich import Rich, Sentence, Stack, pairs
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.sources.frames import Frame, Source
from peoplenet_nb.speed.profile import SpeedProfile, frames_at_once

logger = logging.getLogger(__name__)

DEMO = "demo"
EXPECT_BOXES = "PEOPLENET_NB_EXPECT_BOXES"  # set for a video that is known to show people


@dataclass(repr=False)
class Workbench(Rich):
    """A model and a source, ready to be worked with.

    Attributes
    ----------
    model : PeopleNet
        The network, real or stand-in.
    source : Source
        Frames.
    spec : str
        What was opened: a path or an address.
    is_demo : bool
        Whether the frames are the demo clip's.
    instead : list of str
        What was done in place of what was asked for, one sentence each.
    choice : SpeedProfile or None
        What notebook 06 chose, where the model was loaded as it says.
    """

    model: PeopleNet
    source: Source
    spec: str
    is_demo: bool
    instead: list[str] = field(default_factory=list)
    choice: SpeedProfile | None = None

    @property
    def batch(self) -> int | None:
        """Frames per inference as chosen, None where nothing was."""
        return None if self.choice is None else self.choice.batch

    @property
    def expects_boxes(self) -> bool:
        """Whether finding nothing would be a fault: in the demo clip, or where ``PEOPLENET_NB_EXPECT_BOXES`` is set.

        A video of one's own may show an empty street, and a run that finds nobody there went well.
        """
        return self.is_demo or os.environ.get(EXPECT_BOXES, "") not in ("", "0")

    def frame(self, index: int | None = None) -> Frame:
        """Return one frame of the source.

        Parameters
        ----------
        index : int, optional
            0-based; past the end, or left out, it is the middle of the video.

        Raises
        ------
        SourceError
            When the source gives no frame.
        """
        count = self.source.info.frame_count
        if index is None or (count is not None and index >= count):
            index = (count or 1) // 2
        for frame in self.source.sampled(1, 1, index):
            return frame
        raise SourceError(
            "The source gave no frame",
            seen=f"{self.source.info.spec}, frame {index}",
            next_step="choose another.",
        )

    def to_html(self) -> str:
        """Return a table of model and source, and below it what was done instead."""
        info = self.source.info
        count = f"{self.source.expected} frames" if self.source.expected else "length unknown"
        rate = f", {info.fps:.3g} frames per second" if info.fps else ""
        kind = "the demo's small stand-in, not PeopleNet" if self.model.is_standin else "PeopleNet"
        if not self.model.is_standin and self.model.labels != ("person", "bag", "face"):
            kind = "DetectNet_v2"
        runs_on = f"{self.model.device} ({', '.join(self.model.providers)}), {self.model.precision}"
        if self.choice is not None:
            runs_on += f", {frames_at_once(self.choice.batch)}, as chosen by notebook 06"
        table = pairs(
            [
                ("model", f"{kind}: {self.model.file.path}"),
                ("runs on", f"{runs_on}; fit: {self.model.fit}"),
                ("source", f"{info.spec}: {count}, {info.width} x {info.height} pixels{rate}"),
                ("results go to", str(outputs_dir())),
            ]
        )
        said = [Sentence(text, "instead") for text in self.instead]
        return Stack(table, *said, *(Sentence(text) for text in info.notes)).to_html()

    def to_text(self) -> str:
        """Return model, source and what was done instead."""
        return "\n".join([f"{self.model!r} on {self.source!r}", *self.instead])


def workbench(
    source: str | Path = DEMO,
    model: str | Path | None = None,
    device: str = "auto",
    fit: str | FitMode = FitMode.STRETCH,
    *,
    as_chosen: bool = True,
) -> Workbench:
    """Load a model and open a source.

    Parameters
    ----------
    source : str or Path
        ``"demo"`` for the project's own clip, else what `peoplenet_nb.sources.open_source` takes.
    model : str or Path, optional
        A file, a version, ``"standin"``; left out, what was downloaded, else the stand-in.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``tensorrt`` or ``openvino``; one that is named runs in FP32.
    fit : str or FitMode
        ``stretch`` or ``letterbox``.
    as_chosen : bool
        Whether ``auto`` is what notebook 06 chose for this machine and model, where it did.

    Returns
    -------
    Workbench

    Raises
    ------
    PeopleNetError
        For a path that is not there, a file that is no video, a device that was asked for and is not there.
    """
    instead: list[str] = []
    choice, loaded = (
        _as_chosen(model, fit, instead) if as_chosen and str(device).lower() == "auto" else (None, None)
    )
    loaded = loaded or PeopleNet.load(model or None, device=device, fit=fit)
    opened, spec, is_demo = _open(str(source).strip(), instead)
    if loaded.is_standin and model is None:
        instead.append(
            "PeopleNet is not on this machine, so the demo's stand-in network takes its place. Notebook 02 fetches "
            "PeopleNet; then run this one again."
        )
    if loaded.is_standin and not is_demo:
        instead.append(
            "The stand-in knows the rendered demo clip only: what it finds in a video of your own means nothing."
        )
    return Workbench(loaded, opened, spec, is_demo, instead, choice)


def _as_chosen(
    model: str | Path | None, fit: str | FitMode, instead: list[str]
) -> tuple[SpeedProfile, PeopleNet] | tuple[None, None]:
    """Return the choice for this machine and model, and the model loaded so; nothing where there is none."""
    choice = SpeedProfile.load(read_model_file(resolve_model(model or None)))
    if choice is None:
        return None, None
    try:
        loaded = PeopleNet.load(model or None, choice.device, fit, precision=choice.precision)
    except PeopleNetError as error:
        instead.append(
            f"Notebook 06 chose {choice}, which does not load any more ({error.seen or error.what}), so what loads "
            "takes its place. Run notebook 06 again."
        )
        return None, None
    return choice, loaded


def _open(spec: str, instead: list[str]) -> tuple[Source, str, bool]:
    from peoplenet_nb.demo import demo_clip
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.urls import hide_secrets

    if spec.lower() != DEMO:
        try:
            return open_source(spec), spec, False
        except (SourceError, InstallationError) as error:
            if "://" not in spec:
                raise
            logger.info("%s: the demo clip takes its place", error)
            instead.append(f"{hide_secrets(spec)} gave no video, so the demo clip takes its place. {error}")
    clip = str(demo_clip())
    return open_source(clip), clip, True
