"""The network: frames in, raw grids out.

One decision to know: the network runs once per frame and leaves `Grids`; nothing here thresholds or draws.
Any DetectNet_v2 model works: sizes, classes and tensor names are read from the file, never assumed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import DeviceError, choose
from peoplenet_nb.fit import Fit, FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.describe import describe, model_html, save_arrays
from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.network.engines import Backend, Releases, check_device, open_backend
from peoplenet_nb.network.mnnfile import build_mnn, in_mnn, mnn_pays
from peoplenet_nb.network.resolve import resolve_model
from peoplenet_nb.network.tiles import join_all, parts_of
from peoplenet_nb.network.variants import variant_for
from peoplenet_nb.onnxfile import HeadHealth, ModelFile, head_health, read_model_file
from peoplenet_nb.preprocess import NetworkInput, Preprocessor, check_frame
from peoplenet_nb.settings import Settings, preset

if TYPE_CHECKING:
    import pandas as pd

logger: logging.Logger = logging.getLogger(__name__)

Frame = npt.NDArray[np.uint8]


STANDIN_WARNING = (
    "This is the small stand-in network of the demo clip, not NVIDIA's PeopleNet: what it finds in other videos "
    "means nothing. Fetch the real model with `peoplenet-nb download`."
)


class PeopleNet:
    """A loaded model. Make one with `PeopleNet.load`; it may be used from several threads.

    Attributes
    ----------
    file : ModelFile
        What the model file says: which model this is.
    runs : ModelFile
        The file that really runs: the same, or a variant of it (`peoplenet_nb.speed`).
    backend : Backend
        The engine that runs it; ``device``, ``providers`` and ``threads`` are what really loaded.
    fit : FitMode
        How frames are preprocessed; ``auto`` by the shape of each.
    tiles : int
        2 where the network looks at four parts of a frame too (`peoplenet_nb.network.tiles`), else 1.
    """

    def __init__(
        self,
        file: ModelFile,
        backend: Backend,
        fit: FitMode | str = FitMode.AUTO,
        *,
        runs: ModelFile | None = None,
        tiles: int = 1,
    ) -> None:
        self.file = file
        self.runs: ModelFile = runs or file
        self.backend = backend
        self.fit: FitMode = choose(FitMode, fit, "fit")
        self.tiles = tiles
        self._local = threading.local()

    @classmethod
    def load(
        cls,
        path_or_name: str | Path | None = None,
        device: Device | str = Device.AUTO,
        fit: FitMode | str = FitMode.AUTO,
        *,
        threads: int | None = None,
        precision: Precision | str = Precision.FP32,
    ) -> PeopleNet:
        """Load a model.

        Parameters
        ----------
        path_or_name : str or Path, optional
            An ``.onnx`` file or a folder that holds one, the name of an NGC version that was downloaded, or
            ``"standin"``. When left out: the model that was downloaded, else the stand-in.
        device : Device or str
            ``auto``, ``cpu``, ``mnn``, ``cuda``, ``tensorrt`` or ``openvino``. ``auto`` takes CUDA where it loads; else
            MNN where it was found faster on this machine, which is tried once on CPUs without VNNI and AMX
            (`peoplenet_nb.network.mnnfile`); else the CPU.
        fit : FitMode or str
            ``stretch`` (NVIDIA's pipelines), ``letterbox``, ``near`` (a letterbox of half the size, for people near
            the camera), or ``auto``: letterbox below an aspect of 1.45, and what settings say that were chosen for one.
        threads : int, optional
            Threads of one inference on a CPU; the cores this process may use when left out.
        precision : Precision or str
            What the device runs (`peoplenet_nb.network.devices.precisions_of`), or ``auto``: INT8 on a CPU that has
            the instructions for it, where `peoplenet-nb optimise` has built it, it agrees and was faster here, else
            FP32. The variant with a uint8 input is taken for FP32 where it was built: it computes the same.

        Raises
        ------
        ModelError
            When there is no such model, the file is not a DetectNet_v2 network, or a variant of it is needed
            that has not been built.
        DeviceError
            When the device was asked for and is not there, or does not compute in that precision.
        """
        file = read_model_file(resolve_model(path_or_name))
        if path_or_name is None and file.standin:
            logger.warning("There is no PeopleNet on this machine. %s", STANDIN_WARNING)
        device = choose(Device, device, "device")

        def on(device: Device) -> PeopleNet:
            check_device(device)
            runs = variant_for(file, precision, device)
            if device is Device.MNN:
                runs = in_mnn(file, build_mnn(file).path)
            return cls(file, open_backend(runs, device, threads, precision), fit, runs=runs)

        if device is not Device.AUTO:
            return on(device)
        # TensorRT is left out: its first engine takes minutes to build. OpenVINO too: it must be asked for.
        try:
            return on(Device.CUDA)
        except DeviceError as error:
            logger.info("auto passes over cuda: %s", error)
        fp32 = choose(Precision, precision, "precision") in (Precision.AUTO, Precision.FP32)
        if fp32 and mnn_pays(file) and not variant_for(file, precision).quantized:
            return on(Device.MNN)
        return on(Device.CPU)

    def with_threads(self, threads: int) -> PeopleNet:
        """Return the same model on the same device with another number of threads per inference."""
        if threads == self.backend.threads:
            return self
        if isinstance(self.backend, Releases):
            self.backend.release()
        backend = open_backend(self.runs, self.backend.device, threads, self.precision)
        return PeopleNet(self.file, backend, self.fit, runs=self.runs, tiles=self.tiles)

    def looking(self, fit: FitMode, tiles: int) -> PeopleNet:
        """Return the same model that preprocesses frames so, and looks at their parts too or not; nothing is loaded."""
        if (fit, tiles) == (self.fit, self.tiles):
            return self
        return PeopleNet(self.file, self.backend, fit, runs=self.runs, tiles=tiles)

    def for_settings(self, settings: Settings) -> PeopleNet:
        """Return the model that looks at frames as settings want it; ``auto`` leaves the fit to them."""
        fit = settings.fit if self.fit is FitMode.AUTO else self.fit
        return self.looking(fit, max(self.tiles, settings.tiles))

    @property
    def is_standin(self) -> bool:
        """Whether this is the demo's stand-in and not a real model."""
        return self.file.standin

    @cached_property
    def dead_heads(self) -> tuple[HeadHealth, ...]:
        """The class heads that find nothing, whatever the threshold."""
        return tuple(head for head in head_health(self.file.path) if not head.alive)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.file.labels

    @property
    def device(self) -> str:
        """The device that really loaded."""
        return str(self.backend.device)

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs the network, as the engine itself reports it."""
        return self.backend.providers

    @property
    def precision(self) -> Precision:
        """What the network computes in."""
        return self.backend.precision

    @property
    def _preprocessor(self) -> Preprocessor:
        if not hasattr(self._local, "preprocessor"):
            size, as_bytes = self.file.network_size, self.runs.channels_last
            self._local.preprocessor = Preprocessor(size, self.fit, as_bytes=as_bytes)
        kept: Preprocessor = self._local.preprocessor
        return kept

    def preprocess(self, frame: Frame, out: NetworkInput | None = None) -> tuple[NetworkInput, Fit]:
        """Return what the network takes and the fit of a BGR frame.

        ``(1, 3, H, W)`` float32 RGB / 255, or ``(1, H, W, 3)`` uint8 BGR where the variant with a uint8 input runs.
        """
        return self._preprocessor(frame, out)

    def network_input(self, frame: Frame) -> tuple[npt.NDArray[np.float32], Fit]:
        """Return what the model itself takes, to be looked at: ``(1, 3, H, W)`` float32 RGB / 255, and the fit."""
        return Preprocessor(self.file.network_size, self.fit)(frame)

    def infer(self, frame: Frame) -> Grids:
        """Run the network on one BGR uint8 frame ``(H, W, 3)``.

        Raises
        ------
        SourceError
            When the frame is not a BGR picture.
        GridsError
            When the network's output holds NaN or infinity.
        """
        return self.infer_batch([frame])[0]

    def detect(self, frame: Frame, settings: Settings | None = None) -> Detections:
        """Return the people, bags and faces in one frame, in its pixels.

        Parameters
        ----------
        frame : ndarray
            ``(H, W, 3)`` BGR uint8.
        settings : Settings, optional
            Thresholds and clustering; left out, the default preset of this model's fit.

        Raises
        ------
        SourceError
            When the frame is not a BGR picture.
        SettingsError
            When the settings are for another fit, or name a class that the model has not.
        """
        settings = settings or preset(fit=self.fit)
        return decode(self.for_settings(settings).infer(frame), settings).detections

    def infer_batch(self, frames: Sequence[Frame]) -> list[Grids]:
        """Run the network on several frames at once; they may differ in size."""
        if not frames:
            return []
        return self.joined(self.infer_input(*self.preprocess_all(frames)))

    def joined(self, grids: list[Grids]) -> list[Grids]:
        """Return one grids a frame: with ``tiles`` those of its parts are joined with the whole's."""
        return join_all(grids) if self.tiles > 1 else grids

    def preprocess_all(self, frames: Sequence[Frame]) -> tuple[NetworkInput, list[Fit]]:
        """Return what the network takes for several frames at once, and the fit of each; with ``tiles`` of parts."""
        preprocessor = self._preprocessor
        if self.tiles > 1:
            frames = [one for frame in frames for one in (frame, *parts_of(check_frame(frame)))]
        batch = np.empty((len(frames), *preprocessor.shape), preprocessor.dtype)
        return batch, [preprocessor(frame, batch[i : i + 1])[1] for i, frame in enumerate(frames)]

    def infer_input(self, batch: NetworkInput, fits: Sequence[Fit]) -> list[Grids]:
        """Run the network on what `preprocess` made of N frames, with the fit of each."""
        if len(batch) > 1 and self.runs.input.shape[0] == 1:  # exported for one frame at a time
            alone = [self.infer_input(batch[i : i + 1], [fit]) for i, fit in enumerate(fits)]
            return [grids for (grids,) in alone]
        coverage, boxes = self.backend.run(batch)
        return [
            Grids(coverage[i], None if boxes is None else boxes[i], fit, self.labels, self.file.stride)
            for i, fit in enumerate(fits)
        ]

    def save_intermediates(self, frame: Frame, folder: str | Path) -> dict[str, Path]:
        """Write what went into the network and what came out, for debugging.

        Returns
        -------
        dict of str to Path
            ``preprocessed_frame.npy`` ``(1, 3, H, W)`` float32, ``output_cov.npy`` ``(C, rows, cols)``,
            ``output_bbox.npy`` ``(4C, rows, cols)`` where there is one, and all of it as ``grids.npz``.
        """
        folder, grids, (batch, _) = Path(folder), self.infer(frame), self.network_input(frame)
        arrays = {"preprocessed_frame": batch, "output_cov": grids.coverage, "output_bbox": grids.boxes}
        return {"grids": grids.save(folder / "grids.npz")} | save_arrays(folder, arrays)

    def describe(self) -> pd.DataFrame:
        """Return what is inside the model as a table with the columns ``what`` and ``value``."""
        return describe(self)

    def _repr_html_(self) -> str:
        return model_html(self)

    def __repr__(self) -> str:
        kind = " (stand-in)" if self.is_standin else ""
        return f"PeopleNet({self.file.path.name}{kind}, {self.device}, {self.fit})"
