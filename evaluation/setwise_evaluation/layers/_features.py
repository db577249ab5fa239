"""Forward passes with hooks: layers by name to arrays of activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from setwise_engine.errors import FeatureError, InvalidInput, Unavailable
from setwise_evaluation.layers._batches import Images, batches, count
from setwise_evaluation.layers._hooks import Calls, Select, as_tensor, check_channels_first, hooked, undisturbed
from setwise_evaluation.layers._names import check_module, matches, resolve
from setwise_evaluation.layers._sinks import Features, FileSink, MemorySink, Sink, file_of

__all__ = ["features_of", "layer_names"]


def features_of(
    model: nn.Module,
    images: Images,
    layers: Sequence[str] | str,
    *,
    batch: int = 16,
    prefix_tokens: int | Mapping[str, int] = 0,
    calls: Calls = "only",
    select: Select | None = None,
    device: torch.device | str | None = None,
    store: str | Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, Features]:
    """What the named layers of a torch module give for images: one float32 array on the CPU a layer.

    images: all in one tensor or array (n, ...), preprocessed as the model wants it, cut into batches of `batch`; or an
    iterable of batches (a DataLoader: of a tuple or list the first item is taken), as they come. Floats are brought to
    the model's float type.
    layers: names as in `model.named_modules()`; `*` stands for part of one step, `**` for any steps: "blocks.*",
    "**.relu2". The answer has them in the model's order.

    Answer: maps (n, c, h, w) or tokens (n, t, d), as the layer gives them; a vector (n, d) becomes (n, 1, d), a set of
    one token. `rsm` takes all three. A layer with channels last (Swin) needs
    `select=lambda name, output: output.permute(0, 3, 1, 2)`: nothing in a shape tells of it. Networks of timm do tell,
    and are refused without it. Batches come first: attention with batch_first=False needs a `select` too.
    prefix_tokens: how many tokens in front (class, registers) to drop from answers (n, t, d), for all layers or by
    pattern: they are at no place in the image. timm says `model.num_prefix_tokens`; the patch embedding has none yet.
    calls: a module that one pass calls several times (the one ReLU of a torchvision ResNet block) is refused ("only"),
    or its "first" or "last" call counts.
    select: (name, output) -> tensor, for outputs that are dicts or the like; without it the first item of a tuple or
    list counts (attention layers give their output first).
    device: where the batches go; by default to where the model's first parameter is. The model is not moved.
    store: a folder that gets LAYER.npy files, in place of memory; the arrays are then read-only memory maps of them.
    progress: called with images done and all images (None for an iterable) after each batch.

    Activations are copied in the hook, before a layer that works in place writes over them. The model is in evaluation
    mode without grads meanwhile; on return, and on any error, hooks are gone, training flags are as before and no
    half-written file is left.
    Raises NotFound with close names for unknown layers, FeatureError for layers that give no such tensor, are not
    called, are called twice or change their shape, AlreadyExists for a file of the store, Unavailable for a store that
    cannot be made a folder, InvalidInput for bad options, images of a type that the model does not take (uint8 that was
    not preprocessed) or that hold NaN or infinity, and for what takes no hooks: TorchScript, functions.
    """
    modules = resolve(model, layers)
    if calls not in ("only", "first", "last"):
        raise InvalidInput(f"calls is {calls!r}; choose only, first or last", field="calls")
    sinks = {name: _sink(name, count(images), store) for name in modules}
    done, everything = 0, count(images)
    with ExitStack() as stack:
        for sink in sinks.values():
            stack.callback(sink.discard)
        for part in batches(model, images, batch, device):
            for name, output in _forward(model, modules, part, calls, select).items():
                sinks[name].add(_without_prefix(name, output, prefix_tokens).numpy())
            done += len(part)
            if progress is not None:
                progress(done, everything)
        if not done:
            raise InvalidInput("there are no images; give at least one", field="images")
        features = {name: sink.finish() for name, sink in sinks.items()}
        stack.pop_all()
    return features


def _sink(name: str, images: int | None, store: str | Path | None) -> Sink:
    if store is None:
        return MemorySink(name, images)
    folder = Path(store)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be made a folder ({error.strerror}); name another", field="store"
        ) from error
    return FileSink(name, file_of(folder, name))


def _forward(
    model: nn.Module, modules: Mapping[str, nn.Module], images: Tensor, calls: Calls, select: Select | None
) -> dict[str, Tensor]:
    """One pass: the output of every layer, copied to float32 on the CPU."""
    outputs: dict[str, Tensor] = {}

    def read(name: str, output: object) -> None:
        if name in outputs and calls == "only":
            raise FeatureError(
                f"layer {name} is called more than once in a pass; say calls='first' or 'last'", field="layers"
            )
        if name not in outputs or calls == "last":
            found = as_tensor(name, output, len(images), select)
            if found.ndim == 4 and select is None:
                check_channels_first(model, name)
            outputs[name] = found.detach().to("cpu", torch.float32, copy=True)

    with undisturbed(model), hooked(modules, read):
        _pass(model, images)
    if missing := [name for name in modules if name not in outputs]:
        raise FeatureError(
            f"{', '.join(missing)} took no part in the forward pass; layer_names(model, images) lists what does",
            field="layers",
        )
    return {name: outputs[name] for name in modules}


def _pass(model: nn.Module, images: Tensor) -> None:
    """Raises InvalidInput where the model fails on whole numbers: most often pixels that were not preprocessed."""
    try:
        model(images)
    except RuntimeError as error:
        if images.is_floating_point():
            raise
        kind = str(images.dtype).removeprefix("torch.")
        raise InvalidInput(
            f"the model does not take images of {kind} ({error}); preprocess them as it wants", field="images"
        ) from error


def _without_prefix(name: str, output: Tensor, prefix_tokens: int | Mapping[str, int]) -> Tensor:
    """(n, c, h, w) as it is, (n, t, d) without its first tokens, (n, d) as (n, 1, d)."""
    if output.ndim != 3:
        return output if output.ndim == 4 else output[:, None, :]
    dropped = prefix_tokens if isinstance(prefix_tokens, int) else _of_pattern(name, prefix_tokens)
    if not 0 <= dropped < output.shape[1]:
        raise InvalidInput(
            f"prefix_tokens is {dropped}, but layer {name} has {output.shape[1]} tokens", field="prefix_tokens"
        )
    return output[:, dropped:]


def _of_pattern(name: str, prefix_tokens: Mapping[str, int]) -> int:
    return next((number for pattern, number in prefix_tokens.items() if matches(pattern, name)), 0)


def layer_names(
    model: nn.Module, images: Images, *, device: torch.device | str | None = None
) -> dict[str, tuple[int, ...]]:
    """The layers that give several tokens an image, in the order in which a pass first calls them.

    images: as in `features_of`; the first two (or the first batch) are run through the model once. Answer: name to the
    shape for one image, (c, h, w) with h w > 1 or (t, d) with t > 1 (class and register tokens counted), as the layer
    gives it; for a module that a pass calls several times that of its last call. The model is left as `features_of`
    leaves it. Raises InvalidInput for no images, and for TorchScript.
    """
    check_module(model)
    shapes: dict[str, tuple[int, ...]] = {}
    part = next(batches(model, images, 2, device), None)
    if part is None:
        raise InvalidInput("there are no images; give at least one", field="images")

    def read(name: str, output: object) -> None:
        try:
            shape = tuple(as_tensor(name, output, len(part), None).shape[1:])
        except FeatureError:
            return
        if (len(shape) == 2 and shape[0] > 1) or (len(shape) == 3 and shape[1] * shape[2] > 1):
            shapes[name] = shape

    with undisturbed(model), hooked({name: module for name, module in model.named_modules() if name}, read):
        _pass(model, part)
    return shapes
