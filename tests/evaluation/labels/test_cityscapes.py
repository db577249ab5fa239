"""Cityscapes' label images: which classes a picture shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from setwise_engine.errors import InvalidInput
from setwise_evaluation.labels import LabelsFormat, read_labels

FRAME = "val/frankfurt/frankfurt_000000_000294"


def label_image(folder: Path, ids: list[int], *, frame: str = FRAME, kind: str = "labelIds") -> Path:
    """gtFine/val/frankfurt/frankfurt_000000_000294_gtFine_labelIds.png with ten pixels of each id."""
    path = folder / "gtFine" / f"{frame}_gtFine_{kind}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.repeat(np.array(ids, dtype=np.uint8), 10).reshape(len(ids), 10)).save(path)
    return path


def test_the_evaluated_classes_are_labels_of_the_photo_of_the_same_frame(tmp_path: Path) -> None:
    label_image(tmp_path, [0, 1, 3, 4, 7, 26, 26, 26, 9])  # void, road, car, parking
    found = read_labels(tmp_path / "gtFine")
    assert found.format is LabelsFormat.CITYSCAPES
    assert found.labels == {f"{FRAME}_leftImg8bit.png": {"road", "car"}}
    assert found.id_of(f"/data/leftImg8bit/{FRAME}_leftImg8bit.png") == f"{FRAME}_leftImg8bit.png"


def test_all_classes_are_those_that_are_not_void(tmp_path: Path) -> None:
    label_image(tmp_path, list(range(34)))
    (labels,) = read_labels(tmp_path, kind="all-classes").labels.values()
    assert len(labels) == 27
    assert {"parking", "polegroup", "trailer"} <= labels
    (evaluated,) = read_labels(tmp_path).labels.values()
    assert len(evaluated) == 19


def test_ids_and_train_ids_of_one_frame_give_the_same_labels(tmp_path: Path) -> None:
    label_image(tmp_path / "ids", [7, 11, 24, 33, 0, 255])  # road, building, person, bicycle, void, license plate
    label_image(tmp_path / "train", [0, 2, 11, 18, 255, 255], kind="labelTrainIds")
    assert read_labels(tmp_path / "ids").labels.keys() == {f"gtFine/{FRAME}_leftImg8bit.png"}
    assert read_labels(tmp_path / "ids").labels == read_labels(tmp_path / "train").labels
    with pytest.raises(InvalidInput, match="train ids stand for the 19 evaluated classes only"):
        read_labels(tmp_path / "train", kind="all-classes")


def test_small_classes_can_be_left_out(tmp_path: Path) -> None:
    label_image(tmp_path, [7] * 8 + [26] * 2)
    (labels,) = read_labels(tmp_path, min_share=0.21).labels.values()
    assert labels == {"road"}
    (labels,) = read_labels(tmp_path, min_share=0.2).labels.values()
    assert labels == {"road", "car"}
    with pytest.raises(InvalidInput, match=r"min_share is 1.0; give a share from 0 to below 1"):
        read_labels(tmp_path, min_share=1.0)


def test_label_images_that_cannot_be_used_are_left_out_and_named(tmp_path: Path) -> None:
    label_image(tmp_path, [7])
    corrupt = label_image(tmp_path, [7], frame="val/lindau/lindau_000000_000019")
    corrupt.write_bytes(corrupt.read_bytes()[:30])
    strange = label_image(tmp_path, [77], frame="val/lindau/lindau_000001_000019")
    coloured = label_image(tmp_path, [7], frame="val/lindau/lindau_000002_000019")
    Image.new("RGB", (2, 2)).save(coloured)
    found = read_labels(tmp_path)
    assert len(found.labels) == 1
    assert [line.partition(" ")[0] for line in found.left_out] == [str(corrupt), str(strange), str(coloured)]
    assert "hold 77, which is no class of Cityscapes" in found.left_out[1]
    assert "RGB pixels, not ids of one byte" in found.left_out[2]


def test_nothing_left_is_an_error_that_says_why(tmp_path: Path) -> None:
    label_image(tmp_path, [7]).write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=r"labels no image: .*labelIds.png is left out: cannot identify image file"):
        read_labels(tmp_path)


def test_these_images_do_not_count(tmp_path: Path) -> None:
    label_image(tmp_path, [26])
    found = read_labels(tmp_path)
    (id,) = found.ids
    assert found.counts[id] == {"car": 1}
    assert found.at_least[id] == {"car"}
    with pytest.raises(InvalidInput, match="Cityscapes has no 'instances'"):
        read_labels(tmp_path, kind="instances")
