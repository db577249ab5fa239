"""From a CreateCollection request to the settings and the encoder of a new collection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from setwise_engine.coarse import DEFAULT_COARSE, KINDS
from setwise_engine.collection import Settings
from setwise_engine.encoder import Encoder, default_encoder
from setwise_engine.errors import Incompatible, InvalidInput
from setwise_engine.features import ModelInfo
from setwise_proto.v1 import collections_pb2 as pb
from setwise_server._registry import Registry
from setwise_server._waiting import Waiting

__all__ = ["DEFAULT_DIMS", "Made", "make_encoder", "plain_encoder", "settings_of", "waiting_of"]

DEFAULT_DIMS = 256
MAX_DIMS = 8192
COARSE_DIMS = 64


@dataclass(frozen=True, slots=True)
class Made:
    """All that Collection.create takes."""

    settings: Settings
    encoder: Encoder


def waiting_of(request: pb.CreateCollectionRequest, registry: Registry) -> Waiting:
    """What was asked for, checked as far as it can be without a network. Raises InvalidInput."""
    if request.features and request.model:
        raise InvalidInput("a collection of ready-made sets has no model; leave out one of the two", field="model")
    dims = request.dims if request.HasField("dims") else None
    if dims is not None and not 1 <= dims <= MAX_DIMS:
        raise InvalidInput(f"dims is {dims}; give 1 to {MAX_DIMS}", field="dims")
    coarse = request.coarse or DEFAULT_COARSE
    if coarse not in KINDS:
        raise InvalidInput(f'no coarse vector is called "{coarse}"; choose one of {", ".join(KINDS)}', field="coarse")
    takes = request.encoder == pb.ENCODER_SOURCE_COLLECTION
    if takes != bool(request.encoder_from):
        what = "name the collection to take it from" if takes else "it is for an encoder taken from another collection"
        raise InvalidInput(f'encoder_from is "{request.encoder_from}"; {what}', field="encoder_from")
    thumbnails = not (request.no_thumbnails or request.features)
    model = "" if request.features else request.model or registry.networks.default
    return Waiting(model, dims, coarse, thumbnails, not request.no_gate)


def make_encoder(request: pb.CreateCollectionRequest, waiting: Waiting, registry: Registry) -> Made:
    """Settings and an encoder that is there already; loads the network where there is one.

    Raises NotFound for a model or collection that this server has not, Incompatible when no encoder is shipped for the
    model and dimensions or when the other collection is of another model, InvalidInput when dims are missing.
    """
    info = registry.networks.offered(waiting.model).extractor.info if waiting.model else None
    if request.encoder == pb.ENCODER_SOURCE_COLLECTION:
        encoder = _taken(request.encoder_from, info, waiting.dims, registry)
    elif info is not None:
        encoder = _shipped(info, waiting.dims)
    elif waiting.dims is None:
        raise InvalidInput("ready-made sets are stored as they are; say how many numbers a token has", field="dims")
    else:
        encoder = plain_encoder(waiting.dims)
    return Made(settings_of(waiting, info, encoder), encoder)


def settings_of(waiting: Waiting, info: ModelInfo | None, encoder: Encoder) -> Settings:
    """The settings of a collection of this network (None for ready-made sets) and encoder."""
    return Settings(
        model=info.name if info else "",
        image_size=info.image_size if info else 0,
        model_fingerprint=info.fingerprint if info else "",
        dims=encoder.dims,
        encoder_fingerprint=encoder.fingerprint,
        coarse=waiting.coarse,
        thumbnails=waiting.thumbnails,
        gate=waiting.gate,
    )


def plain_encoder(dims: int) -> Encoder:
    """Stores tokens as they are, without having seen any.

    sigma is 1. The coarse vectors look at the tokens from 64 random directions, always the same ones: the first 64
    numbers would be all that counts, and may be the least telling of an unknown network's.
    """
    if dims <= COARSE_DIMS:
        basis = np.eye(dims, dtype=np.float32)
    else:
        gaussian = np.random.default_rng(0).standard_normal((dims, COARSE_DIMS))
        basis = np.linalg.qr(gaussian)[0].astype(np.float32)
    return Encoder("", dims, dims, None, None, 1.0, basis)


def _shipped(info: ModelInfo, dims: int | None) -> Encoder:
    encoder = default_encoder(info)
    if encoder is None or dims not in (None, encoder.dims):
        wanted = "" if dims is None else f", and {dims} dims were asked for"
        has = f"only one of {encoder.dims} dims" if encoder else "none"
        raise Incompatible(
            f"of the encoders that come with Setwise, {has} is for model {info.fingerprint}{wanted}; "
            'have one fitted (encoder "fit"), or take another collection\'s (encoder_from)',
            field="encoder",
        )
    return encoder


def _taken(name: str, info: ModelInfo | None, dims: int | None, registry: Registry) -> Encoder:
    encoder = registry.get(name, "encoder_from").collection.encoder
    wanted = info.fingerprint if info else ""
    if encoder.model != wanted:
        raise Incompatible(
            f'the encoder of "{name}" is for {encoder.model or "ready-made sets"}, the new collection is for '
            f"{wanted or 'ready-made sets'}; take a collection of the same model",
            field="encoder_from",
        )
    if dims not in (None, encoder.dims):
        raise Incompatible(f'the encoder of "{name}" gives {encoder.dims} dims; leave dims out', field="dims")
    return encoder
