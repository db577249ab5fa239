"""The file of every segment that ever was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from setwise_engine.collection import Collection, ImageRecord, _history
from setwise_engine.collection._catalog import read_number
from setwise_engine.collection._view import read_view


def test_it_names_what_is_live_and_what_is_gone(
    collection: Collection, make: Callable[..., ImageRecord], files: Callable[[Collection], list[str]]
) -> None:
    for n in range(3):
        collection.append([make(f"{n}", n)])
    with collection.snapshot() as old:
        assert list(old.view.history.values()) == files(collection)
        collection.compact(everything=True)
        collection.append([make("new", 4)])
        with collection.snapshot() as new:
            history = new.view.history
            assert dict(history) | dict(old.view.history) == dict(history)
            assert [history[number] for number in new.view.entries] == files(collection)
        # What came later does not show in the older version, though both share what they hold.
        assert (list(history), list(old.view.history)) == ([1, 2, 3, 4, 5], [1, 2, 3])
        assert (len(history), len(old.view.history), history.last) == (5, 3, 5)
        for number in (-1, 0, 6):
            assert number not in history
        with pytest.raises(KeyError):
            old.view.history[4]
    with Collection.open(collection.path) as opened, opened.snapshot() as snapshot:
        assert dict(snapshot.view.history) == dict(history)


def test_names_of_another_form_are_kept_as_they_are(collection: Collection) -> None:
    with collection.snapshot() as snapshot:
        empty = snapshot.view.history
    assert (len(empty), empty.last, list(empty)) == (0, 0, [])
    names = {3: "elsewhere.safetensors", 4: "00000005-0000000a.safetensors", 7: "00000007-00000000.safetensors"}
    history = empty.extended(names)
    assert dict(history) == names
    assert history.extended({}) is history
    assert dict(history.extended({8: "00000008-ffffffff.safetensors"})) == names | {8: "00000008-ffffffff.safetensors"}


def test_a_long_history_is_read_in_parts(
    collection: Collection, make: Callable[..., ImageRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(7):
        collection.append([make(f"{n}", n)])
    monkeypatch.setattr(_history, "_AT_ONCE", 3)
    with Collection.open(collection.path) as opened, opened.snapshot() as snapshot, collection.snapshot() as before:
        assert list(snapshot.view.history) == [1, 2, 3, 4, 5, 6, 7]
        assert dict(snapshot.view.history) == dict(before.view.history)


def test_a_transaction_that_began_earlier_does_not_read_it_all_again(
    collection: Collection, make: Callable[..., ImageRecord]
) -> None:
    collection.append([make("a", 1)])
    with collection._catalog.reading() as earlier:
        assert read_number(earlier, "version") == 1
        collection.append([make("b", 2)])
        with collection.snapshot() as later:
            view = read_view(earlier, later.view, collection._segments.map)
            assert (view.version, list(view.entries), view.images) == (1, [1], 1)
            assert view.history is later.view.history
