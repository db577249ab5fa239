"""A folder for each class."""

from __future__ import annotations

from pathlib import Path

import pytest

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels import LabelsFormat, read_labels


def test_the_first_folder_is_the_class_and_loose_images_are_left_out(tmp_path: Path) -> None:
    for name in ("n01440764/a.JPEG", "n01440764/more/b.jpg", "n02102040/c.png", "loose.png", "n02102040/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = read_labels(tmp_path)
    assert found.format is LabelsFormat.FOLDERS
    assert found.labels == {
        "n01440764/a.JPEG": {"n01440764"},
        "n01440764/more/b.jpg": {"n01440764"},
        "n02102040/c.png": {"n02102040"},
    }
    assert found.left_out == (f"{tmp_path / 'loose.png'} is left out: it lies in no class's folder",)


@pytest.mark.parametrize("names", [["val"], ["train", "val"]])
def test_parts_of_a_data_set_are_no_classes(tmp_path: Path, names: list[str]) -> None:
    """Every image would be like every other, or like half of them: figures without meaning."""
    for name in names:
        (tmp_path / name / "frankfurt").mkdir(parents=True)
        (tmp_path / name / "frankfurt" / "a.png").touch()
    with pytest.raises(InvalidInput, match=f"lie in {' and '.join(names)}, which would be their only labels"):
        read_labels(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="labels no image; check that it is the file or folder meant"):
        read_labels(tmp_path)
    with pytest.raises(InvalidInput, match="folders have no 'instances'"):
        read_labels(tmp_path, kind="instances")
