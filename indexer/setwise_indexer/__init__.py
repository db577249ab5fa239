"""Images in bulk to a collection on disk: what `setwise index` runs."""

from setwise_indexer._build import index
from setwise_indexer._items import Failure
from setwise_indexer._request import Request
from setwise_indexer._summary import Summary

__all__ = ["Failure", "Request", "Summary", "index"]
