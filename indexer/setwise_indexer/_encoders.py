"""The encoder of a new collection: another collection's, the shipped one, or one fitted to a sample."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from tqdm import tqdm

from setwise_engine.collection import Collection
from setwise_engine.encoder import Encoder, default_encoder, fit_encoder
from setwise_engine.errors import Incompatible, InvalidInput
from setwise_engine.feature_set import Tokens
from setwise_engine.features import ModelInfo
from setwise_indexer._items import Item
from setwise_indexer._pipeline import Crew, Done, Failed, run_pipeline
from setwise_indexer._plan import Job
from setwise_indexer._readers import Reader
from setwise_indexer._request import Request

__all__ = ["encoder_of", "fit_to_sample", "ready_encoder"]

_DEFAULT_DIMS = 256
_LARGEST = float(np.finfo(np.float16).max)
_SAMPLE = 500
_SAMPLE_BYTES = 256 * 2**20


def encoder_of(path: Path) -> Encoder:
    """Another collection's encoder. Raises what opening a collection raises."""
    with Collection.open(path, read_only=True) as other:
        return other.encoder


def ready_encoder(request: Request, model: ModelInfo | None, dims_in: int) -> Encoder | None:
    """The encoder that needs no fitting, if there is one.

    model: None for ready-made sets; dims_in: numbers in a raw token.
    Raises Incompatible when `--encoder-from` names a collection of another model or dimension.
    """
    if request.encoder_from is not None:
        encoder = encoder_of(request.encoder_from)
        wanted = model.fingerprint if model else ""
        if (encoder.model, encoder.dims_in) != (wanted, dims_in):
            raise Incompatible(
                f"the encoder of {request.encoder_from} is for {_named(encoder.model)} with {encoder.dims_in} numbers "
                f"a token, this run has {_named(wanted)} with {dims_in}; take a collection of the same model",
                field="encoder_from",
            )
        return encoder
    shipped = default_encoder(model) if model and not request.fit else None
    return shipped if shipped and request.dims in (None, shipped.dims) else None


def fit_to_sample(
    request: Request, model: ModelInfo | None, items: Sequence[Item], reader: Reader, crew: Crew
) -> Encoder:
    """Fit an encoder to some of the items, always the same ones for the same listing.

    Ready-made sets stay as they are unless `--dims` asks for a number.
    Raises InvalidInput when no item can be read, or when the sample does not span the dimensions asked for.
    """
    jobs = [Job(item) for item in _sample(items, model)]
    tokens = {}
    reason = ""
    with (
        closing(run_pipeline(jobs, reader, crew)) as results,
        tqdm(total=len(jobs), desc="fitting the encoder", unit=" images", disable=None) as bar,
    ):
        for result in results:
            if isinstance(result, Done) and _fits_half(result.features.tokens):
                tokens[result.prepared.job.item.id] = result.features.tokens
            elif isinstance(result, Failed) and not reason:
                reason = f": {result.job.item}: {result.reason}"
            bar.update()
    if not any(len(each) for each in tokens.values()):
        raise InvalidInput(
            f"none of {len(jobs)} files gives usable tokens, nothing can be indexed; check the sources{reason}"
        )
    asked = request.dims or (_DEFAULT_DIMS if model or request.fit else "none")
    dims = None if asked == "none" else asked
    sets = [tokens[id] for id in sorted(tokens)]  # in this order sums, and so the fingerprint, repeat
    encoder = fit_encoder(sets, model=model.fingerprint if model else "", dims=dims)
    if request.dims not in (None, "none", encoder.dims):
        raise InvalidInput(
            f"--dims {request.dims} is more than these images span; give --dims {encoder.dims} or less, or more images",
            field="dims",
        )
    return encoder


def _fits_half(tokens: Tokens) -> bool:
    """Whether fp16 can hold them; the others are reported one by one when their turn comes."""
    return float(np.abs(tokens).max(initial=0.0)) <= _LARGEST


def _sample(items: Sequence[Item], model: ModelInfo | None) -> list[Item]:
    """Up to 500 items or 256 MiB of float32 tokens."""
    order = np.random.default_rng(0).permutation(len(items))[:_SAMPLE]
    chosen, size = list[Item](), 0
    for item in (items[index] for index in order):
        tokens, dims = (model.tokens, model.dims) if model else item.shape or (0, 0)
        size += tokens * dims * 4
        if chosen and size > _SAMPLE_BYTES:
            break
        chosen.append(item)
    return chosen


def _named(model: str) -> str:
    return f"model {model}" if model else "ready-made sets"
