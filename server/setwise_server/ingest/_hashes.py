"""What tells whether an image is the one that is stored."""

from __future__ import annotations

import hashlib

from setwise_proto.v1 import types_pb2 as pb

__all__ = ["image_hash", "set_hash"]


def image_hash(data: bytes) -> str:
    """BLAKE2b-128 of an image file's bytes, hexadecimal: the same as the indexer's."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def set_hash(features: pb.FeatureSet) -> str:
    """BLAKE2b-128 of everything in a ready-made set as it was sent, hexadecimal."""
    tokens = features.tokens
    header = (
        *(tokens.dtype, tuple(tokens.shape), features.stage, features.model, features.encoder),
        (features.grid.rows, features.grid.columns),
        (features.image_size.width, features.image_size.height),
    )
    digest = hashlib.blake2b(repr(header).encode(), digest_size=16)
    digest.update(tokens.data)
    return digest.hexdigest()
