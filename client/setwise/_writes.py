"""The methods of the blocking client that write images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from setwise._driver import Driver
from setwise._features import Id
from setwise._item import ItemLike
from setwise._plan_writes import Changes, Ids
from setwise._reports import DeleteReport, Outcome, UpdateReport, UpsertReport
from setwise._tally import OnError, ProgressLike
from setwise._where_text import Where

__all__ = ["Writes"]


class Writes(Driver):
    """Stores, changes and deletes images."""

    def upsert(
        self,
        images: Iterable[ItemLike],
        *,
        mode: str = "upsert",
        on_error: OnError = "raise",
        progress: ProgressLike = None,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> UpsertReport:
        """Store images, and wait until all of them are on disk for good.

            report = client.upsert(Path("photos").rglob("*.jpg"), on_error="collect", progress=True)
            print(report.summary())
            client.upsert([setwise.Item("beach", "beach.jpg", {"year": 2021, "tags": ["sea", "sky"]})])

        images: any iterable, of any length, read as fast as the server stores: paths (which are then the ids), pairs
            of an id and an image, or `setwise.Item`s. An image is what `search` takes as a picture, or a FeatureSet.
        mode: "upsert" stores new ids and replaces known ones, "insert" refuses known ones, "update" unknown ones.
            An image that is stored already, by id and content, costs next to nothing: the same call may be repeated.
            An item without metadata leaves a stored image the metadata that it has.
        on_error: what to do when an image fails: "raise" its error once everything sent before is answered, "collect"
            them in the report, or a function that is given each `setwise.Failure`.
        progress: True for a line on stderr, or a function that is given a `setwise.Progress` now and then.
        timeout: seconds that the next answer may take, not the whole. When the connection breaks, what was not
            answered is sent again within `retries`; so an insertion may then meet itself and say ALREADY_EXISTS.
        Raises SetwiseError; what was answered before is stored.
        """
        upload = self._run(self._writes.upsert(images, mode, on_error, progress, collection), timeout)
        return self._stream(upload, timeout)

    def delete(
        self,
        ids: Ids | None = None,
        *,
        where: Where | None = None,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> DeleteReport:
        """Delete images for good: by id, or all that pass a filter.

            client.delete("beach.jpg")
            client.delete(["a.jpg", "b.jpg"]).missing          # ids that were not there
            client.delete(where=setwise.F("year") < 2000)      # where="true" deletes every image

        Many ids travel in several calls; `timeout` counts for each. When a lost answer made the client ask twice, ids
        that the first call deleted count as missing.
        """
        return self._run(self._writes.delete(ids, where, collection), timeout)

    def update(
        self,
        id: str | Id,
        metadata: Mapping[str, Any],
        *,
        replace: bool = False,
        remove: Iterable[str] = (),
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Outcome:
        """Change the metadata of one stored image; its features stay as they are.

            client.update("beach.jpg", {"rating": 5}, remove=["draft"])

        metadata: fields to set; others stay, unless replace is true. remove: fields to drop. Gives "updated", or
        "unchanged" when it was so already. Raises NotFoundError for an unknown id.
        """
        return self._run(self._writes.update(id, metadata, replace, remove, collection), timeout)

    def update_many(
        self,
        changes: Changes,
        *,
        replace: bool = False,
        remove: Iterable[str] = (),
        on_error: OnError = "raise",
        collection: str | None = None,
        timeout: float | None = None,
    ) -> UpdateReport:
        """Change the metadata of many stored images.

            client.update_many({"a.jpg": {"rating": 5}, "b.jpg": {"rating": 3}})

        changes: a dict from ids to fields, or pairs of the two; replace and remove apply to all. on_error as for
        `upsert`; with "raise" the changes beside the failed one may have been made. `timeout` counts for each call.
        """
        return self._run(self._writes.update_many(changes, replace, remove, on_error, collection), timeout)
