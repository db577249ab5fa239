"""Any timm network by name: `timm:vit_small_patch14_dinov2`, `timm:resnet50`, `timm:convnext_tiny`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from setwise_engine.errors import InvalidInput, NotFound, Unavailable
from setwise_engine.features._extractor import Extractor, Request
from setwise_engine.features._network import Normalisation, TokenMapAndLogits, TorchExtractor, as_map, size_within_limit
from setwise_engine.features._registry import register
from setwise_engine.features._weights import is_file_name, mismatch, read_tensors

__all__ = ["load_timm"]


@register("timm:")
def load_timm(request: Request) -> Extractor:
    """The last feature map, or the patch tokens without class and register tokens.

    The default image size is the network's own, made smaller where it would give more than 256 tokens.
    """
    import timm

    if not timm.is_model(request.variant):
        raise NotFound(f"timm has no model {request.variant!r}; timm.list_models() lists its models", field="model")
    blank: Any = timm.create_model(request.variant, pretrained=False)
    config = blank.pretrained_cfg
    native = int(config["input_size"][-1])
    stride = int(getattr(blank, "feature_info", [{}])[-1].get("reduction", 32))
    size = request.image_size or size_within_limit(native, stride)
    fixed = {"img_size": size} if config.get("fixed_input_size") and size != native else {}
    network = _with_weights(request, fixed)
    return TorchExtractor(
        request,
        network,
        lambda images: _token_map(network, network.forward_features(images), request.name),
        image_size=size,
        normalisation=Normalisation(tuple(config["mean"]), tuple(config["std"])),
        tokens="timm forward_features, prefix tokens dropped",
        with_logits=_with_logits(network, request.name) if getattr(network, "num_classes", 0) > 0 else None,
    )


def _with_weights(request: Request, options: dict[str, Any]) -> Any:
    """The network with its weights, brought to its shape by timm itself: position embeddings are resized."""
    import timm

    if request.weights is None:
        try:
            return timm.create_model(request.variant, pretrained=True, **options)
        except Exception as error:  # hub clients fail in many types; the sentence is the same
            raise Unavailable(
                f"the weights of {request.name} cannot be fetched here ({error}); "
                "give a local file of tensors with --weights FILE",
                field="weights",
            ) from error
    if not is_file_name(request.weights):
        raise NotFound(
            f"{request.weights} is no weights file; published timm weights are chosen by the model's tag, "
            "as in timm:resnet50.a1_in1k",
            field="weights",
        )
    path = Path(request.weights)
    overlay = {"state_dict": read_tensors(path), "custom_load": False}
    try:
        return timm.create_model(request.variant, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise mismatch(request.name, str(path), error) from error


def _with_logits(network: Any, name: str) -> TokenMapAndLogits:
    """`forward` of every timm network is `forward_head` after `forward_features`."""

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        features = network.forward_features(images)
        return _token_map(network, features, name), network.forward_head(features)

    return run


def _token_map(network: Any, features: object, name: str) -> Tensor:
    """Maps and token lists of all timm networks as (b, rows, columns, D)."""
    if isinstance(features, Tensor) and features.ndim == 4:
        return features if getattr(network, "output_fmt", "NCHW") == "NHWC" else features.permute(0, 2, 3, 1)
    if isinstance(features, Tensor) and features.ndim == 3:
        patches: Tensor = features[:, getattr(network, "num_prefix_tokens", 0) :]
        side = math.isqrt(patches.shape[1])
        if side * side == patches.shape[1]:
            return as_map(patches, side)
    raise InvalidInput(f"{name} gives no square map of tokens; choose another network", field="model")
