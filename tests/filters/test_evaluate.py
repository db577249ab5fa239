"""The catalog's answer to a filter is the slow twin's, for any metadata and any filter."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from setwise_engine.collection._fields import FIELD_TABLES, delete_entries, insert_entries
from setwise_engine.filters import And, AnyOf, Contains, Equals, Exists, Filter, Not, Or, Range, evaluate, matches

# Few fields and few values, so that filters and metadata meet.
FIELDS = st.sampled_from(["a", "b", "größe", "x y", "'; DROP TABLE images; --", '"', "*"])

# Neighbours where comparison may go wrong: booleans beside 0 and 1, integers beyond what a float holds, -0.0, texts
# whose order differs between UTF-16 and UTF-8, NUL, numbers as text.
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, 0.1, 0.30000000000000004, 1e300, 5e-324, float(2**53), float(2**63)]),
)
TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "ä", "\x00", "a\x00b", "\uffff", "\U00010000", "1", "true", "null", "%", "_"]
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=4))
METADATA = st.dictionaries(FIELDS, VALUES, max_size=4)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    """Ranges with at least one bound."""
    values = draw(st.sampled_from([NUMBERS, TEXTS]))
    names = draw(st.lists(st.sampled_from(["gt", "ge", "lt", "le"]), min_size=1, max_size=4, unique=True))
    return Range(draw(FIELDS), **{name: draw(values) for name in names})


LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, FIELDS, SCALARS),
    st.builds(AnyOf, FIELDS, st.lists(SCALARS, max_size=4).map(tuple)),
    ranges(),
    st.builds(Exists, FIELDS),
    st.builds(Contains, FIELDS, SCALARS),
)

FILTERS: st.SearchStrategy[Filter] = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(And, st.lists(parts, max_size=3).map(tuple)),
        st.builds(Or, st.lists(parts, max_size=3).map(tuple)),
        st.builds(Not, parts),
    ),
    max_leaves=6,
)


@dataclass
class Images:
    """A version's live images."""

    live_births: NDArray[np.int64]


def catalog(images: Mapping[int, Mapping[str, Any]]) -> sqlite3.Connection:
    """A database with the typed table of images by their births."""
    connection = sqlite3.connect(":memory:")
    for statement in FIELD_TABLES:
        connection.execute(statement)
    insert_entries(connection, images.items())
    return connection


def passing(where: Filter, all_metadata: Sequence[Mapping[str, Any]]) -> list[int]:
    """Places of those that pass, by the catalog."""
    connection = catalog(dict(enumerate(all_metadata)))
    return np.flatnonzero(evaluate(connection, Images(np.arange(len(all_metadata))), where)).tolist()


@settings(max_examples=300, deadline=None)
@given(all_metadata=st.lists(METADATA, max_size=8), where=FILTERS)
def test_sql_is_equal_to_the_twin(all_metadata: list[dict[str, Any]], where: Filter) -> None:
    expected = [place for place, metadata in enumerate(all_metadata) if matches(where, metadata)]
    assert passing(where, all_metadata) == expected


@settings(max_examples=50, deadline=None)
@given(all_metadata=st.lists(METADATA, min_size=1, max_size=8), where=FILTERS, seed=st.integers(0, 99))
def test_births_may_come_in_any_order_and_some_images_may_be_dead(
    all_metadata: list[dict[str, Any]], where: Filter, seed: int
) -> None:
    """Compaction leaves births that do not rise with the keys; entries of images outside the version do no harm."""
    births = np.random.default_rng(seed).permutation(len(all_metadata))[: seed % len(all_metadata) + 1]
    mask = evaluate(catalog(dict(enumerate(all_metadata))), Images(births), where)
    assert mask.tolist() == [matches(where, all_metadata[birth]) for birth in births]


def test_metadata_that_was_replaced_is_found_no_more() -> None:
    connection = catalog({7: {"a": 1, "b": ["x", "x", 1, 1.0]}, 9: {"a": 1}})
    delete_entries(connection, [7, 8])
    insert_entries(connection, [(7, {"a": 2})])
    images = Images(np.array([7, 9]))
    assert evaluate(connection, images, Equals("a", 1)).tolist() == [False, True]
    assert evaluate(connection, images, Equals("a", 2)).tolist() == [True, False]
    assert evaluate(connection, images, Exists("b")).tolist() == [False, False]


def test_thousands_of_values_take_several_statements() -> None:
    all_metadata = [{"n": n} for n in range(0, 6000, 2)] + [{"n": str(n)} for n in range(5)]
    where = AnyOf("n", (*range(3000), "3", True))
    assert passing(where, all_metadata) == [*range(1500), 3003]


def test_nothing_of_a_filter_becomes_part_of_a_statement() -> None:
    connection = catalog({0: {"a": 1}})
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    evil = "x' OR 1=1; DROP TABLE entries; --"
    where = And((Equals(evil, evil), AnyOf(evil, (evil,)), Range(evil, gt=evil), Not(Exists(evil))))
    assert evaluate(connection, Images(np.zeros(1, np.int64)), where).tolist() == [False]
    assert all("''" in statement or evil not in statement for statement in statements)
    assert connection.execute("SELECT count(*) FROM entries").fetchone() == (1,)


@pytest.fixture
def plans() -> Iterator[sqlite3.Connection]:
    connection = catalog({n: {"a": n, "b": [str(n)]} for n in range(100)})
    yield connection
    connection.close()


@pytest.mark.parametrize("where", [Equals("a", 1), AnyOf("a", (1, 2)), Range("a", gt=1, le=5), Exists("a")], ids=repr)
def test_every_query_is_answered_by_the_covering_index(plans: sqlite3.Connection, where: Filter) -> None:
    statements: list[str] = []
    plans.set_trace_callback(statements.append)
    evaluate(plans, Images(np.arange(100)), where)
    plans.set_trace_callback(None)
    for statement in statements:
        plan = " ".join(str(row[3]) for row in plans.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "SEARCH entries USING PRIMARY KEY (field=?" in plan
        assert "SCAN" not in plan
