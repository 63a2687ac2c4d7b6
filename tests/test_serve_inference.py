"""The inference thread: order, batches, errors, the end."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from peoplenet_nb.fit import Fit
from peoplenet_nb.serve.inference import InferenceThread, Job
from services import WAIT, Gated, gated, until

FIT = Fit.of((960, 544), (960, 544), "stretch")


def job(model, value: float = 0.0, pictures: int = 1, most: int = 4, beside=None) -> Job:
    inputs = np.full((pictures, 3, 544, 960), value, np.float32)
    return Job(model, inputs, [FIT] * pictures, most, beside)


def test_every_call_gets_its_own_pictures_back_whatever_shared_its_batch() -> None:
    engine = Gated()
    model, thread = gated(engine), InferenceThread(wait=0.0)
    first = thread.put(job(model, 0.1))
    assert engine.entered.wait(WAIT)  # the others pile up behind it
    rest = [
        thread.put(job(model, value, pictures))
        for value, pictures in ((0.2, 1), (0.3, 2), (0.4, 1), (0.5, 1))
    ]
    engine.open.set()
    for answer, value, pictures in zip(
        [first, *rest], (0.1, 0.2, 0.3, 0.4, 0.5), (1, 1, 2, 1, 1), strict=True
    ):
        got = answer.result(WAIT)
        assert [float(grids.coverage[0, 0, 0]) for grids in got.grids] == pytest.approx([value] * pictures)
    assert engine.batches == [1, 4, 1]
    assert rest[0].result().batch == 4
    assert rest[3].result().batch == 1
    thread.close()


def test_a_picture_waits_for_others_only_as_long_as_it_is_told() -> None:
    engine = Gated(open_=True)
    model, thread = gated(engine), InferenceThread(wait=WAIT)
    both = [thread.put(job(model, most=2)), thread.put(job(model, most=2))]
    assert {answer.result(WAIT / 2).batch for answer in both} == {
        2
    }  # full: it does not wait for the rest of its time
    alone = thread.put(job(model, most=1))
    assert alone.result(WAIT / 2).batch == 1  # nothing to gain: it does not wait at all
    thread.close()
    impatient = InferenceThread(wait=0.001)
    assert impatient.put(job(model, most=8)).result(WAIT).batch == 1
    impatient.close()


def test_one_calls_values_do_not_cost_the_others_their_answers() -> None:
    engine = Gated()
    model, thread = gated(engine), InferenceThread(wait=0.0)
    thread.put(job(model))
    assert engine.entered.wait(WAIT)
    good, bad = thread.put(job(model, 0.2)), thread.put(job(model, 7.0))  # no coverage is above 1
    engine.open.set()
    assert float(good.result(WAIT).grids[0].coverage[0, 0, 0]) == pytest.approx(0.2)
    with pytest.raises(Exception, match="between 0 and 1"):
        bad.result(WAIT)
    thread.close()


def test_a_call_that_was_given_up_is_not_computed() -> None:
    engine = Gated()
    model, thread = gated(engine), InferenceThread(wait=0.0)
    thread.put(job(model))
    assert engine.entered.wait(WAIT)
    given_up = thread.put(job(model))
    assert given_up.cancel()
    engine.open.set()
    thread.put(job(model)).result(WAIT)
    assert engine.batches == [1, 1]
    thread.close()


def test_models_do_not_share_a_batch() -> None:
    old, new = Gated(), Gated(open_=True)
    thread = InferenceThread(wait=0.0)
    before, after = gated(old), gated(new)
    answers = [thread.put(job(before, 0.1))]
    assert old.entered.wait(WAIT)
    answers += [thread.put(job(model, 0.2)) for model in (before, after, after, before)]
    old.open.set()
    assert [answer.result(WAIT).batch for answer in answers] == [1, 1, 2, 2, 1]
    thread.close()


def test_on_a_cpu_pictures_go_side_by_side_once_there_is_one_for_each_core() -> None:
    all_cores, few = Gated(), Gated(open_=True)
    model, beside, thread = gated(all_cores), gated(few), InferenceThread(wait=WAIT)
    first = thread.put(
        job(model, 0.1, 1, 2, beside)
    )  # alone: it does not wait for another, and gets all cores
    assert all_cores.entered.wait(WAIT)
    more = ((0.2, 1), (7.0, 1), (0.3, 1), (0.4, 5))
    rest = [thread.put(job(model, value, pictures, 2, beside)) for value, pictures in more]
    all_cores.open.set()
    for answer, value, batch in ((first, 0.1, 1), (rest[0], 0.2, 2), (rest[2], 0.3, 1), (rest[3], 0.4, 5)):
        assert float(answer.result(WAIT).grids[0].coverage[0, 0, 0]) == pytest.approx(value)
        assert answer.result().batch == batch
    with pytest.raises(Exception, match="between 0 and 1"):  # its neighbour got an answer all the same
        rest[1].result(WAIT)
    assert (all_cores.batches, few.batches) == ([1, 1, 5], [1, 1])
    thread.close()


def test_closing_answers_what_is_queued() -> None:
    engine = Gated()
    model, thread = gated(engine), InferenceThread(wait=0.0)
    answers = [thread.put(job(model, most=2)) for _ in range(5)]
    closing = threading.Thread(target=thread.close)
    closing.start()
    engine.open.set()
    closing.join(WAIT)
    assert not closing.is_alive()
    assert all(answer.done() for answer in answers)


def test_nothing_of_a_call_is_kept_after_its_answer() -> None:
    import weakref

    engine = Gated(open_=True)
    model, thread = gated(engine), InferenceThread(wait=0.0)
    made = job(model)
    kept = weakref.ref(made)
    thread.put(made).result(WAIT)
    del made
    until(lambda: kept() is None)
    time.sleep(0)
    thread.close()
