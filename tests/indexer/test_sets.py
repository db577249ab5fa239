"""Ready-made sets: one or many in a file, each an image of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from setwise_engine.errors import FeatureError, InvalidInput
from setwise_indexer._listing import list_items
from setwise_indexer._request import Request
from setwise_indexer._sets import SetFiles


def listed(*sources: Path, manifest: Path | None = None) -> dict[str, tuple[int, int] | None]:
    names = tuple(map(str, sources))
    request = Request(into=Path("x"), sources=names, manifest=str(manifest) if manifest else None, features=True)
    listing = list_items(request, SetFiles())
    assert not listing.failures
    return {item.id: item.shape for item in listing.items}


def stack(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_a_two_dimensional_npy_is_one_set_named_by_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", stack(5, 3))
    assert listed(tmp_path) == {"a.npy": (5, 3)}
    assert listed(tmp_path / "a.npy") == {"a.npy": (5, 3)}


def test_a_three_dimensional_npy_is_many_sets_named_by_number(tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", stack(2, 5, 3))
    assert listed(tmp_path) == {"many.npy/0": (5, 3), "many.npy/1": (5, 3)}
    assert listed(tmp_path / "many.npy") == {"0": (5, 3), "1": (5, 3)}


def test_a_safetensors_file_holds_sets_named_by_key(tmp_path: Path) -> None:
    save_file({"cat.jpg": stack(5, 3), "dogs": stack(2, 4, 3)}, tmp_path / "s.safetensors")
    assert listed(tmp_path / "s.safetensors") == {"cat.jpg": (5, 3), "dogs/0": (4, 3), "dogs/1": (4, 3)}
    assert "s.safetensors/cat.jpg" in listed(tmp_path)


def test_tokens_are_those_of_the_file(tmp_path: Path) -> None:
    save_file({"one": stack(5, 3), "many": stack(2, 4, 3)}, tmp_path / "s.safetensors")
    np.save(tmp_path / "m.npy", stack(2, 4, 3))
    files = SetFiles(keep=1)
    request = Request(into=Path("x"), sources=(str(tmp_path),), features=True)
    read = {item.id: files.tokens(item) for item in list_items(request, files).items}
    np.testing.assert_array_equal(read["s.safetensors/one"], stack(5, 3))
    np.testing.assert_array_equal(read["s.safetensors/many/1"], stack(2, 4, 3)[1])
    np.testing.assert_array_equal(read["m.npy/0"], stack(2, 4, 3)[0])


def test_a_manifest_gives_sets_metadata_by_key(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", stack(3, 4, 3))
    (tmp_path / "list.csv").write_text("path,key,id,label\nm.npy,2,two,cat\nm.npy,0,,dog\n")
    assert listed(manifest=tmp_path / "list.csv") == {"m.npy/0": (4, 3), "two": (4, 3)}


def test_a_manifest_without_keys_takes_every_set_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", stack(2, 4, 3))
    (tmp_path / "list.csv").write_text("path,id\nm.npy,x\n")
    assert listed(manifest=tmp_path / "list.csv") == {"x/0": (4, 3), "x/1": (4, 3)}


def test_an_id_given_twice_over_files_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", stack(2, 4, 3))
    (tmp_path / "list.csv").write_text("path,key,id\nm.npy,0,x\nm.npy,1,x\n")
    with pytest.raises(InvalidInput, match=r"m\.npy#0 .* and .*m\.npy#1"):
        listed(manifest=tmp_path / "list.csv")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"\x93NUMPY\x01\x00\x10\x00{'x': 1}      \n"])
@pytest.mark.parametrize("name", ["x.npy", "x.safetensors"])
def test_a_file_of_something_else_is_refused_in_a_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FeatureError, match="write it again"):
        SetFiles().sets(str(tmp_path / name))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FeatureError, match="Python objects"):
        SetFiles().sets(str(tmp_path / "x.npy"))
