"""Searches of everything that is stored: what they prove, and that damage never passes for an answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from setwise_engine.collection import Collection, Settings
from setwise_engine.encoder import Encoder
from setwise_engine.errors import CorruptError, DeadlineError, InvalidInput
from setwise_engine.feature_set import FeatureSet
from setwise_engine.matching import Kernel, affinity, kernel_name, verify
from setwise_engine.search import Answer, Options, Scope, Searcher, _rank

from .conftest import record, scatter

MakeSearcher = Callable[[dict[str, np.ndarray]], Searcher]
Sets = dict[str, np.ndarray]


def ranked(answer: Answer) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in answer.hits]


@pytest.fixture
def grown(tmp_path: Path, plain_encoder: Encoder) -> Searcher:
    """Nine segments of ten images, some of them replaced or deleted, of which the index covers the first."""
    settings = Settings("", 0, "", 8, plain_encoder.fingerprint, thumbnails=False)
    collection = Collection.create(tmp_path / "grown.setwise", settings, plain_encoder)
    for part in range(9):
        sets = scatter(part, 10)
        collection.append([record(f"{part}-{id}", tokens, plain_encoder) for id, tokens in sets.items()])
        if part == 0:
            collection.build_index()
    collection.append([record("3-004", np.ones((4, 8), np.float16), plain_encoder)])
    collection.delete(["1-001", "8-009"])
    return Searcher(collection, scan_threads=2)


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_everything_is_scored_whatever_the_chunks(
    grown: Searcher, kernel: Kernel, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_rank, "_CHUNK", chunk)
    query = grown.features("5-003")
    answer = grown.search(query, Options(k=7, kernel=kernel, exhaustive=True))
    everything = grown.search(query, Options(k=200, kernel=kernel, candidates=1000))
    assert ranked(answer) == ranked(everything)[:7]
    assert (answer.scope, answer.collection_size, answer.recalled) == (Scope.COLLECTION, 88, 88)
    assert answer.pruned + answer.solved == 88
    stages = answer.stages
    assert stages.gate + stages.gate_dual + stages.bound + stages.dual == answer.pruned


def test_few_candidates_prove_little_and_all_prove_all(grown: Searcher) -> None:
    assert grown.search_id("0-001", Options(k=2, candidates=87)).scope is Scope.CANDIDATES
    assert grown.search_id("0-001", Options(k=2, candidates=88)).scope is Scope.COLLECTION
    assert grown.search_id("0-001", Options(k=2)).scope is Scope.COLLECTION
    assert grown.search_id("0-001", Options(k=2, exhaustive=False)).scope is Scope.COLLECTION


def test_the_bound_of_what_was_ruled_out_lies_below_the_last_place(grown: Searcher) -> None:
    answer = grown.search_id("2-001", Options(k=3, exhaustive=True))
    assert answer.kth_score == answer.hits[-1].score
    if kernel_name() == "reference":
        assert (answer.pruned, answer.highest_pruned_bound) == (0, None)
        return
    assert answer.pruned and answer.highest_pruned_bound is not None
    assert answer.highest_pruned_bound < answer.kth_score
    everything = ranked(grown.search_id("2-001", Options(k=88)))
    below = [score for _, score in everything[answer.solved :]]
    assert max(below) <= answer.highest_pruned_bound


def test_an_empty_collection_is_proven_too(make_searcher: MakeSearcher) -> None:
    answer = make_searcher({}).search(FeatureSet(np.ones((2, 8), np.float16)), Options(exhaustive=True))
    assert (answer.hits, answer.scope, answer.largest_gap) == ((), Scope.COLLECTION, None)


def test_candidates_and_exhaustive_contradict_each_other(grown: Searcher) -> None:
    with pytest.raises(InvalidInput, match="every image") as caught:
        Options(candidates=100, exhaustive=True)
    assert caught.value.field == "candidates"
    query = grown.features("0-001")
    with pytest.raises(InvalidInput, match="candidates given") as caught:
        grown.rerank(query, ["0-001"], [], Options(exhaustive=True))
    assert caught.value.field == "exhaustive"


def test_the_deadline_is_heeded_between_chunks(grown: Searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rank, "_CHUNK", 4)
    monkeypatch.setattr("setwise_engine.search._searcher.default_candidates", lambda k: 4)
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise DeadlineError("time is up")

    with pytest.raises(DeadlineError):
        grown.search_id("0-001", Options(k=2, exhaustive=True), stop)


@pytest.mark.parametrize("kernel", [Kernel.COSINE, Kernel.INNER_PRODUCT, Kernel.RBF])
def test_prices_prove_every_hit(grown: Searcher, kernel: Kernel) -> None:
    query = grown.features("4-003")
    answer = grown.search(query, Options(k=20, kernel=kernel, exhaustive=True, proofs=True))
    assert answer.largest_gap == max(hit.proof.gap for hit in answer.hits if hit.proof)
    for hit in answer.hits:
        assert hit.proof is not None
        verify(affinity(query.tokens, grown.features(hit.id).tokens), hit.proof)  # type: ignore[arg-type]
    bare = grown.search(query, Options(k=1))
    assert (bare.hits[0].proof, bare.largest_gap) == (None, None)


def damage(searcher: Searcher, id: str, name: str) -> None:
    """Flip a byte of an image's tokens or gate, behind the collection's back."""
    with searcher._collection.snapshot() as snapshot:
        [key] = snapshot.keys([id])
        assert key is not None
        block = snapshot.blocks()[key >> 32]
        row = key & 0xFFFFFFFF
        first = int(block.offsets[row])
        if name == "gate":
            assert block.gate is not None
            array = block.gate.codes[first : first + 1]
        else:
            array = block.tokens[first : first + 1]
        wanted = array.tobytes()
        folder = searcher._collection.path / "segments"
        [entry] = [e for e in snapshot.view.entries.values() if e.id == key >> 32]
    data = bytearray((folder / entry.file).read_bytes())
    place = data.index(wanted)
    data[place] ^= 0x40
    (folder / entry.file).write_bytes(data)


@pytest.mark.parametrize("part", ["tokens", "gate"])
@pytest.mark.parametrize("exhaustive", [False, True])
def test_damaged_bytes_that_take_part_are_named_not_scored(
    make_searcher: MakeSearcher, part: str, exhaustive: bool
) -> None:
    rng = np.random.default_rng(5)
    sets = {f"{i:02}": rng.standard_normal((6, 8)).astype(np.float16) for i in range(12)}
    searcher = make_searcher(sets)
    damage(searcher, "07", part)
    fresh = Searcher(Collection.open(searcher._collection.path, read_only=True))
    with pytest.raises(CorruptError, match="'07'"):
        fresh.search(FeatureSet(sets["07"]), Options(k=12, exhaustive=exhaustive))
    fresh._collection.close()


@pytest.mark.parametrize("kernel", list(Kernel))
def test_threads_pruning_and_chunks_change_no_bit(
    tmp_path: Path, plain_encoder: Encoder, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(11)
    parts = rng.standard_normal((12, 6, 8)) * 2
    chosen = [np.concatenate(parts[rng.choice(12, 4, replace=False)]) for _ in range(150)]
    noisy = [(tokens + 0.5 * rng.standard_normal(tokens.shape))[: rng.integers(10, 25)] for tokens in chosen]
    settings = Settings("", 0, "", 8, plain_encoder.fingerprint, thumbnails=False)
    collection = Collection.create(tmp_path / "many.setwise", settings, plain_encoder)
    collection.append([record(f"{i:03}", rng.permutation(one), plain_encoder) for i, one in enumerate(noisy)])
    query = FeatureSet(noisy[7].astype(np.float16))
    seen = []
    for threads, chunk, prune in ((1, 4096, True), (1, 4096, False), (2, 16, True), (5, 64, True), (3, 50, False)):
        monkeypatch.setattr(_rank, "_CHUNK", chunk)
        searcher = Searcher(collection, scan_threads=threads)
        searcher._prune = prune
        seen.append(ranked(searcher.search(query, Options(k=8, kernel=kernel, exhaustive=True))))
    assert all(one == seen[0] for one in seen)
    collection.close()
