"""Arrays of every kind, lists, collections and files give the same matrix; what is no set of tokens is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from setwise_engine.collection import Collection
from setwise_engine.errors import CorruptError, EngineError, FeatureError, FormatError, InvalidInput, NotFound
from setwise_engine.feature_set import FeatureSet
from setwise_evaluation.activations import Activations
from setwise_evaluation.rsm import rsm

MAPS: NDArray[np.float32] = np.random.default_rng(0).standard_normal((5, 4, 2, 3)).astype(np.float32)
TOKENS = np.ascontiguousarray(MAPS.reshape(5, 4, 6).transpose(0, 2, 1))
EXPECTED = rsm(TOKENS)


def memory_map(folder: Path) -> NDArray[np.float32]:
    np.save(folder / "maps.npy", MAPS)
    return np.load(folder / "maps.npy", mmap_mode="r")


KINDS = {
    "maps": lambda folder: MAPS,
    "float64": lambda folder: MAPS.astype(np.float64),
    "not contiguous": lambda folder: np.asfortranarray(MAPS),
    "memory map": memory_map,
    "torch maps": lambda folder: torch.from_numpy(MAPS),
    "torch tokens with a gradient": lambda folder: torch.from_numpy(TOKENS).requires_grad_() * 1,
    "channels last": lambda folder: torch.from_numpy(MAPS).to(memory_format=torch.channels_last),
    "list of arrays": lambda folder: list(TOKENS),
    "list of maps": lambda folder: list(MAPS),
    "list of tensors": lambda folder: list(torch.from_numpy(TOKENS)),
    "list of numbers": lambda folder: TOKENS.tolist(),
    "feature sets": lambda folder: [FeatureSet(tokens) for tokens in TOKENS],
    "activations": lambda folder: Activations(TOKENS, (2, 3), "a network", "", tuple(range(5))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_input_gives_the_same(kind: str, tmp_path: Path) -> None:
    matrix = rsm(KINDS[kind](tmp_path), tile=2)
    np.testing.assert_allclose(matrix.sums, EXPECTED.sums, rtol=1e-12)
    assert matrix.row_fingerprint == EXPECTED.row_fingerprint


def test_bfloat16_is_exact_in_float32() -> None:
    tensor = torch.from_numpy(TOKENS).to(torch.bfloat16)
    assert rsm(tensor).row_fingerprint == rsm(tensor.float()).row_fingerprint


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_on_a_device() -> None:
    np.testing.assert_array_equal(rsm(torch.from_numpy(MAPS).cuda()).sums, EXPECTED.sums)


def test_sets_of_different_size() -> None:
    matrix = rsm([TOKENS[0], TOKENS[1, :2], TOKENS[2, :0]])
    assert matrix.shape == (3, 3)
    assert matrix.sums[0, 2] == 0


def test_a_collection_gives_its_live_images_in_order_of_id(collection: Collection) -> None:
    with collection.snapshot() as snapshot:
        names = ["0", "1", "2", "3", "5", "6", "7", "8"]
        stored = [snapshot.tokens(key) for key in snapshot.keys(names) if key is not None]
    matrix = rsm(collection, tile=3)
    assert matrix.row_ids == matrix.column_ids == tuple(names)
    np.testing.assert_allclose(matrix.sums, rsm(stored).sums, rtol=1e-12)
    collection.compact(everything=True)
    again = rsm(collection.path, tile=3)
    assert again.row_ids == matrix.row_ids
    np.testing.assert_array_equal(again.sums, matrix.sums)


def test_a_collection_may_change_and_close_meanwhile(collection: Collection) -> None:
    expected = rsm(collection, tile=2)

    def meddle(done: int, total: int) -> None:
        if done > 3:
            return
        collection.delete(["0", "1"])
        collection.compact(everything=True)
        collection.close()

    np.testing.assert_array_equal(rsm(collection, tile=2, progress=meddle).sums, expected.sums)


def test_a_damaged_image_is_named(collection: Collection) -> None:
    with collection.snapshot() as snapshot:
        tokens = snapshot.tokens(snapshot.live_keys()[-1]).tobytes()
    path = max((collection.path / "segments").iterdir())
    collection.close()
    path.write_bytes(path.read_bytes().replace(tokens, bytes(len(tokens))))
    with pytest.raises(CorruptError, match="tokens of image '5'"):
        rsm(collection.path)


def test_files_of_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", MAPS)
    np.savez(tmp_path / "stack.npz", TOKENS)
    np.savez(tmp_path / "sets.npz", **{f"image {i}": TOKENS[i, : i + 1] for i in range(5)})
    for name in ("stack.npy", "stack.npz"):
        np.testing.assert_array_equal(rsm(str(tmp_path / name)).sums, EXPECTED.sums)
    assert rsm(tmp_path / "sets.npz").row_ids == tuple(f"image {i}" for i in range(5))


def test_files_that_are_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", first=MAPS, second=TOKENS)
    (tmp_path / "broken.npy").write_bytes(b"no array")
    (tmp_path / "text.txt").write_text("no array")
    wrong: list[tuple[str, type[EngineError], str]] = [
        ("two.npz", InvalidInput, r"holds 2 arrays \(first, second\)"),
        ("broken.npy", InvalidInput, "is no readable array"),
        ("text.txt", InvalidInput, r"neither \.npy nor \.npz"),
        ("nothing", NotFound, "there is no"),
        ("", FormatError, "it is not a collection"),
    ]
    for name, error, message in wrong:
        with pytest.raises(error, match=message):
            rsm(tmp_path / name)


WRONG: list[tuple[Any, str]] = [
    (np.zeros((0, 3, 2)), "a holds no images"),
    ([], "a holds no images"),
    (np.ones((3, 2)), r"a has shape \(3, 2\); give \(n, c, h, w\) or \(n, t, d\)"),
    (np.ones((3, 2, 0)), r"a has shape \(3, 2, 0\)"),
    (np.ones((2, 2, 2), np.int64), "holds int64; give float16"),
    (np.ones((2, 2, 2), np.complex64), "holds complex64"),
    (torch.ones(2, 2, 2, dtype=torch.int32), "holds int32"),
    ([np.ones((2, 2)), np.ones((2, 3))], r"a\[1\] has tokens of 3 numbers, a\[0\] of 2"),
    ([np.ones((2, 2)), np.ones(2)], r"a\[1\] has shape \(2,\)"),
    ([[[1.0, 2.0], [3.0]]], r"a\[0\] is no array of numbers"),
    (["one.jpg", "two.jpg"], r"a\[0\]"),
    (FeatureSet(np.ones((2, 2), np.float32)), "a is one feature set; give a list"),
    (3, "a is a int; give an array"),
    (None, "a is a NoneType"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_no_set_of_tokens_is_refused(given: Any, message: str) -> None:
    with pytest.raises((InvalidInput, FeatureError), match=message):
        rsm(given)
