"""Runs that end early go on where they were, to the bit; a store of something else is refused."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.errors import AlreadyExists, CorruptError, Incompatible, Unavailable
from setwise_evaluation.matchers import MatchingOptions
from setwise_evaluation.rsm import Rsm, _blocks, _rsm, rsm

RNG = np.random.default_rng(1)
SETS = RNG.standard_normal((12, 5, 4)).astype(np.float32)

# Each tile is followed by a nap, so that whoever stops the run finds it in the middle. Where the tests run in the
# background, children inherit that Ctrl-C is ignored.
SLOW_RUN = """
import signal, sys, time
import numpy as np
from setwise_evaluation.rsm import rsm
signal.signal(signal.SIGINT, signal.default_int_handler)
sets = np.random.default_rng(1).standard_normal((12, 5, 4)).astype(np.float32)
rsm(sets, store=sys.argv[1], tile=2, progress=lambda done, total: time.sleep(0.1))
"""


class Stopped(Exception):
    """What ends a run in a test."""


def stop_after(pairs: int) -> object:
    def progress(done: int, total: int) -> None:
        if done >= pairs:
            raise Stopped

    return progress


def tiles_done(folder: Path) -> int:
    path = folder / "done"
    return sum(path.read_bytes()) if path.exists() else 0


def start(folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, str(folder)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while tiles_done(folder) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()[1].decode()
    return process


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_and_ends_the_same_to_the_bit(how: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path / "store")
    process.send_signal(how)
    process.communicate()
    before = tiles_done(tmp_path / "store")
    assert 3 <= before < 21
    with pytest.raises(Incompatible, match="is not complete"):
        Rsm.load(tmp_path / "store")
    computed: list[int] = []
    matrix = rsm(SETS, store=tmp_path / "store", tile=2, progress=lambda done, total: computed.append(done))
    single = rsm(SETS, tile=2)
    np.testing.assert_array_equal(matrix.sums, single.sums)
    np.testing.assert_array_equal(matrix.gaps, single.gaps)
    assert isinstance(matrix.sums, np.memmap)
    np.testing.assert_array_equal(Rsm.load(tmp_path / "store").values, single.values)


def test_memory_is_that_of_the_tiles_and_not_of_the_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1200 images: 11 MiB of sums, and 5 MiB of tokens in a memory map; benchmarks/rsm_large.py does 10,000."""
    monkeypatch.setattr(_blocks, "_KEPT_BYTES", 0)
    monkeypatch.setattr(_rsm, "_STRIP_NUMBERS", 1 << 16)
    np.save(tmp_path / "tokens.npy", np.random.default_rng(1).standard_normal((1200, 16, 64)).astype(np.float32))
    tracemalloc.start()
    try:
        matrix = rsm(tmp_path / "tokens.npy", matching="none", tile=120, store=tmp_path / "store")
        matrix.write(tmp_path / "cosine.npy", "cosine")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20
    np.testing.assert_array_equal(np.load(tmp_path / "cosine.npy"), matrix.values)
    with pytest.raises(FileExistsError):
        matrix.write(tmp_path / "cosine.npy", "rbf")


def test_finished_tiles_are_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        rsm(SETS, store=tmp_path, tile=3, progress=stop_after(30))
    kept = tiles_done(tmp_path)
    assert 0 < kept < 10
    calls = count_tiles(monkeypatch)
    rsm(SETS, store=tmp_path, tile=3)
    assert len(calls) == 10 - kept
    rsm(SETS, store=tmp_path, tile=3, kernel="rbf", sigma=2.0, threads=2)
    assert len(calls) == 10 - kept
    assert Rsm.load(tmp_path).sigma == 2.0


def count_tiles(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    from setwise_evaluation.rsm import _work

    calls: list[object] = []
    original = _work.matched_tile

    def counted(*args: object, **options: object) -> object:
        calls.append(args)
        return original(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(_work, "matched_tile", counted)
    return calls


def test_rectangles_and_matchings_without_gaps_are_stored(tmp_path: Path) -> None:
    for number, options in enumerate(({}, {"matching": "none"}, {"matching": "maxsim"})):
        matrix = rsm(SETS, SETS[:5], store=tmp_path / str(number), tile=3, **options)
        np.testing.assert_array_equal(matrix.sums, rsm(SETS, SETS[:5], tile=3, **options).sums)
        assert (tmp_path / str(number) / "gaps.npy").exists() == (not options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matching": "greedy"}, "matrix of matching exact, not greedy; give another folder"),
        ({"tile": 4}, "matrix of tile 3, not 4"),
        ({"b": SETS[:3]}, "matrix of"),
        ({"a": SETS + 1}, "matrix of other columns"),
        ({"a": SETS[:6]}, "matrix of other columns"),
        ({"row_ids": [str(i) for i in range(12)]}, "matrix of other ids of columns"),
    ],
)
def test_a_store_of_another_run_is_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    rsm(SETS, store=tmp_path, tile=3)
    before = (tmp_path / "sums.npy").read_bytes()
    with pytest.raises(Incompatible, match=message):
        rsm(**({"a": SETS, "tile": 3} | options), store=tmp_path)
    assert (tmp_path / "sums.npy").read_bytes() == before


def test_only_options_that_the_matching_has_tell_runs_apart(tmp_path: Path) -> None:
    rsm(SETS, store=tmp_path / "exact", options=MatchingOptions(window=3))
    rsm(SETS, store=tmp_path / "exact", options=MatchingOptions(window=4))
    rsm(SETS, store=tmp_path / "windows", matching="batch-optimal", options=MatchingOptions(window=3))
    with pytest.raises(Incompatible, match="matrix of window 3, not 4"):
        rsm(SETS, store=tmp_path / "windows", matching="batch-optimal", options=MatchingOptions(window=4))


def test_folders_of_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(AlreadyExists, match=r"already holds mine\.txt"):
        rsm(SETS, store=tmp_path)
    rsm(SETS).save(tmp_path / "saved")
    with pytest.raises(Incompatible, match=r"holds a matrix that `Rsm\.save` wrote"):
        rsm(SETS, store=tmp_path / "saved")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    def again(done: int, total: int) -> None:
        rsm(SETS, store=tmp_path)

    with pytest.raises(AlreadyExists, match="another process is at work"):
        rsm(SETS, store=tmp_path, progress=again)
    rsm(SETS, store=tmp_path)


def test_a_folder_without_rights(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="could not be written"):
        rsm(SETS, store=tmp_path / "file" / "store")


def test_a_full_disk_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        calls = count_tiles(patch)
        with pytest.raises(Unavailable, match=r"could not be written \(No space left on device\); what was stored"):
            rsm(SETS, store=tmp_path)
        assert not calls
    rsm(SETS, store=tmp_path)


def test_what_could_not_be_forced_to_disk_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        rsm(SETS, store=tmp_path, tile=3, progress=stop_after(6))
    kept = tiles_done(tmp_path)

    def failing(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(Unavailable, match="Input/output error"):
            rsm(SETS, store=tmp_path, tile=3)
    assert tiles_done(tmp_path) == kept
    np.testing.assert_array_equal(rsm(SETS, store=tmp_path, tile=3).sums, rsm(SETS, tile=3).sums)


def test_a_file_of_another_size_is_told(tmp_path: Path) -> None:
    rsm(SETS, store=tmp_path)
    with (tmp_path / "sums.npy").open("ab") as file:
        file.write(b"more")
    with pytest.raises(CorruptError, match=r"sums\.npy is not the file of 12 x 12 numbers"):
        rsm(SETS, store=tmp_path)
