"""Images in whatever form, as batches that a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from setwise_engine.errors import InvalidInput

__all__ = ["Images", "batches", "count"]

Array: TypeAlias = "Tensor | NDArray[np.generic]"
Images: TypeAlias = "Array | Iterable[Array | tuple[Array, ...] | list[Array]]"
"""All images in one array, or batches of them, such as a DataLoader gives."""


def count(images: Images) -> int | None:
    """How many images there are; None where only their batches will tell."""
    return len(images) if isinstance(images, (Tensor, np.ndarray)) else None


def batches(model: nn.Module, images: Images, size: int, device: torch.device | str | None) -> Iterator[Tensor]:
    """Batches (b, ...) on the model's device, floats in the model's float type.

    Raises InvalidInput for a size below 1, for what is no batch, and for the image that holds NaN or infinity.
    """
    if size < 1:
        raise InvalidInput(f"batch is {size}; give at least 1 image a forward pass", field="batch")
    sample = next((tensor for tensor in _held(model) if tensor.is_floating_point()), None)
    place = device if device is not None else sample.device if sample is not None else "cpu"
    done = 0
    for part in _parts(images, size):
        tensor = _tensor(part)
        if not tensor.ndim or not len(tensor):
            raise InvalidInput(f"a batch has shape {tuple(tensor.shape)}; give at least one image", field="images")
        _check_finite(tensor, done)
        done += len(tensor)
        kind = sample.dtype if sample is not None and tensor.is_floating_point() else tensor.dtype
        yield tensor.to(place, kind)


def _held(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _parts(images: Images, size: int) -> Iterator[object]:
    if isinstance(images, (Tensor, np.ndarray)):
        for start in range(0, len(images), size):
            yield images[start : start + size]
        return
    for item in images:
        yield item[0] if isinstance(item, (tuple, list)) and item else item


def _check_finite(images: Tensor, first: int) -> None:
    """first: how many images there were before these."""
    if not images.is_floating_point() or torch.isfinite(images).all():
        return
    row = int((~torch.isfinite(images).flatten(1).all(dim=1)).nonzero()[0])
    raise InvalidInput(f"image number {first + row} holds NaN or infinity; leave it out, or mend it", field="images")


def _tensor(part: object) -> Tensor:
    if isinstance(part, Tensor):
        return part
    if isinstance(part, np.ndarray):
        # torch warns of arrays that must not be written to, such as read-only memory maps.
        return torch.from_numpy(part if part.flags.writeable else part.copy())
    raise InvalidInput(
        f"a batch is a {type(part).__name__}; give tensors or arrays (b, ...), or tuples that begin with one",
        field="images",
    )
