"""MNN: the same grids as ONNX Runtime's, made in a process of its own, silent, and taken by ``auto`` where it pays."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from onnx_builder import COVERAGE, detectnet, write
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import DeviceError, ModelError, OutputError
from peoplenet_nb.hardware import cpu_name
from peoplenet_nb.network import mnnfile, model
from peoplenet_nb.network.agreement import compare, infer_all
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.engines import mnn, open_backend
from peoplenet_nb.network.mnnfile import build_mnn, in_mnn, mnn_path, mnn_pays
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.variants import TIMES, Agreement, Variant
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.paths import STANDIN
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source

pytest.importorskip("MNN")

CLOSE = Agreement(6, 1e-4, 1e-6, 0.01, 20, 1.0, 1.0)


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (60, 100, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture
def source(tmp_path: Path) -> ModelFile:
    return read_model_file(write(detectnet(), tmp_path / "model" / "m.onnx"))


CONVERT = """
import sys
from pathlib import Path
from peoplenet_nb.network.mnnfile import convert
from peoplenet_nb.onnxfile import read_model_file
convert(read_model_file(sys.argv[1]), Path(sys.argv[2]))
"""


def converted(source: ModelFile, folder: Path) -> ModelFile:
    """Convert in a process of its own, as it is done: the converter ends one that has loaded other native code."""
    made = folder / "made.mnn"
    done = subprocess.run(
        [sys.executable, "-P", "-c", CONVERT, str(source.path), str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return in_mnn(source, made)


ODD = {
    "as it is": {},
    "the last layer reshaped": {"style": "reshape"},
    "coverage only": {"outputs": (COVERAGE,)},
}


@pytest.mark.parametrize("options", ODD.values(), ids=ODD)
def test_grids_are_those_of_onnx_runtime(options: dict[str, object], tmp_path: Path) -> None:
    source = read_model_file(write(detectnet(**options), tmp_path / "m.onnx"))  # type: ignore[arg-type]
    runs = converted(source, tmp_path)
    found = infer_all(runs, pictures(3), open_backend(runs, Device.MNN))
    agreement = compare(infer_all(source, pictures(3)), found)
    assert agreement.coverage < 1e-4
    assert agreement.box_px < 0.01
    assert "MNN.tools" not in sys.modules, "it installs a package and reports over the network"
    assert (found[0].boxes is None) == (source.boxes is None)


@pytest.mark.real
def test_the_real_network_finds_the_same_boxes(real_model_path: Path, shared: Path, tmp_path: Path) -> None:
    source = read_model_file(real_model_path)
    runs = converted(source, tmp_path)
    for fit, every in (("stretch", 300), ("letterbox", 500)):
        ours = PeopleNet(source, open_backend(runs, Device.MNN), fit, runs=runs)
        theirs = PeopleNet(source, open_backend(source), fit)
        for frame in open_source(shared / "data" / "vtest.avi", every=every):
            found, wanted = ours.infer(frame.image), theirs.infer(frame.image)
            np.testing.assert_allclose(found.coverage, wanted.coverage, atol=2e-3)
            boxes, expected = (decode(grids, preset("default", fit)).detections for grids in (found, wanted))
            assert len(expected) > 0
            np.testing.assert_allclose(boxes.xyxy, expected.xyxy, atol=0.2)


def test_any_size_of_batch_comes_out_frame_by_frame(source: ModelFile, tmp_path: Path) -> None:
    loaded = PeopleNet(source, open_backend(runs := converted(source, tmp_path), Device.MNN), runs=runs)
    alone = [loaded.infer(picture) for picture in pictures(5)]
    for size in (3, 1, 2, 5):
        for found, wanted in zip(loaded.infer_batch(pictures(5)[:size]), alone, strict=False):
            np.testing.assert_allclose(found.coverage, wanted.coverage, atol=1e-5)
            np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-4)


def test_threads_do_not_mix_their_frames(source: ModelFile, tmp_path: Path) -> None:
    loaded = PeopleNet(source, open_backend(runs := converted(source, tmp_path), Device.MNN, 1), runs=runs)
    frames = pictures(40)
    wanted = [loaded.infer(frame).coverage for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(loaded.infer, frames), wanted, strict=True):
            np.testing.assert_array_equal(found.coverage, alone)


def test_a_load_makes_measures_and_keeps_it_and_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    loaded = PeopleNet.load(STANDIN, "mnn")
    assert (loaded.device, str(loaded.precision)) == ("mnn", "fp32")
    assert loaded.providers == (f"MNN {mnn.version()} CPU",)
    found = Variant.load(loaded.runs.path, loaded.file)
    assert found is not None
    assert found.agreement.proved
    assert found.agreement.coverage < 1e-3
    assert found.recipe["mnn"] == mnn.version()
    assert float(str(found.recipe[TIMES])) > 0
    assert list(loaded.runs.path.parent.glob(".building-*")) == []
    written = loaded.runs.path.stat().st_mtime_ns
    again = PeopleNet.load(STANDIN, "mnn", threads=1)
    assert (again.backend.threads, again.runs.path.stat().st_mtime_ns) == (1, written)
    assert "standin.mnn" in again.describe().to_string()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ends", ["os.abort()", "sys.exit('no such layer')"])
def test_a_converter_that_crashes_is_an_error_with_its_last_words(
    ends: str, source: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_tools.py").write_text(f"import os, sys\ndef mnnconvert(words):\n    {ends}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    with pytest.raises(ModelError, match="SIGABRT" if "abort" in ends else "exit code 1: .*no such layer"):
        build_mnn(source)
    assert list(mnn_path(source).parent.iterdir()) == []


def test_a_converter_that_was_stopped_is_tried_again(
    source: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_tools.py").write_text("import os\ndef mnnconvert(words):\n    os.kill(os.getpid(), 9)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setattr(mnnfile, "has_int8_instructions", lambda: False)
    with pytest.raises(DeviceError, match="SIGKILL"):
        build_mnn(source)
    assert not mnn_pays(source)
    assert list(mnn_path(source).parent.iterdir()) == [], "nothing says that it failed"


def test_what_does_not_agree_is_not_kept(source: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"agreement": vars(replace(CLOSE, coverage=0.01)), "recipe": {}}
    monkeypatch.setattr(mnnfile, "_in_own_process", lambda *_: answer)
    with pytest.raises(ModelError, match="does not agree.*1.0e-02"):
        build_mnn(source)
    assert list(mnn_path(source).parent.iterdir()) == []


class Builds:
    """Stands in for `build_mnn`: counts, and answers with a record or an error."""

    def __init__(self, times: float, error: Exception | None = None) -> None:
        self.times, self.error, self.count = times, error, 0

    def __call__(self, source: ModelFile, *, force: bool = False) -> Variant:
        self.count += 1
        if self.error is not None:
            raise self.error
        made = Variant(mnn_path(source), "mnn", source.sha256, {TIMES: self.times, "cpu": cpu_name()}, CLOSE)
        made.path.parent.mkdir(parents=True, exist_ok=True)
        (new := made.path.with_name("new.mnn")).write_bytes(b"x")
        return made.save(new)


@pytest.mark.parametrize(("times", "pays"), [(2.0, True), (1.05, True), (1.04, False), (0.6, False)])
def test_auto_takes_what_was_measured_to_be_faster(
    times: float, pays: bool, source: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnnfile, "build_mnn", builds := Builds(times))
    monkeypatch.setattr(mnnfile, "has_int8_instructions", lambda: False)
    assert mnn_pays(source) is pays
    assert mnn_pays(source) is pays
    assert builds.count == 1
    monkeypatch.setattr(mnnfile, "cpu_name", lambda: "another")
    mnn_pays(source)
    assert builds.count == 2, "on another machine it is measured anew"


def test_with_vnni_auto_takes_it_only_where_it_is_there(
    source: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnnfile, "build_mnn", builds := Builds(2.0))
    monkeypatch.setattr(mnnfile, "has_int8_instructions", lambda: True)
    assert not mnn_pays(source)
    assert builds.count == 0
    builds(source)
    assert mnn_pays(source)


def test_what_failed_is_not_tried_at_every_load(source: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = Builds(2.0, ModelError("MNN could not take the model"))
    monkeypatch.setattr(mnnfile, "build_mnn", builds)
    monkeypatch.setattr(mnnfile, "has_int8_instructions", lambda: False)
    with monkeypatch.context() as full:
        full.setattr(mnnfile, "write_text", full_disk)
        assert not mnn_pays(source), "a full disk changes nothing"
    assert [mnn_pays(source), mnn_pays(source), builds.count] == [False, False, 2]


def full_disk(*_: object) -> None:
    raise OutputError("The output cannot be written", seen="No space left on device", next_step="df -h")


def test_the_stand_in_is_fast_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnnfile, "build_mnn", builds := Builds(2.0))
    monkeypatch.setattr(mnnfile, "has_int8_instructions", lambda: False)
    assert not mnn_pays(read_model_file(STANDIN))
    assert builds.count == 0


@pytest.mark.parametrize(
    ("precision", "pays", "device"), [("fp32", True, "mnn"), ("auto", True, "mnn"), ("fp32", False, "cpu")]
)
def test_auto_runs_on_mnn_where_it_pays(
    precision: str,
    pays: bool,
    device: str,
    source: ModelFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = converted(source, tmp_path)
    made = Variant(runs.path, "mnn", source.sha256, {}, CLOSE)
    monkeypatch.setattr(model, "build_mnn", lambda _: made)
    monkeypatch.setattr(model, "mnn_pays", lambda _: pays)
    assert PeopleNet.load(source.path, precision=precision).device == device


def test_int8_does_not_run_on_mnn(source: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "mnn_pays", lambda _: True)
    with pytest.raises(ModelError, match="no INT8 variant of this model for the device 'cpu'"):
        PeopleNet.load(source.path, precision="int8")
    with pytest.raises(DeviceError, match="'mnn' does not compute in 'int8'"):
        PeopleNet.load(source.path, "mnn", precision="int8")


@pytest.mark.parametrize("there", [None, type(sys)("MNN")], ids=["missing", "another package of that name"])
def test_without_mnn_the_error_has_the_command(there: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MNN", there)
    with pytest.raises(DeviceError, match="'mnn' is not there") as caught:
        PeopleNet.load(STANDIN, "mnn")
    assert "pip install --force-reinstall MNN" in str(caught.value.next_step)


def test_without_mnn_auto_runs_on_the_cpu(source: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "MNN", None)
    monkeypatch.setattr(mnn.metadata, "version", none)
    monkeypatch.setattr(model, "mnn_pays", mnn_pays)
    assert PeopleNet.load(source.path).device == "cpu"


def test_a_file_that_is_none_is_refused(source: ModelFile, tmp_path: Path) -> None:
    (tmp_path / "no.mnn").write_bytes(b"no network" * 99)
    with pytest.raises(ModelError, match="MNN cannot load the model"):
        open_backend(in_mnn(source, tmp_path / "no.mnn"), Device.MNN)


def test_only_mnns_own_words_are_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    with mnn.quiet():
        os.write(1, b"MNN use high precision\nsomebody else's line\n")
    assert capfd.readouterr().out == "somebody else's line\n"


def test_other_threads_take_no_second_helping_of_memory(source: ModelFile, tmp_path: Path) -> None:
    first = PeopleNet(source, open_backend(runs := converted(source, tmp_path), Device.MNN, 2), runs=runs)
    frame = pictures(1)[0]
    wanted = first.infer(frame).coverage
    second = first.with_threads(1)
    assert first.backend._idle == []  # type: ignore[attr-defined]
    for loaded in (second, first):
        np.testing.assert_allclose(loaded.infer(frame).coverage, wanted, atol=1e-6)
