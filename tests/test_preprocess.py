"""The way to the network and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.fit import Fit, FitMode
from peoplenet_nb.preprocess import Preprocessor

SIZE = (960, 544)


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(960, 544), (1280, 720), (768, 576), (37, 501), (1, 1)])
def test_stretch_equals_the_plain_recipe_to_the_bit(size: tuple[int, int]) -> None:
    frame = picture(*size)
    rgb = cv2.cvtColor(cv2.resize(frame, SIZE), cv2.COLOR_BGR2RGB)
    expected = (rgb.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    made, fit = Preprocessor(SIZE, "stretch")(frame)
    assert np.array_equal(made, expected)
    assert made.dtype == np.float32
    assert fit.content_size == SIZE


@pytest.mark.parametrize(
    ("size", "content"),
    [((1280, 720), (960, 540)), ((512, 600), (464, 544)), ((960, 544), (960, 544)), ((4000, 10), (960, 2))],
)
def test_letterbox_keeps_aspect_top_left_on_black(size: tuple[int, int], content: tuple[int, int]) -> None:
    preprocess = Preprocessor(SIZE, "letterbox")
    preprocess(np.full((544, 960, 3), 255, np.uint8))  # what an earlier frame left must not shine through
    made, fit = preprocess(np.full((size[1], size[0], 3), 255, np.uint8))
    assert fit.content_size == content
    assert (made[..., : content[1], : content[0]] == 1).all()
    assert made[..., content[1] :, :].sum() + made[..., content[0] :].sum() == 0


@pytest.mark.parametrize(
    ("size", "content"),
    [((1280, 720), (480, 270)), ((512, 600), (232, 272)), ((4000, 10), (480, 1)), ((1, 1), (272, 272))],
)
def test_near_is_a_letterbox_of_half_the_size(size: tuple[int, int], content: tuple[int, int]) -> None:
    made, fit = Preprocessor(SIZE, "near")(np.full((size[1], size[0], 3), 255, np.uint8))
    assert (fit.mode, fit.content_size) == ("near", content)
    assert (made[..., : content[1], : content[0]] == 1).all()
    assert made[..., content[1] :, :].sum() + made[..., content[0] :].sum() == 0


sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@given(
    size=sizes,
    mode=st.sampled_from(["stretch", "letterbox", "near", "auto"]),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
def test_there_and_back_again(size: tuple[int, int], mode: str, x: float, y: float) -> None:
    fit = Fit.of(size, SIZE, mode)
    point = (x * size[0], y * size[1])
    network = fit.to_network(point)
    assert (network <= np.array(fit.content_size) + 1e-9).all()
    np.testing.assert_allclose(fit.to_frame(network), point, atol=1e-6)
    assert 0 < fit.content_size[0] <= SIZE[0]
    assert 0 < fit.content_size[1] <= SIZE[1]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([[1]], "must be a numpy array.*list"),
        (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
    ],
    ids=["list", "grey", "alpha", "float", "empty"],
)
def test_what_is_no_picture_is_refused(frame: object, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        Preprocessor(SIZE)(frame)  # type: ignore[arg-type]


def test_unknown_fit_is_refused() -> None:
    with pytest.raises(SettingsError, match="Unknown fit"):
        Preprocessor(SIZE, "crop")


def test_writes_into_a_given_batch() -> None:
    batch = np.full((2, 3, 544, 960), -1, np.float32)
    made, _ = Preprocessor(SIZE)(picture(64, 48), batch[1:2])
    assert np.shares_memory(made, batch)
    assert (batch[0] == -1).all()
    assert batch[1].min() >= 0


def test_writes_into_a_batch_that_does_not_lie_in_order() -> None:
    frame = picture(64, 48)
    expected, _ = Preprocessor(SIZE)(frame)
    batch = np.full((1, 544, 960, 3), -1, np.float32).transpose(0, 3, 1, 2)
    made, _ = Preprocessor(SIZE)(frame, batch)
    assert made is batch
    assert np.array_equal(batch, expected)


@pytest.mark.parametrize("mode", ["stretch", "letterbox"])
def test_odd_sizes_are_no_exception(mode: str) -> None:
    made, fit = Preprocessor((37, 21), mode)(picture(64, 48))
    width, height = fit.content_size
    resized = cv2.cvtColor(cv2.resize(picture(64, 48), (width, height)), cv2.COLOR_BGR2RGB)
    expected = np.zeros((21, 37, 3), np.float32)
    expected[:height, :width] = resized.astype(np.float32) / np.float32(255)
    assert np.array_equal(made[0], expected.transpose(2, 0, 1))


def test_points_of_any_even_length_are_mapped() -> None:
    fit = Fit.of((1920, 1088), SIZE, "stretch")
    assert fit.to_frame([[1, 2]]).tolist() == [[2, 4]]
    assert fit.to_frame([1, 2, 3, 4, 5, 6]).tolist() == [2, 4, 6, 8, 10, 12]
    assert fit.to_network(np.full((2, 3, 4), 8.0)).tolist() == [[[4.0] * 4] * 3] * 2


@pytest.mark.parametrize("mode", ["stretch", "letterbox"])
@pytest.mark.parametrize("given", [False, True], ids=["makes room", "into a given array"])
def test_as_bytes_is_the_resized_frame_itself(mode: str, given: bool) -> None:
    frame = picture(512, 600)
    preprocess = Preprocessor(SIZE, mode, as_bytes=True)
    assert (preprocess.shape, preprocess.dtype) == ((544, 960, 3), np.uint8)
    room = np.full((2, 544, 960, 3), 7, np.uint8)
    made, fit = preprocess(frame, room[1:] if given else None)
    width, height = fit.content_size
    expected = np.zeros((544, 960, 3), np.uint8)
    expected[:height, :width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(made[0], expected)
    assert np.shares_memory(made, room) == given
    assert (room[0] == 7).all()


def test_writes_into_any_array_it_is_given() -> None:
    frame = picture(700, 500)
    expected, _ = Preprocessor(SIZE)(frame)
    contiguous = np.zeros((1, 3, 544, 960), np.float32)
    made, _ = Preprocessor(SIZE)(frame, contiguous)
    assert made is contiguous
    strided = np.zeros((1, 3, 544, 2 * 960), np.float32)[..., ::2]
    assert Preprocessor(SIZE)(frame, strided)[0] is strided
    assert np.array_equal(contiguous, expected)
    assert np.array_equal(strided, expected)


def test_whole_numbers_map_like_any_other() -> None:
    fit = Fit.of((1280, 720), SIZE, "letterbox")
    assert fit.to_network([1280, 720]).tolist() == [960, 540]
    assert fit.to_network(np.array([[2, 3, 4, 5]], np.uint8)).dtype == np.float64
    assert fit.to_frame(np.array([[250, 250]], np.uint8)).tolist() == [[250 * 4 / 3, 250 * 4 / 3]]


@pytest.mark.parametrize(
    ("size", "mode"),
    [
        ((1280, 720), "stretch"),
        ((720, 480), "stretch"),
        ((145, 100), "stretch"),
        ((144, 100), "letterbox"),
        ((640, 480), "letterbox"),
        ((480, 640), "letterbox"),
    ],
)
def test_auto_letterboxes_what_is_narrow(size: tuple[int, int], mode: str) -> None:
    made, fit = Preprocessor(SIZE)(picture(*size))
    expected, same = Preprocessor(SIZE, mode)(picture(*size))
    assert fit == same
    assert fit.mode == mode
    assert np.array_equal(made, expected)


def test_a_fit_is_one_or_the_other() -> None:
    with pytest.raises(SettingsError, match="in one way or the other"):
        Fit(FitMode.AUTO, (10, 10), SIZE, SIZE)
