"""Answers that are kept: as long as what they are made of, once for all who ask at a time, within bounds."""

from __future__ import annotations

import gc
import gzip
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tb_gradclip.core.charts.room import Owner, Room
from tb_gradclip.plugin import kept
from tb_gradclip.plugin.kept import BINARY, Body, KeptAnswers, body


class Table:
    """What an answer is made of."""


def test_an_answer_is_made_once_for_as_long_as_what_it_is_made_of_is_the_same() -> None:
    answers, made, table = KeptAnswers(), [], Table()

    def make() -> Body:
        made.append(1)
        return body(b"%d" % len(made), BINARY)

    assert [answers.answer("q", [table], make).plain for _ in range(3)] == [b"1"] * 3
    assert answers.answer("other", [table], make).plain == b"2"
    assert answers.answer("q", [Table()], make).plain == b"3"
    assert answers.answer("q", [table, table], make).plain == b"4"
    assert [answers.answer("q", [table], make, values=("a", 1)).plain for _ in range(2)] == [b"5"] * 2
    assert answers.answer("q", [table], make, values=("a", 2)).plain == b"6"
    assert len(answers._entries) == 2  # there is one answer to a question


def test_who_asks_at_the_same_time_gets_the_same_answer_and_others_are_worked_on_beside_it() -> None:
    answers, table, going = KeptAnswers(), Table(), []
    most = [0]

    def make() -> Body:
        going.append(1)
        most[0] = max(most[0], len(going))
        time.sleep(0.02)
        going.pop()
        return body(b"x" * 10, BINARY)

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda i: answers.answer(i % 4, [table], make), range(64)))
    assert len({id(each) for each in found}) == 4
    assert 1 <= most[0] <= kept.AT_ONCE


def test_what_answers_are_made_of_is_not_kept_alive_and_old_answers_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 1000)
    answers, tables = KeptAnswers(), [Table() for _ in range(50)]
    for place, table in enumerate(tables):
        answers.answer(place, [table], lambda: body(b"x" * 100, BINARY))
    assert len(answers._entries) == 10
    alive = [weakref.ref(table) for table in tables]
    del tables, table
    gc.collect()
    assert [each() for each in alive] == [None] * 50


def test_a_failure_reaches_who_asks_and_the_next_one_tries_again() -> None:
    answers, table = KeptAnswers(), Table()
    with pytest.raises(ZeroDivisionError):
        answers.answer("q", [table], lambda: body(b"%d" % (1 // 0), BINARY))
    assert answers.answer("q", [table], lambda: body(b"good", BINARY)).plain == b"good"


def test_failures_are_forgotten_as_answers_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_ANSWERS", 10)
    answers, table = KeptAnswers(), Table()
    for question in range(50):
        with pytest.raises(ZeroDivisionError):
            answers.answer(question, [table], lambda: body(b"%d" % (1 // 0), BINARY))
    assert len(answers._entries) == 10


def test_texts_are_packed_and_tags_tell_bodies_apart() -> None:
    text, other = body(b"a" * 1000, "application/json"), body(b"b" * 1000, "application/json")
    assert gzip.decompress(text.gzipped or b"") == text.plain
    assert text.tag != other.tag
    assert body(b"a" * 1000, BINARY).gzipped is None


def test_a_room_keeps_what_was_used_last_and_no_more_than_fits() -> None:
    room, random, told = Room(100), np.random.default_rng(0), {}
    owners = [Owner(), Owner()]
    for turn in range(500):
        owner, key, size = owners[turn % 2], int(random.integers(10)), int(random.integers(1, 60))
        if random.random() < 0.5 and (found := room.get(owner, key)) is not None:
            assert found == told[owner, key]
        room.put(owner, key, (turn, size), size)
        told[owner, key] = (turn, size)
        held = [value for each in owners for value in each.values.values()]
        assert sum(size for _, size in held) == sum(room._sizes.values()) <= 100
        assert room.get(owner, key) == told[owner, key]
    room.put(owners[0], "large", 1, 101)
    assert room.get(owners[0], "large") is None
    assert not owners[0].values


def test_a_room_may_be_used_by_many_threads() -> None:
    room, owner = Room(1000), Owner()

    def use(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(300):
            room.put(owner, int(random.integers(50)), seed, int(random.integers(1, 90)))
            room.get(owner, int(random.integers(50)))

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert room._taken == sum(room._sizes.values()) <= 1000
    assert len(owner.values) == len(room._sizes)


def test_values_go_with_their_owner_and_make_room() -> None:
    class Value:
        pass

    room, owner, other = Room(100), Owner(), Owner()
    value = Value()
    seen = weakref.ref(value)
    room.put(owner, "value", value, 60)
    del value
    assert seen() is not None
    del owner
    assert seen() is None
    for key in range(10):
        room.put(other, key, key, 20)
    assert [room.get(other, key) for key in range(10)] == [None] * 5 + [5, 6, 7, 8, 9]
    assert room._taken == 100
