"""The probe of batch sizes: it chooses by what it measured, and ends where the memory does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from peoplenet_nb.network.batching import best_batch, probe_batch
from videos import FakeModel, number_of, picture


class Engine(FakeModel):
    """Takes a known time for each size of batch, on a clock of its own: no load of the machine changes that."""

    now = 0.0

    def __init__(self, seconds: Callable[[int], float], device: str = "cuda") -> None:
        super().__init__(device=device)
        self.seconds = seconds

    def infer_input(self, batch, fits):
        self.batches.append(len(batch))
        Engine.now += self.seconds(len(batch))
        return []


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peoplenet_nb.network.batching.perf_counter", lambda: Engine.now)


@pytest.mark.parametrize(
    ("seconds", "best", "why"),
    [
        (lambda n: 0.010, 8, "a batch costs what a frame costs: the largest wins"),
        (lambda n: 0.010 * n, 1, "a batch costs as much as its frames: the smallest of equals wins"),
        (lambda n: 0.010 * max(n, 4) / 4, 4, "full at four: no more memory than that"),
    ],
)
def test_the_smallest_of_the_fastest_is_chosen(seconds: Callable[[int], float], best: int, why: str) -> None:
    probe = probe_batch(Engine(seconds), [picture(1)], sizes=(1, 2, 4, 8), seconds=0.05)
    assert probe.best == best, (why, probe.fps)
    assert list(probe.fps) == [1, 2, 4, 8]


def test_a_size_that_does_not_fit_ends_the_probe_and_is_said() -> None:
    def seconds(size: int) -> float:
        if size > 2:
            raise MemoryError("CUDA out of memory")
        return 0.002

    probe = probe_batch(Engine(seconds), [picture(1)], seconds=0.05)
    assert probe.best == 2
    assert probe.failed == {4: "CUDA out of memory"}


def test_an_engine_that_runs_nothing_is_an_error() -> None:
    def seconds(size: int) -> float:
        raise RuntimeError("no kernel image")

    with pytest.raises(RuntimeError, match="no kernel image"):
        probe_batch(Engine(seconds), [picture(1)])


def test_a_cpu_is_not_probed() -> None:
    model = Engine(lambda n: 1 / 0, device="openvino")
    assert best_batch(model, (160, 96)) == 1
    assert model.batches == []


def test_frames_are_repeated_in_turn_to_fill_a_batch() -> None:
    prepared: list[int] = []

    class Watched(Engine):
        def preprocess(self, frame):
            prepared.append(number_of(frame))
            return super().preprocess(frame)

    probe_batch(Watched(lambda n: 0.001), [picture(1), picture(2)], sizes=(3,), seconds=0.01)
    assert prepared == [1, 2, 1]


def test_a_run_does_not_take_batches_that_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Engine(lambda n: 0.0001)  # the larger the better
    assert best_batch(model, (160, 96)) == 32
    model.tiles = 2  # five pictures a frame
    assert best_batch(model, (160, 96)) == 6
    model.tiles = 1
    model.batches.clear()
    assert best_batch(model, (3840, 2160)) == 1
    assert set(model.batches) == {1}
