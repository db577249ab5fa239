"""Networks by name: a family registers itself with a decorator, `load_extractor` finds it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from setwise_engine.errors import InvalidInput, NotFound
from setwise_engine.features._extractor import Extractor, Request

__all__ = ["DEFAULT_MODEL", "check_model", "load_extractor", "model_names", "register"]

DEFAULT_MODEL = "efficientnet-lite0"

Loader = Callable[[Request], Extractor]
_loaders: dict[str, Loader] = {}


def register(name_or_prefix: str) -> Callable[[Loader], Loader]:
    """Decorate the function that loads a network called `name`, or a family of them called `prefix:<name>`."""

    def keep(loader: Loader) -> Loader:
        _loaders[name_or_prefix] = loader
        return loader

    return keep


def model_names() -> list[str]:
    """What may be asked for: names, and families written `family:<name>`."""
    _import_families()
    return sorted(f"{key}<name>" if key.endswith(":") else key for key in _loaders)


def load_extractor(
    name: str = DEFAULT_MODEL,
    *,
    image_size: int | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    bf16: bool = False,
) -> Extractor:
    """Load a network by name, ready to turn pixels into tokens.

    name: as `model_names()` says: "efficientnet-lite0", "torchvision:resnet50", "timm:vit_small_patch14_dinov2".
    image_size: side of the square the network sees, in pixels; None takes the network's default.
    weights: a local .pth or .safetensors file, or the name of published weights; None takes the network's default.
    device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1". bf16: compute in bfloat16, less exact.
    Raises NotFound for an unknown model or file, InvalidInput for weights or sizes that do not fit the network, and
    Unavailable for weights or devices that this machine lacks.
    """
    loader, rest = _find(name)
    if image_size is not None and image_size < 1:
        raise InvalidInput(f"image size {image_size} is not positive", field="image_size")
    return loader(Request(name=name, variant=rest, image_size=image_size, weights=weights, device=device, bf16=bf16))


def check_model(name: str) -> None:
    """Raises NotFound for what no family calls a model, without loading anything of it."""
    _find(name)


def _find(name: str) -> tuple[Loader, str]:
    """What loads the model, and its name in the family."""
    _import_families()
    family, colon, rest = name.partition(":")
    loader = _loaders.get(family + colon)
    if loader is None or bool(colon) != bool(rest):
        raise NotFound(f"there is no model {name!r}; choose one of {', '.join(model_names())}", field="model")
    return loader, rest


def _import_families() -> None:
    package = importlib.import_module("setwise_engine.features")
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
