"""Activations in memory and in files that grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from setwise_engine.errors import AlreadyExists, FeatureError
from setwise_evaluation.layers._sinks import FileSink, MemorySink, Sink, file_of

PARTS = [np.arange(12, dtype=np.float32).reshape(2, 2, 3), np.ones((1, 2, 3), dtype=np.float32)]


@pytest.mark.parametrize("kind", ["counted", "uncounted", "file"])
def test_parts_become_one_array(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "layer.npy"
    sink: Sink = FileSink("layer", path) if kind == "file" else MemorySink("layer", 3 if kind == "counted" else None)
    for part in PARTS:
        sink.add(part)
    whole = sink.finish()
    assert np.array_equal(whole, np.concatenate(PARTS))
    assert whole.dtype == np.float32
    if kind == "file":
        assert isinstance(whole, np.memmap)
        assert np.array_equal(np.load(path), whole)
        assert path.stat().st_size == 192 + whole.nbytes


@pytest.mark.parametrize("count", [None, 5])
def test_images_of_two_sizes_are_refused(count: int | None, tmp_path: Path) -> None:
    for sink in (MemorySink("layer", count), FileSink("layer", tmp_path / "layer.npy")):
        sink.add(PARTS[0])
        with pytest.raises(FeatureError, match=r"layer gives \(2, 3\) an image at first and \(4, 3\) later"):
            sink.add(np.zeros((1, 4, 3), dtype=np.float32))
        sink.discard()


def test_an_unfinished_file_goes_and_a_finished_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "layer.npy"
    sink = FileSink("layer", path)
    sink.add(PARTS[0])
    assert not path.exists()
    sink.discard()
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"of somebody else")
    with pytest.raises(AlreadyExists, match=r"layer\.npy is there already"):
        FileSink("layer", path)


def test_names_that_no_file_may_have_are_quoted(tmp_path: Path) -> None:
    assert file_of(tmp_path, "blocks.0").name == "blocks.0.npy"
    assert file_of(tmp_path, "a/b").name == "a%2Fb.npy"
