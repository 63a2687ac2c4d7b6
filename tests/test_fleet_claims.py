"""Claims on videos: one owner at any moment, whoever dies and whenever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peoplenet_nb import files
from peoplenet_nb.fleet import claims as module
from peoplenet_nb.fleet.claims import Claims, started_at

NAMES = ["a", "b.1", "c"]


def worker(folder, token, **options):
    one = Claims(folder, token, **options)
    one.beat()
    return one


def elsewhere(one, seconds=0.0):
    """Let a worker be one of another machine, and not heard of for some seconds."""
    one.state.machine = "another machine"
    one.beat()
    then = time.time() - seconds
    os.utime(one.worker_file(one.token), (then, then))


def gone(one):
    """Let a worker be one of this machine whose process has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    one.state.pid, one.state.started = ended.pid, started_at(ended.pid) or "1"
    ended.wait()
    one.beat()


def test_each_video_has_one_owner(tmp_path):
    first, second = worker(tmp_path, "w1"), worker(tmp_path, "w2")
    taken = [first.take(NAMES), second.take(NAMES), first.take(NAMES)]
    assert taken == [("a", 1), ("b.1", 1), ("c", 1)]
    assert second.take(NAMES) is None
    assert second.owner("a", 1) == "w1"


@pytest.mark.parametrize("links", [True, False], ids=["links", "a volume without links"])
def test_of_many_who_ask_at_once_one_gets_it(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(files.os, "link", refuse)
    names = [f"v{i}" for i in range(30)]
    workers = [worker(tmp_path, f"w{i}") for i in range(6)]
    taken: list[tuple[str, int]] = []

    def take_all(one):
        while (claim := one.take(names)) is not None:
            taken.append(claim)

    threads = [threading.Thread(target=take_all, args=(one,)) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted((name, 1) for name in names)


def test_a_link_that_was_made_but_answered_twice_counts(tmp_path, monkeypatch):
    real = files.os.link

    def twice(source, target):
        real(source, target)
        real(source, target)

    monkeypatch.setattr(files.os, "link", twice)
    assert files.write_new(tmp_path / "x", b"mine")
    assert not files.write_new(tmp_path / "x", b"another's")
    assert (tmp_path / "x").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_claim_of_a_process_that_ended_is_taken_over_at_once(tmp_path):
    dead, other, third = (worker(tmp_path, name) for name in ("w1", "w2", "w3"))
    assert dead.take(NAMES[:1]) == ("a", 1)
    assert other.take(NAMES[:1]) is None
    gone(dead)
    assert other.take(NAMES[:1]) == ("a", 2)
    assert third.take(NAMES[:1]) is None
    assert dead.lost("a", 1)
    assert not other.lost("a", 2)


def test_a_number_that_another_process_has_now_is_not_the_owner(tmp_path):
    dead, other = worker(tmp_path, "w1"), worker(tmp_path, "w2")
    dead.take(NAMES[:1])
    dead.state.started = "1"  # this very process has its number, and started later
    dead.beat()
    assert other.take(NAMES[:1]) == ("a", 2)


@pytest.mark.parametrize(("silent", "expected"), [(0.0, None), (40.0, None), (90.0, ("a", 2))])
def test_another_machine_counts_as_dead_when_it_was_not_heard_of(tmp_path, silent, expected):
    far, here = worker(tmp_path, "w1"), worker(tmp_path, "w2", stale_s=60)
    far.take(NAMES[:1])
    elsewhere(far, silent)
    assert here.take(NAMES[:1]) == expected


def test_ages_are_by_the_clock_of_the_volume(tmp_path, monkeypatch):
    far, here = worker(tmp_path, "w1"), worker(tmp_path, "w2", stale_s=60)
    far.take(NAMES[:1])
    elsewhere(far)
    monkeypatch.setattr(time, "time", lambda: 4e9)  # the machine's own is wrong by decades
    assert here.take(NAMES[:1]) is None


def test_what_failed_is_tried_again_last_and_then_put_aside(tmp_path):
    one = worker(tmp_path, "w1", tries=2)
    assert one.take(NAMES) == ("a", 1)
    one.fail("a", 1, "no reason")
    assert one.take(NAMES) == ("b.1", 1)
    assert one.take(NAMES) == ("c", 1)
    assert one.take(NAMES) == ("a", 2)
    one.fail("a", 2, "the <second> reason")
    assert one.take(NAMES) is None
    record = one.record("a")
    assert (record["state"], record["tries"], record["reason"]) == ("aside", 2, "the <second> reason")


def test_what_was_left_and_what_a_dead_worker_had_counts_as_no_failure(tmp_path):
    other = worker(tmp_path, "w0", tries=1)
    for number in range(1, 8):
        one = worker(tmp_path, f"w{number}")
        assert one.take(NAMES[:1]) == ("a", number)
        if number % 2:
            one.leave("a", number)
        else:
            gone(one)
    assert other.take(NAMES[:1]) == ("a", 8)


def test_what_was_put_aside_can_be_begun_again(tmp_path):
    one = worker(tmp_path, "w1", tries=1)
    one.take(NAMES[:1])
    one.fail("a", 1, "no reason")
    assert one.take(NAMES[:1]) is None
    one.begin_again("a")
    assert one.record("a") == {}
    assert one.take(NAMES[:1]) == ("a", 2)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff"])
def test_a_claim_that_was_not_written_whole_is_held_until_it_is_old(tmp_path, text):
    one = worker(tmp_path, "w1", stale_s=60)
    path = one.folder / "claims" / "a.1"
    path.write_text(text, encoding="latin-1")
    assert one.take(NAMES[:1]) is None
    then = time.time() - 100
    os.utime(path, (then, then))
    assert one.take(NAMES[:1]) == ("a", 2)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["take", "fail", "done", "die"])), max_size=25))
def test_no_two_living_workers_have_the_same_video(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("claims")
    alive = {i: worker(folder, f"{i}-0", tries=3) for i in range(4)}
    has: dict[int, tuple[str, int]] = {}
    generation = 0
    for who, what in steps:
        if what == "take" and who not in has:
            claim = alive[who].take(NAMES)
            if claim is not None:
                assert claim[0] not in {name for name, _ in has.values()}
                has[who] = claim
        elif what == "fail" and who in has:
            alive[who].fail(*has.pop(who), "x")
        elif what == "done" and who in has:
            alive[who].finish(has.pop(who)[0], {"state": "complete"})
        elif what == "die":
            has.pop(who, None)
            alive[who].state.started = "1"
            alive[who].beat()
            generation += 1
            alive[who] = worker(folder, f"{who}-{generation}", tries=3)


def test_a_process_that_ended_and_was_not_waited_for_is_none(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 20
    while started_at(child.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert started_at(child.pid) == ""
    child.wait()
    assert started_at(os.getpid()).isdecimal()


def test_records_say_whose_they_are(tmp_path):
    one = worker(tmp_path, "w1")
    one.state.start, one.state.name = "c1", "a"
    one.beat()
    assert one.workers("c1")["w1"]["name"] == "a"
    assert one.workers("c2") == {}
    assert json.loads(one.worker_file("w1").read_text())["machine"] == module.this_machine()
    one.close()
    assert one.workers() == {}
