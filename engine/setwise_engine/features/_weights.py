"""Loading tensors, never code: .pth files with `weights_only=True`, and safetensors."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from setwise_engine.errors import InvalidInput, NotFound, Unavailable

__all__ = ["check_sha256", "is_file_name", "load_strictly", "mismatch", "read_tensors", "state_hash"]

_NESTS = ("state_dict", "model", "teacher")
"""Keys under which training programs put the tensors of a checkpoint."""


_SUFFIXES = {".pth", ".pt", ".bin", ".safetensors"}


def is_file_name(weights: str | Path) -> bool:
    """Whether `weights` names a local file, not published weights."""
    return isinstance(weights, Path) or Path(weights).suffix in _SUFFIXES or Path(weights).is_file()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth, .pt, .bin or .safetensors file, by name.

    Raises NotFound for a missing file and InvalidInput for one that holds anything but tensors.
    """
    if not path.is_file():
        raise NotFound(f"there is no weights file {path}", field="weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        raise InvalidInput(
            f"{path} is not a file of plain tensors (.pth or .safetensors): {_first_line(error)}", field="weights"
        ) from error
    return _tensors(content, path)


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    for nest in _NESTS:
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
            break
    if isinstance(content, Mapping):
        tensors = OrderedDict((str(key).removeprefix("module."), value) for key, value in content.items())
        vars(tensors).update(vars(content) if isinstance(content, OrderedDict) else {})  # torch's versions of layers
        if tensors and all(isinstance(value, Tensor) for value in tensors.values()):
            return tensors
    raise InvalidInput(f"{path} holds no state dict of tensors", field="weights")


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor], *, name: str, origin: str) -> None:
    """Put `tensors` into `network`; raises InvalidInput, naming both, unless every tensor fits and none is missing."""
    try:
        network.load_state_dict(tensors, strict=True)
    except (RuntimeError, ValueError) as error:
        raise mismatch(name, origin, error) from error


def mismatch(name: str, origin: str, error: Exception) -> InvalidInput:
    """The error for weights of another network."""
    detail = " ".join(str(error).split())
    shortened = detail if len(detail) <= 300 else detail[:300] + " ..."
    return InvalidInput(f"the weights in {origin} do not fit the model {name}: {shortened}", field="weights")


def check_sha256(path: Path, expected: str) -> None:
    """Raise Unavailable unless the file's SHA-256 is `expected`."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise Unavailable(
            f"the weights file {path} has SHA-256 {found}, not {expected}; reinstall the package it belongs to",
            field="weights",
        )


def state_hash(network: nn.Module) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of a network's tensors: equal weights, equal hash, from any file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
