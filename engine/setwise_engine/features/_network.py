"""The part that all torch networks share: device, preprocessing, batches, fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from setwise_engine.errors import EngineError, InvalidInput, Unavailable
from setwise_engine.feature_set import Grid
from setwise_engine.features._decode import PREPARATION
from setwise_engine.features._extractor import ModelInfo, Request
from setwise_engine.features._weights import state_hash

__all__ = [
    "HALF",
    "IMAGENET",
    "Normalisation",
    "TokenMap",
    "TokenMapAndLogits",
    "TorchExtractor",
    "as_map",
    "size_within_limit",
]

_Output = TypeVar("_Output")

_MAX_SIDE = 16
"""Tokens a side at the default image size: at most 256 an image."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Per-channel mean and standard deviation of pixels scaled to 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

TokenMap = Callable[[Tensor], Tensor]
"""From normalised pixels (b, 3, s, s) to a map of tokens (b, rows, columns, D)."""

TokenMapAndLogits = Callable[[Tensor], tuple[Tensor, Tensor]]
"""The same map, and the logits (b, classes) that the network makes of it on the same way."""


def size_within_limit(native: int, stride: int) -> int:
    """A network's own image size, or, where that gives more than 16x16 tokens, the one that gives just these."""
    return min(native, _MAX_SIDE * stride)


def as_map(tokens: Tensor, side: int) -> Tensor:
    """Patch tokens (b, side * side, D) at their places, (b, side, side, D)."""
    return tokens.reshape(len(tokens), side, side, tokens.shape[-1])


class TorchExtractor:
    """An `Extractor` and `Classifier` around a torch module.

    network: the module, weights loaded. token_map: how its tokens are read. tokens: the same in words; they enter the
    fingerprint. with_logits: tokens and logits in one pass; None for a network that has no classifier.
    Threads are left to the caller (`torch.set_num_threads`). Safe to call from several threads.
    Raises Unavailable for a device this machine lacks and InvalidInput for an image size the network cannot take.
    """

    def __init__(
        self,
        request: Request,
        network: nn.Module,
        token_map: TokenMap,
        *,
        image_size: int,
        normalisation: Normalisation,
        tokens: str,
        with_logits: TokenMapAndLogits | None = None,
    ) -> None:
        self._device = _device(request.device)
        self._bf16 = request.bf16
        weights = state_hash(network)
        self._network = network.eval().requires_grad_(False).to(self._device).to(memory_format=torch.channels_last)
        self._token_map = token_map
        self._with_logits = with_logits
        self._scale, self._shift = _affine(normalisation, self._device)
        self._image_size = image_size
        _, rows, columns, dims = self._probe(request.name).shape
        self.info = ModelInfo(
            name=request.name,
            image_size=image_size,
            grid=Grid(rows, columns),
            dims=dims,
            weights=weights,
            fingerprint=_fingerprint(request.name, image_size, weights, normalisation, tokens),
        )

    def extract(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Tokens of a batch; see `Extractor.extract`."""
        self._check(pixels)
        if len(pixels) == 0:
            return np.zeros((0, self.info.tokens, self.info.dims), dtype=np.float32)
        return _listed(self._forward(pixels, self._token_map))

    def classify(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Tokens and logits of a batch; see `Classifier.classify`."""
        self._check(pixels)
        if self._with_logits is None:
            raise InvalidInput(f"{self.info.name} has no classifier; choose a network that has one", field="model")
        if len(pixels) == 0:  # how many classes there are is known after a pass
            one = self.classify(np.zeros((1, *pixels.shape[1:]), dtype=np.uint8))
            return one[0][:0], one[1][:0]
        tokens, logits = self._forward(pixels, self._with_logits)
        return _listed(tokens), logits.float().cpu().numpy()

    def _check(self, pixels: NDArray[np.uint8]) -> None:
        side = self.info.image_size
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3):
            raise InvalidInput(
                f"pixels have shape {pixels.shape} and dtype {pixels.dtype}; "
                f"{self.info.name} takes uint8 of shape (b, {side}, {side}, 3)",
                field="pixels",
            )

    def _forward(self, pixels: NDArray[np.uint8], run: Callable[[Tensor], _Output]) -> _Output:
        batch = torch.from_numpy(np.ascontiguousarray(pixels))
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            # (b, s, s, 3) seen as (b, 3, s, s) is channels-last without a copy.
            images = batch.to(self._device).permute(0, 3, 1, 2).float().mul_(self._scale).add_(self._shift)
            return run(images)

    def _probe(self, name: str) -> Tensor:
        side = self._image_size
        try:
            return self._forward(np.zeros((1, side, side, 3), dtype=np.uint8), self._token_map)
        except EngineError:
            raise
        except (RuntimeError, AssertionError, ValueError) as error:
            raise InvalidInput(
                f"{name} cannot take images of {side}x{side} pixels: {error}", field="image_size"
            ) from error


def _listed(tokens: Tensor) -> NDArray[np.float32]:
    """A map (b, rows, columns, D) as a list of tokens, row by row."""
    return tokens.float().flatten(1, 2).contiguous().cpu().numpy()


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidInput(f"unknown device {name!r}; use auto, cpu or cuda", field="device") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise Unavailable("this machine has no usable CUDA device; use --device cpu", field="device")
    if device.type not in {"cpu", "cuda"}:
        raise InvalidInput(f"device {name!r} is not supported; use auto, cpu or cuda", field="device")
    return device


def _affine(normalisation: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """(x / 255 - mean) / std as one product and one sum, each (3, 1, 1)."""
    mean = torch.tensor(normalisation.mean, dtype=torch.float64)
    std = torch.tensor(normalisation.std, dtype=torch.float64)
    scale, shift = 1.0 / (255.0 * std), -mean / std
    return scale.float().view(3, 1, 1).to(device), shift.float().view(3, 1, 1).to(device)


def _fingerprint(name: str, image_size: int, weights: str, normalisation: Normalisation, tokens: str) -> str:
    parts: Sequence[object] = [name, image_size, weights, normalisation.mean, normalisation.std, tokens, PREPARATION]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return f"{name}@{image_size}:{digest[:16]}"
