"""Reading what layers give, and leaving the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from setwise_engine.errors import FeatureError, InvalidInput

__all__ = ["Calls", "Select", "as_tensor", "check_channels_first", "hooked", "undisturbed"]

Calls = Literal["only", "first", "last"]
"""Which output counts of a module that one forward pass calls several times; "only" refuses such modules."""

Select = Callable[[str, object], object]
"""From a layer's name and output to the tensor that is wanted."""


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without grads; afterwards every module has its own training flag again.

    The flags are set directly, for `eval` may be overridden to change more. No inference mode: a tensor that a module
    keeps from such a pass (position embeddings, say) could never be trained through again.
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module, flag in flags:
            module.training = flag


@contextmanager
def hooked(modules: Mapping[str, nn.Module], read: Callable[[str, object], None]) -> Iterator[None]:
    """Calls `read(name, output)` after each call of each module, as long as the context lasts.

    Raises InvalidInput for modules of TorchScript.
    """

    def hook_of(name: str) -> Callable[[nn.Module, object, object], None]:
        return lambda _module, _inputs, output: read(name, output)

    with ExitStack() as stack:
        for name, module in modules.items():
            if isinstance(module, torch.jit.ScriptModule):
                raise InvalidInput(f"{name} is TorchScript; give the module that it was made from", field="model")
            stack.callback(module.register_forward_hook(hook_of(name)).remove)
        yield


def as_tensor(name: str, output: object, batch: int, select: Select | None) -> Tensor:
    """A layer's output as floats (batch, c, h, w), (batch, t, d) or (batch, d).

    `select` is asked first; of a tuple or list the first item counts. Raises FeatureError for anything else.
    """
    if select is not None:
        output = select(name, output)
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise FeatureError(f"layer {name} gives {_described(output)}; {_ADVICE}", field="layers")
    if not output.is_floating_point():
        raise FeatureError(f"layer {name} gives {output.dtype}, which are no activations; {_ADVICE}", field="layers")
    if output.ndim not in (2, 3, 4) or len(output) != batch:
        raise FeatureError(
            f"layer {name} gives {tuple(output.shape)} for {batch} images, where (n, c, h, w) or (n, t, d) is needed; "
            f"{_ADVICE}",
            field="layers",
        )
    return output


def check_channels_first(model: nn.Module, name: str) -> None:
    """Raises FeatureError for a network of timm that says of its maps that they are (n, h, w, c)."""
    if getattr(model, "output_fmt", "NCHW") == "NHWC":
        raise FeatureError(
            f"layer {name} is of a network with channels last; say where they are by "
            "select=lambda name, output: output.permute(0, 3, 1, 2), or select=lambda name, output: output",
            field="layers",
        )


_ADVICE = "choose its tensor with select=lambda name, output: ..."


def _described(output: object) -> str:
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} with keys {', '.join(map(str, output))}"
    return f"a {type(output).__name__}"
