"""Content hashes: the indexer's for files, and all that a ready-made set says for sets."""

from __future__ import annotations

import hashlib
from pathlib import Path

from setwise_proto.v1 import types_pb2 as types
from setwise_server._tensors import features_to_proto
from setwise_server.ingest._hashes import image_hash, set_hash


def test_a_file_has_the_hash_that_the_indexer_gives_it(photos: list[Path]) -> None:
    data = photos[0].read_bytes()
    assert image_hash(data) == hashlib.blake2b(data, digest_size=16).hexdigest()


def test_equal_sets_have_equal_hashes_and_whatever_differs_makes_another(make_set) -> None:
    first = features_to_proto(make_set(1))
    same = types.FeatureSet.FromString(first.SerializeToString())
    assert set_hash(same) == set_hash(first)
    hashes = {set_hash(first), set_hash(features_to_proto(make_set(2)))}
    for change in (
        lambda other: setattr(other, "model", "m"),
        lambda other: setattr(other, "stage", types.STAGE_ENCODED),
        lambda other: setattr(other, "encoder", "e"),
        lambda other: other.ClearField("grid"),
        lambda other: setattr(other.image_size, "width", 7),
        lambda other: setattr(other.tokens, "dtype", types.DTYPE_FLOAT16),
        lambda other: other.tokens.shape.reverse(),
    ):
        other = types.FeatureSet.FromString(first.SerializeToString())
        change(other)
        hashes.add(set_hash(other))
    assert len(hashes) == 9
