"""The pipeline gives one result a job, keeps memory bounded, and stops at once when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.errors import FeatureError
from setwise_engine.feature_set import FeatureSet
from setwise_indexer._items import Item
from setwise_indexer._pipeline import Crew, Done, Failed, run_pipeline
from setwise_indexer._plan import Job
from setwise_indexer._readers import EncodeSets, Prepared, ReadSets
from setwise_indexer._sets import SetFiles


def jobs(folder: Path, count: int) -> list[Job]:
    np.save(folder / "sets.npy", np.arange(count * 4, dtype=np.float32).reshape(count, 2, 2))
    return [Job(Item(str(n), str(folder / "sets.npy"), key=str(n), shape=(2, 2))) for n in range(count)]


class Picky(ReadSets):
    """Ready-made sets, of which a batch holding number 5 cannot be encoded."""

    def encode(self, batch: Sequence[Prepared]) -> list[FeatureSet]:
        if any(one.job.item.id == "5" for one in batch):
            raise FeatureError("five is broken")
        return super().encode(batch)


@pytest.mark.parametrize("crew", [Crew(1, 1, 1), Crew(3, 2, 4), Crew(1, 3, 8)])
def test_every_job_has_one_result(tmp_path: Path, crew: Crew) -> None:
    results = list(run_pipeline(jobs(tmp_path, 50), ReadSets(SetFiles(), 2), crew))
    done = {r.prepared.job.item.id: r.features.tokens for r in results if isinstance(r, Done)}
    assert len(results) == len(done) == 50
    np.testing.assert_array_equal(done["7"], [[28, 29], [30, 31]])


def test_one_bad_set_does_not_take_its_batch_with_it(tmp_path: Path) -> None:
    results = list(run_pipeline(jobs(tmp_path, 16), Picky(SetFiles(), 2), Crew(2, 1, 8)))
    assert [(r.job.item.id, r.reason) for r in results if isinstance(r, Failed)] == [("5", "five is broken")]
    assert sum(isinstance(r, Done) for r in results) == 15


def test_memory_is_bounded_by_the_crew_not_by_the_work(tmp_path: Path) -> None:
    started = 0

    def counted() -> Iterator[Job]:
        nonlocal started
        for job in jobs(tmp_path, 1000):
            started += 1
            yield job

    crew = Crew(2, 1, 2)
    with closing(run_pipeline(counted(), ReadSets(SetFiles(), 2), crew)) as results:
        for taken, _ in enumerate(results, start=1):
            assert started - taken < 30
            if taken == 200:
                break


def test_closing_ends_all_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    results = run_pipeline(jobs(tmp_path, 1000), ReadSets(SetFiles(), 2), Crew(4, 2, 2))
    next(results)
    results.close()
    assert threading.active_count() == before


def test_an_error_that_is_no_images_fault_is_raised(tmp_path: Path) -> None:
    class Faulty(ReadSets):
        def encode(self, batch: Sequence[Prepared]) -> list[FeatureSet]:
            raise RuntimeError("out of GPU memory")

    with pytest.raises(RuntimeError, match="out of GPU memory"):
        list(run_pipeline(jobs(tmp_path, 100), Faulty(SetFiles(), 2), Crew(2, 2, 2)))


def test_ready_made_sets_pass_through_the_encoder(tmp_path: Path) -> None:
    from setwise_engine.encoder import fit_encoder

    work = jobs(tmp_path, 4)
    encoder = fit_encoder([np.load(tmp_path / "sets.npy")[0]], model="", dims=None)
    results = list(run_pipeline(work, EncodeSets(SetFiles(), encoder), Crew(1, 1, 2)))
    assert {r.features.encoder for r in results if isinstance(r, Done)} == {encoder.fingerprint}
