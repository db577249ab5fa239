"""From what was asked for to the items of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from setwise_engine.collection import check_id
from setwise_engine.errors import InvalidInput
from setwise_indexer._items import Failure, Item, Listing, printable
from setwise_indexer._manifest import read_manifest
from setwise_indexer._request import Request
from setwise_indexer._sets import SET_SUFFIXES, SetFiles, expand_sets
from setwise_indexer._sources import IMAGE_SUFFIXES, list_sources
from setwise_indexer._stored import list_stored

__all__ = ["list_items"]


def list_items(request: Request, files: SetFiles) -> Listing:
    """Every image or set of the run in order of id. Raises before anything is indexed when ids clash."""
    if request.stored is not None:
        return list_stored(request.stored, files)
    suffixes = SET_SUFFIXES if request.features else IMAGE_SUFFIXES
    if request.manifest:
        listing = read_manifest(request.manifest, keyed=request.features)
    else:
        listing = list_sources(request.sources, suffixes)
    if request.features:
        bare = len(request.sources) == 1 and Path(request.sources[0]).is_file()
        listing = expand_sets(listing, files, bare=bare)
    return _with_usable_ids(listing)


def _with_usable_ids(listing: Listing) -> Listing:
    items = list[Item]()
    failures = list(listing.failures)
    for item in listing.items:
        try:
            check_id(item.id)
            items.append(item)
        except InvalidInput as error:
            reason = f"{error}; rename the file or give ids in a manifest"
            failures.append(Failure(str(item), printable(item.id), reason))
    return replace(listing, items=items, failures=failures)
