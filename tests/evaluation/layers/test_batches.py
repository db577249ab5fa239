"""Images in every form that is taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from setwise_engine.errors import InvalidInput
from setwise_evaluation.layers._batches import Images, batches, count


def sizes(model: nn.Module, images: Images) -> list[int]:
    return [len(part) for part in batches(model, images, 2, None)]


def test_arrays_are_cut_and_batches_taken_as_they_come(convolutions: nn.Module, images: Tensor) -> None:
    assert sizes(convolutions, images) == sizes(convolutions, images.numpy()) == [2, 2, 1]
    assert sizes(convolutions, [images[:1], images[1:].numpy()]) == [1, 4]
    assert sizes(convolutions, DataLoader(TensorDataset(images, torch.arange(5)), batch_size=3)) == [3, 2]
    assert (count(images), count(images.numpy()), count([images])) == (5, 5, None)


def test_floats_take_the_models_type_and_integers_keep_theirs(convolutions: nn.Module, images: Tensor) -> None:
    (part,) = batches(convolutions, images.double().numpy(), 8, None)
    assert part.dtype == torch.float32
    (part,) = batches(convolutions.double(), images, 8, None)
    assert part.dtype == torch.float64
    (part,) = batches(convolutions, torch.zeros(1, 3, dtype=torch.int64), 8, None)
    assert part.dtype == torch.int64


def test_read_only_arrays_are_copied_without_a_warning(convolutions: nn.Module, images: Tensor) -> None:
    array = images.numpy().copy()
    array.flags.writeable = False
    assert np.array_equal(next(batches(convolutions, array, 5, "cpu")).numpy(), array)


def test_what_is_no_batch_is_named(convolutions: nn.Module, images: Tensor) -> None:
    with pytest.raises(InvalidInput, match="a batch is a str"):
        sizes(convolutions, ["photo.jpg"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match=r"a batch has shape \(0, 3, 8, 8\)"):
        sizes(convolutions, [images[:0]])
    with pytest.raises(InvalidInput, match="batch is 0"):
        list(batches(convolutions, images, 0, None))
