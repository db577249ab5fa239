"""Which segments are merged: each image is copied few times, and few segments are left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from setwise_engine.collection import Collection
from setwise_engine.collection._compact_plan import FAN_IN, MAX_BYTES, MAX_ROWS, Piece, due_steps, every_step, pieces

KB, MB = 1 << 10, 1 << 20


def piece(number: int, bytes: float = KB, rows: int = 10, live: int | None = None, **fields: bool) -> Piece:
    gate, fixed = fields.get("gate", True), fields.get("fixed", False)
    return Piece(number, rows, rows if live is None else live, bytes, gate, fixed)


def merged(segments: Sequence[Piece], steps: Sequence[tuple[int, ...]]) -> list[Piece]:
    """The segments after the steps; what is new has the highest numbers and stands where its sources stood."""
    for step in steps:
        here = [each for each in segments if each.number in step]
        at = next(i for i, each in enumerate(segments) if each.number in step)
        rows, size = sum(each.live for each in here), sum(each.bytes for each in here)
        new = [Piece(max(each.number for each in segments) + 1, rows, rows, size, here[0].gate)] if rows else []
        rest = [each for each in segments if each.number not in step]
        segments = [*rest[:at], *new, *rest[at:]]
    return list(segments)


def test_few_small_segments_are_left_in_peace() -> None:
    assert list(due_steps([])) == []
    assert list(due_steps([piece(n) for n in range(FAN_IN - 1)])) == []
    assert list(due_steps([piece(n) for n in range(FAN_IN)])) == [tuple(range(FAN_IN))]


def test_a_large_segment_is_not_copied_for_the_sake_of_small_ones() -> None:
    segments = [piece(0, 200 * MB), *(piece(n) for n in range(1, 20)), piece(20, 100 * MB)]
    assert list(due_steps(segments)) == [tuple(range(1, 20))]


def test_dead_rows_are_worth_a_copy_when_they_are_many() -> None:
    segments = [piece(0, MB, 100, 79), piece(1, MB, 100, 80), piece(2, MB, 100, 0), piece(3, MB, 100, 0)]
    assert list(due_steps(segments)) == [(2, 3), (0,)]
    assert list(every_step(segments)) == [(2, 3), (0, 1)]


def test_damaged_segments_and_other_gates_stand_between_neighbours() -> None:
    segments = [piece(n, gate=n < 12, fixed=n == 5) for n in range(20)]
    assert list(every_step(segments)) == [(0, 1, 2, 3, 4), (6, 7, 8, 9, 10, 11), tuple(range(12, 20))]
    assert list(due_steps(segments)) == [tuple(range(12, 20))]


@given(
    st.lists(
        st.builds(
            piece,
            st.just(0),
            st.floats(1, MAX_BYTES * 2),
            rows=st.integers(1, MAX_ROWS * 2),
            live=st.just(None) | st.just(0),
        ),
        max_size=40,
    ),
    st.booleans(),
)
def test_what_is_made_stays_within_its_bounds_and_order(segments: list[Piece], everything: bool) -> None:
    segments = [Piece(n, each.rows, each.live, each.bytes, each.gate) for n, each in enumerate(segments)]
    steps = list((every_step if everything else due_steps)(segments))
    place = {each.number: n for n, each in enumerate(each for each in segments if each.live)}
    for step in steps:
        sources = [segments[number] for number in step]
        if any(source.live for source in sources):
            places = [place[number] for number in step]
            assert places == list(range(places[0], places[0] + len(step)))  # neighbours but for those without live rows
            assert len(step) == 1 or sum(source.bytes for source in sources) <= MAX_BYTES
            assert len(step) == 1 or sum(source.live for source in sources) <= MAX_ROWS
    assert len({number for step in steps for number in step}) == sum(map(len, steps))


def settled(segments: list[Piece]) -> tuple[list[Piece], float]:
    """The segments when nothing is due any more, and the bytes that were written until then."""
    written = 0.0
    while steps := list(due_steps(segments)):
        sizes = {each.number: each.bytes for each in segments}
        written += sum(sizes[number] for step in steps for number in step if sizes[number])
        segments = merged(segments, steps)
    return segments, written


@pytest.mark.parametrize("size", [20 * KB, MB])
def test_each_image_is_copied_a_logarithmic_number_of_times(size: int) -> None:
    """Commits of a random size, one after the other, compacted after each."""
    rng = np.random.default_rng(0)
    segments: list[Piece] = []
    stored = written = 0.0
    most = 0
    for _ in range(3000):
        new = float(rng.integers(1, 2 * size))
        number = max((each.number for each in segments), default=0) + 1
        segments, copied = settled([*segments, piece(number, new, 1)])
        stored, written, most = stored + new, written + copied, max(most, len(segments))
    assert written / stored <= math.log(MAX_BYTES / size, 3)
    assert most <= 2 * stored / MAX_BYTES + FAN_IN * math.log(MAX_BYTES / size, 3)


def test_pieces_come_in_the_order_of_births(scattered: Collection) -> None:
    with scattered.snapshot() as snapshot:
        before = pieces(snapshot.view)
        assert sum(each.live for each in before) == len(snapshot)
    assert [each.number for each in before] == sorted(each.number for each in before)
    scattered.compact()
    scattered.append([])
    with scattered.snapshot() as snapshot:
        after = pieces(snapshot.view, frozenset({22}))
        first = [int(snapshot.view.live_births[snapshot.view.live >> 32 == each.number].min()) for each in after]
    assert first == sorted(first)
    assert [each.fixed for each in after] == [each.number == 22 for each in after]
