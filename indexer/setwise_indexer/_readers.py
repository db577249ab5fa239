"""What the pipeline does with one item: read and prepare it, then encode a batch of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from setwise_engine.collection import ImageRecord, Source
from setwise_engine.encoder import Encoder
from setwise_engine.errors import FeatureError
from setwise_engine.feature_set import FeatureSet, Stage
from setwise_engine.features import DecodeLimits, Extractor, PreparedImage, prepare_image
from setwise_engine.featurizer import Featurizer
from setwise_indexer._plan import Job, source_of
from setwise_indexer._read import content_hash, read_file
from setwise_indexer._sets import SetFiles

__all__ = ["EncodeImages", "EncodeSets", "ExtractImages", "Prepared", "ReadSets", "Reader", "Unchanged", "record_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An item read and checked, ready for the network: the image, or the raw set."""

    job: Job
    source: Source | None
    hash: str
    content: PreparedImage | FeatureSet


@dataclass(frozen=True, slots=True)
class Unchanged:
    """An item whose bytes are those that are stored; only where they lie, or their time, is new."""

    job: Job
    source: Source | None


class Reader(Protocol):
    """Both steps are called from several threads at once."""

    def prepare(self, job: Job) -> Prepared | Unchanged:
        """Read one item. Raises EngineError or OSError for one that cannot be used."""
        ...

    def encode(self, batch: Sequence[Prepared]) -> list[FeatureSet]:
        """The feature sets of a batch, in its order."""
        ...


class ExtractImages:
    """Images to raw sets, as `fit_encoder` takes them."""

    def __init__(self, extractor: Extractor, limits: DecodeLimits, *, thumbnails: bool = False) -> None:
        self._extractor, self._limits, self._thumbnails = extractor, limits, thumbnails

    def prepare(self, job: Job) -> Prepared | Unchanged:
        """Read, hash and decode."""
        data, status = read_file(job.item.path, self._limits.max_bytes)
        source, digest = source_of(job.item, status), content_hash(data)
        if job.known and job.known.content_hash == digest:
            return Unchanged(job, source)
        side = self._extractor.info.image_size
        return Prepared(job, source, digest, prepare_image(data, side, limits=self._limits, thumbnail=self._thumbnails))

    def encode(self, batch: Sequence[Prepared]) -> list[FeatureSet]:
        """One forward pass."""
        info = self._extractor.info
        tokens = self._extractor.extract(np.stack([image.pixels for image in _images(batch)]))
        return [FeatureSet(each, Stage.RAW, info.fingerprint, grid=info.grid) for each in tokens]


class EncodeImages(ExtractImages):
    """Images to sets of the collection."""

    def __init__(self, extractor: Extractor, encoder: Encoder, limits: DecodeLimits, *, thumbnails: bool) -> None:
        super().__init__(extractor, limits, thumbnails=thumbnails)
        self._featurizer = Featurizer(extractor, encoder, limits=limits)

    def encode(self, batch: Sequence[Prepared]) -> list[FeatureSet]:
        """One forward pass and the encoder."""
        return self._featurizer.encode(_images(batch))


class ReadSets:
    """Ready-made sets as they are in their files."""

    def __init__(self, files: SetFiles, dims: int) -> None:
        self._files, self._dims = files, dims

    def prepare(self, job: Job) -> Prepared | Unchanged:
        """Read, hash and check."""
        source = source_of(job.item)
        tokens = self._files.tokens(job.item)
        if tokens.dtype == np.float64:
            tokens = tokens.astype(np.float32)
        digest = content_hash(repr((tokens.shape, tokens.dtype.str)).encode(), np.ascontiguousarray(tokens).data)
        if job.known and job.known.content_hash == digest:
            return Unchanged(job, source)
        if tokens.ndim == 2 and tokens.shape[1] != self._dims:
            raise FeatureError(f"tokens have {tokens.shape[1]} dimensions, this collection takes {self._dims}")
        return Prepared(job, source, digest, FeatureSet(tokens))

    def encode(self, batch: Sequence[Prepared]) -> list[FeatureSet]:
        """Nothing: the sets are raw already."""
        return _sets(batch)


class EncodeSets(ReadSets):
    """Ready-made sets through the collection's encoder."""

    def __init__(self, files: SetFiles, encoder: Encoder) -> None:
        super().__init__(files, encoder.dims_in)
        self._encoder = encoder

    def encode(self, batch: Sequence[Prepared]) -> list[FeatureSet]:
        """The encoder alone."""
        return [self._encoder.encode_set(each) for each in _sets(batch)]


def _images(batch: Sequence[Prepared]) -> list[PreparedImage]:
    return [one.content for one in batch if isinstance(one.content, PreparedImage)]


def _sets(batch: Sequence[Prepared]) -> list[FeatureSet]:
    return [one.content for one in batch if isinstance(one.content, FeatureSet)]


def record_of(prepared: Prepared, features: FeatureSet) -> ImageRecord:
    """What the collection stores of an item."""
    thumbnail = prepared.content.thumbnail if isinstance(prepared.content, PreparedImage) else b""
    job = prepared.job
    return ImageRecord(job.item.id, features, job.metadata, prepared.hash, prepared.source, thumbnail)
