"""What every method about whole collections sends, and how it reads the answer; written once for both clients."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from setwise._context import Context
from setwise._errors import InvalidArgumentError, NotFoundError
from setwise._item import SampleLike, check_items, prepare_items, sample_items
from setwise._options import whole
from setwise._parse import parse_collection
from setwise._plan_writes import progress_function
from setwise._reports import CompactionReport
from setwise._steps import SLACK, Steps, ask
from setwise._tally import ProgressLike
from setwise._transfers import Download, Fit
from setwise._values import CollectionInfo
from setwise_proto.v1 import collections_pb2 as pb

__all__ = ["AdminPlans"]

_SERVICE = "CollectionService"
_ENCODERS = {"default": pb.ENCODER_SOURCE_DEFAULT, "fit": pb.ENCODER_SOURCE_FIT}


class AdminPlans:
    """The plans of the methods about whole collections."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self,
        name: str,
        *,
        model: str | None,
        features: bool,
        dims: int | None,
        encoder: str,
        encoder_from: str | None,
        coarse: str | None,
        thumbnails: bool,
        gate: bool,
    ) -> Steps[CollectionInfo]:
        if encoder not in _ENCODERS:
            what = "give 'default' or 'fit', or name another collection as encoder_from"
            raise InvalidArgumentError(f"encoder is {encoder!r}; {what}", field="encoder")
        if encoder_from is not None and encoder != "default":
            raise InvalidArgumentError("give either encoder or encoder_from", field="encoder_from")
        request = pb.CreateCollectionRequest(
            name=_text(name, "name"),
            model="" if model is None else _text(model, "model"),
            features=bool(features),
            dims=None if dims is None else whole(dims, "dims"),
            encoder=_ENCODERS[encoder] if encoder_from is None else pb.ENCODER_SOURCE_COLLECTION,
            encoder_from="" if encoder_from is None else _text(encoder_from, "encoder_from"),
            coarse="" if coarse is None else _text(coarse, "coarse"),
            no_thumbnails=not thumbnails,
            no_gate=not gate,
        )
        reply = yield from ask(_SERVICE, "CreateCollection", request, pb.CreateCollectionResponse, once=True)
        return parse_collection(reply.collection)

    def fit(self, images: Iterable[SampleLike], collection: str | None) -> Steps[Fit]:
        check_items(images)
        limits = yield from self._context.limits()
        room = (limits.max_message_bytes or 1 << 20) - SLACK
        start = pb.FitEncoderStart(collection=self._context.name(collection))
        requests = [pb.FitEncoderRequest(start=start)]
        size = room
        for item in prepare_items(sample_items(images), limits):
            if item.message is None:
                assert item.error is not None
                raise item.error
            if size + item.size > room:
                requests.append(pb.FitEncoderRequest(data=pb.FitEncoderData()))
                size = 0
            requests[-1].data.images.append(item.message)
            size += item.size + 16
        return Fit(requests)

    def drop(self, name: str) -> Steps[None]:
        request = pb.DropCollectionRequest(name=_text(name, "name"))
        yield from ask(_SERVICE, "DropCollection", request, pb.DropCollectionResponse, once=True)

    def set_alias(self, alias: str, collection: str) -> Steps[str | None]:
        request = pb.SetAliasRequest(alias=_text(alias, "alias"), collection=_text(collection, "collection"))
        reply = yield from ask(_SERVICE, "SetAlias", request, pb.SetAliasResponse)
        return reply.previous or None

    def delete_alias(self, alias: str) -> Steps[None]:
        request = pb.DeleteAliasRequest(alias=_text(alias, "alias"))
        yield from ask(_SERVICE, "DeleteAlias", request, pb.DeleteAliasResponse, once=True)

    def aliases(self) -> Steps[dict[str, str]]:
        reply = yield from ask(_SERVICE, "ListAliases", pb.ListAliasesRequest(), pb.ListAliasesResponse)
        return {alias.alias: alias.collection for alias in reply.aliases}

    def compact(self, everything: bool, collection: str | None) -> Steps[CompactionReport]:
        request = pb.CompactCollectionRequest(name=self._context.name(collection), everything=bool(everything))
        reply = yield from ask(_SERVICE, "CompactCollection", request, pb.CompactCollectionResponse)
        return CompactionReport(
            segments_before=reply.segments_before,
            segments_after=reply.segments_after,
            dropped=reply.dropped,
            freed_bytes=reply.freed_bytes,
            written_bytes=reply.written_bytes,
            collection=parse_collection(reply.collection),
        )

    def snapshot(
        self, path: str | os.PathLike[str] | BinaryIO, progress: ProgressLike, collection: str | None
    ) -> Download:
        """Not a plan: it asks for nothing before. Made at once, so that a wrong path is told at once."""
        if not isinstance(path, str | os.PathLike):
            return Download(self._context.name(collection), path, progress_function(progress))
        file = Path(path)
        if file.is_dir():
            raise InvalidArgumentError(f"{file} is a directory; name a file, such as photos.tar", field="path")
        if not file.absolute().parent.is_dir():
            raise NotFoundError(f"there is no folder {file.absolute().parent}; make it first", field="path")
        return Download(self._context.name(collection), file, progress_function(progress))


def _text(value: str, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidArgumentError(f"{name} is {value!r}; give text that is not empty", field=name)
    return value
