"""Layers by their qualified names, or by patterns of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from torch import nn

from setwise_engine.errors import InvalidInput, NotFound

__all__ = ["check_module", "matches", "resolve"]


def resolve(model: nn.Module, layers: Sequence[str] | str) -> dict[str, nn.Module]:
    """The modules that `layers` name, in the model's order, each once.

    A name is one of `model.named_modules()`; in a pattern `*` stands for part of one step of a name and `**` for any
    number of steps: `blocks.*` is blocks.0 and blocks.1 but not blocks.0.attn, which `blocks.**` is. A module with two
    names goes by the one that was asked for. Raises NotFound, with the closest names, for what names nothing, and
    InvalidInput for no layers and for what is no module.
    """
    patterns = [layers] if isinstance(layers, str) else list(layers)
    if not patterns:
        raise InvalidInput("no layers are named; layer_names(model, images) lists them", field="layers")
    check_module(model)
    modules = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    found: set[str] = set()
    for pattern in patterns:
        hits = [name for name in modules if matches(pattern, name)]
        if not hits:
            raise NotFound(_unknown(pattern, list(modules), model), field="layers")
        found.update(hits)
    return {name: module for name, module in modules.items() if name in found}


def check_module(model: object) -> None:
    """Raises InvalidInput unless the model is a torch module: others take no hooks."""
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"the model is a {type(model).__name__}; give a torch.nn.Module", field="model")


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern, as in `resolve`, names a layer."""
    parts = (".*" if part == "**" else "[^.]*" if part == "*" else re.escape(part) for part in _SPLIT.split(pattern))
    return re.fullmatch("".join(parts), name) is not None


_SPLIT = re.compile(r"(\*\*|\*)")


def _unknown(pattern: str, names: list[str], model: nn.Module) -> str:
    close = get_close_matches(pattern, names, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(close)}?" if close else "layer_names(model, images) lists them"
    return f"{type(model).__name__} has no layer {pattern!r}; {hint}"
