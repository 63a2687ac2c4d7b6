"""What made the demo: a deterministic street whose ground truth is what the picture shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peoplenet_nb.demo import STANDIN, Truth, demo_clip, demo_truth
from peoplenet_nb.demo.truth import load_truth
from peoplenet_nb.sources import open_source
from tools.standin.camera import Camera, Street
from tools.standin.figure import paint_figure
from tools.standin.looks import Look, random_look
from tools.standin.measure import HELD_OUT_SEEDS, held_out_frames, precision_on
from tools.standin.patch import BAG, FACE, Sprite, figure_id
from tools.standin.render import demo_scene, differs, write_clip
from tools.standin.scene import Scene
from tools.standin.skeleton import pose_figure
from tools.standin.truth import MIN_SIZE, MIN_VISIBILITY, write_truth
from tools.standin.walkers import place_walkers

SIZE = (640, 360)
TOWARDS_CAMERA = -np.pi / 2
TEXTURE = np.full((1024, 1024), 128, np.uint8)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(21, SIZE, light="overcast", people=12)


def a_look(**changes: object) -> Look:
    plain = {
        "bag": "none",
        "style": "short",
        "beard": False,
        "glasses": False,
        "phone": False,
        "height": 1.75,
    }
    return dataclasses.replace(random_look(np.random.default_rng(4)), **(plain | changes))  # type: ignore[arg-type]


def paint(
    look: Look, heading: float, gaze: float | None = None, phase: float = 0.6, walking: float = 1.0
) -> Sprite:
    camera = Camera(1280, 720, 1050.0, 2.0, 240.0)
    gaze = heading if gaze is None else gaze
    pose = pose_figure(camera, look, 0.3, 5.0, heading, gaze, phase, walking)
    return paint_figure(look, pose, 0.5, 25.0, TEXTURE, (200.0, 200.0, 200.0))


def same(a: Truth, b: Truth) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Truth))


# --- determinism ---------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_pixels_and_truth_whatever_was_rendered_before(scene: Scene) -> None:
    fresh_frame, fresh_truth = Scene(21, SIZE, light="overcast", people=12).render(40)
    scene.render(3)
    frame, truth = scene.render(40)
    assert np.array_equal(frame, fresh_frame)
    assert same(truth, fresh_truth)


def test_another_seed_and_another_moment_give_another_picture(scene: Scene) -> None:
    frame, _ = scene.render(40)
    assert np.mean(frame != scene.render(41)[0]) > 0.05
    assert np.mean(frame != Scene(22, SIZE).render(40)[0]) > 0.5


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ((641, 361), "odd sizes"),
        ((320, 400), "upright"),
        ((1000, 300), "a narrow strip"),
    ],
)
def test_any_frame_size_renders_with_boxes_inside_it(size: tuple[int, int], why: str) -> None:
    frame, truth = Scene(7, size, people=14).render(10)
    assert frame.shape == (size[1], size[0], 3), why
    assert len(truth) > 0
    assert (truth.xyxy >= 0).all()
    assert (truth.xyxy <= (*size, *size)).all()


# --- ground truth --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 35, 90])
def test_boxes_are_the_tight_bounds_of_what_the_id_buffer_shows(scene: Scene, index: int) -> None:
    _, truth, ids = scene.render_ids(index)
    assert len(truth) > 5
    for box, class_id, track in zip(truth.xyxy, truth.class_id, truth.track_id, strict=True):
        figure = (int(track) - 1) // 3
        parts = {0: (1, 3), 1: (2,), 2: (3,)}[int(class_id)]
        ys, xs = np.nonzero(np.isin(ids, [figure_id(figure, part) for part in parts]))
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_leaving_a_walker_out_changes_the_picture_where_its_ids_were(scene: Scene) -> None:
    frame, truth, ids = scene.render_ids(35)
    person = int(
        np.argmax(np.where(truth.class_id == 0, np.prod(truth.xyxy[:, 2:] - truth.xyxy[:, :2], axis=1), 0))
    )
    figure = (int(truth.track_id[person]) - 1) // 3
    without, _, ids_without = scene.render_ids(35, hidden=frozenset({figure}))
    own = (ids == figure_id(figure, 1)) | (ids == figure_id(figure, 2)) | (ids == figure_id(figure, 3))
    assert np.array_equal(own, ids != ids_without)
    changed = (frame != without).any(axis=2)
    assert changed[own].mean() > 0.95
    # Beyond the figure only its soft rim and the dark spot at its feet may differ.
    x1, y1, x2, y2 = truth.xyxy[person].astype(int)
    bag = own.nonzero()
    x1, x2 = min(x1, bag[1].min()), max(x2, bag[1].max() + 1)
    beyond = changed.copy()
    beyond[max(y1 - 4, 0) : y2 + 25, max(x1 - 25, 0) : x2 + 25] = False
    assert not beyond.any()


def test_the_nearer_figure_hides_the_farther_one(scene: Scene) -> None:
    index, overlaps = 35, 0
    everyone = frozenset(range(len(scene.paths)))
    depth = [path.at(index / 25).z for path in scene.paths]
    alone = {k: scene.render_ids(index, hidden=everyone - {k})[2] > 3 for k in everyone}
    _, _, ids = scene.render_ids(index)
    owner = ids.astype(int) // 4 - 1
    for near in everyone:
        for far in everyone:
            if depth[near] < depth[far]:
                both = alone[near] & alone[far]
                overlaps += int(both.sum())
                assert not (owner[both] == far).any()
    assert overlaps > 100, "the chosen frame must have figures in front of each other"


def test_visibility_grows_when_what_hides_a_person_is_left_out(scene: Scene) -> None:
    everyone = frozenset(range(len(scene.paths)))
    grew = 0
    for index in (0, 35, 90):
        _, truth, _ = scene.render_ids(index)
        people = {
            int(t): float(v)
            for t, v, c in zip(truth.track_id, truth.visibility, truth.class_id, strict=True)
            if c == 0
        }
        for track, visible in people.items():
            _, free, _ = scene.render_ids(index, hidden=everyone - {(track - 1) // 3})
            alone = float(free.visibility[free.track_id == track][0])
            assert alone >= visible - 1e-6
            grew += alone > visible + 0.1
    assert grew > 0, "somebody in these frames must be partly hidden by somebody else"


def test_what_is_hardly_visible_or_tiny_is_left_out(scene: Scene) -> None:
    factor = SIZE[0] / 1280
    for index in range(0, 150, 25):
        truth = scene.render(index)[1]
        size = truth.xyxy[:, 2:] - truth.xyxy[:, :2]
        assert (size >= np.array(MIN_SIZE)[truth.class_id] * factor).all()
        assert (truth.visibility >= np.array(MIN_VISIBILITY, np.float32)[truth.class_id]).all()
        assert (truth.visibility <= 1).all()


def test_an_evening_is_darker_than_a_sunny_day() -> None:
    sun, evening = (Scene(0, (320, 180), light=name).render(0)[0].mean() for name in ("sun", "evening"))
    assert evening < 0.85 * sun


def test_truth_survives_its_file(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "truth.csv"
    truths = [scene.render(k)[1] for k in range(2)]
    write_truth(path, truths)
    back = load_truth(path, 3)
    assert len(back) == 3
    assert len(back[2]) == 0
    for before, after in zip(truths, back, strict=False):
        assert np.array_equal(before.xyxy, after.xyxy)
        assert np.array_equal(before.class_id, after.class_id)
        assert np.array_equal(before.track_id, after.track_id)
        assert np.allclose(before.visibility, after.visibility, atol=6e-4)


# --- figures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "shows", "why"),
    [
        (0.0, True, "looks into the camera"),
        (0.8, True, "three-quarter view"),
        (-1.57, True, "profile, left"),
        (1.57, True, "profile, right"),
        (2.6, False, "three-quarter view from behind"),
        (np.pi, False, "seen from behind"),
    ],
)
def test_a_face_shows_only_where_it_can_be_seen(turn: float, shows: bool, why: str) -> None:
    sprite = paint(a_look(), TOWARDS_CAMERA, TOWARDS_CAMERA + turn, walking=0.0)
    assert bool(np.count_nonzero(sprite.parts == FACE) > 100) is shows, why


def test_a_backpack_shows_from_behind_and_hides_behind_its_wearer() -> None:
    look = a_look(bag="backpack")
    share = []
    for heading in (TOWARDS_CAMERA, -TOWARDS_CAMERA):
        sprite = paint(look, heading)
        share.append(np.count_nonzero(sprite.parts == BAG) / sprite.whole[BAG - 1])
    assert share[0] < 0.35
    assert share[1] > 0.7


@pytest.mark.parametrize("bag", ["backpack", "handbag", "tote", "paper", "briefcase", "suitcase"])
def test_every_kind_of_bag_shows_from_the_side(bag: str) -> None:
    look = a_look(bag=bag, bag_side=1)
    sprite = max((paint(look, h) for h in (0.0, np.pi)), key=lambda s: int(np.count_nonzero(s.parts == BAG)))
    assert np.count_nonzero(sprite.parts == BAG) > 0.6 * sprite.whole[BAG - 1] > 100


@pytest.mark.parametrize("phase", np.linspace(0, 2 * np.pi, 7)[:-1].tolist())
@pytest.mark.parametrize("heading", [0.0, TOWARDS_CAMERA, 2.0])
def test_the_lower_foot_stays_on_the_ground(phase: float, heading: float) -> None:
    look = a_look()
    camera = Camera(1280, 720, 1050.0, 2.0, 240.0)
    pose = pose_figure(camera, look, 0.3, 5.0, heading, heading, phase, 1.0)
    lowest = min(2.0 - (pose.joints[k].imag - 240.0) / (1050.0 / pose.depths[k]) for k in range(6, 10))
    assert lowest == pytest.approx(0.035, abs=0.01)


@settings(deadline=None, max_examples=25)
@given(
    heading=st.floats(-4, 4),
    phase=st.floats(0, 7),
    walking=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 99),
)
def test_a_figure_never_outgrows_its_patch(heading: float, phase: float, walking: float, seed: int) -> None:
    sprite = paint(random_look(np.random.default_rng(seed)), heading, phase=phase, walking=walking)
    edge = np.concatenate([sprite.parts[0], sprite.parts[-1], sprite.parts[:, 0], sprite.parts[:, -1]])
    assert not edge.any(), "something is cut off at the patch's border"
    assert (sprite.bgr <= sprite.alpha[:, :, None]).all(), "colour is premultiplied"


# --- geometry ------------------------------------------------------------------------------------------------


@given(x=st.floats(-9, 9), y=st.floats(0, 4), z=st.floats(3, 30))
def test_projecting_one_point_or_many_agrees(x: float, y: float, z: float) -> None:
    camera = Camera(1280, 720, 1000.0, 2.1, 250.0)
    assert abs(camera.project(np.array([[x, y, z]]))[0] - camera.point(x, y, z)) < 1e-9


def test_a_point_at_eye_height_lies_on_the_horizon_at_any_depth() -> None:
    camera = Camera(1280, 720, 1000.0, 2.1, 250.0)
    assert {camera.point(1.0, 2.1, z).imag for z in (3.0, 8.0, 20.0)} == {250.0}


@given(yaw=st.floats(-0.4, 0.4), a=st.floats(-9, 9), b=st.floats(-9, 9))
def test_turning_the_street_keeps_distances(yaw: float, a: float, b: float) -> None:
    street = Street(yaw)
    p, q = street.world(a, 5.0), street.world(b, 12.0)
    assert np.hypot(p[0] - q[0], p[1] - q[1]) == pytest.approx(np.hypot(a - b, 7.0))


def test_walkers_enter_and_leave_outside_the_picture() -> None:
    camera = Camera(1280, 720, 1000.0, 2.1, 250.0)
    paths = place_walkers(np.random.default_rng(2), camera, Street(0.2), 14, 9.0)
    walking = [path for path in paths if path.speed > 0]
    assert len(walking) > 6
    for path in walking:
        for x, z in (path.points[0], path.points[2]):
            assert abs(x) > camera.half_width(z) + 1.0


# --- what is shipped -----------------------------------------------------------------------------------------


def test_the_renderer_still_gives_the_shipped_clip_and_its_truth() -> None:
    scene = demo_scene()
    truths = demo_truth()
    for index in (0, 150, 299):
        image, truth = scene.render(index)
        (shipped,) = open_source(demo_clip(), start=index, frames=1)
        assert shipped.index == index
        assert not differs(truth, truths[index])
        assert np.abs(shipped.image.astype(int) - image).mean() < 6.0
    assert differs(truth, truths[290])


def test_a_short_clip_has_the_same_first_frames_and_their_truth(tmp_path: Path) -> None:
    video = tmp_path / "short.mp4"
    write_clip(video, 3)
    assert [frame.image.shape for frame in open_source(video)] == [(720, 1280, 3)] * 3
    truths = load_truth(video.with_suffix(".csv"), 3)
    assert not any(differs(*pair) for pair in zip(truths, demo_truth(), strict=False))


def test_the_stand_in_finds_people_in_a_scene_held_out_from_training() -> None:
    measured = precision_on(STANDIN, held_out_frames(HELD_OUT_SEEDS[:1], frames=3))
    assert measured["person"] > 0.7, measured
