"""The methods of the blocking client about whole collections."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import BinaryIO

from setwise._driver import Driver
from setwise._item import SampleLike
from setwise._reports import CompactionReport, FitReport, SnapshotInfo
from setwise._tally import ProgressLike
from setwise._values import CollectionInfo

__all__ = ["Administration"]


class Administration(Driver):
    """Makes, keeps and drops collections."""

    def create_collection(
        self,
        name: str,
        *,
        model: str | None = None,
        features: bool = False,
        dims: int | None = None,
        encoder: str = "default",
        encoder_from: str | None = None,
        coarse: str | None = None,
        thumbnails: bool = True,
        gate: bool = True,
        timeout: float | None = None,
    ) -> CollectionInfo:
        """Make an empty collection on a server that was started with `--root`.

            client.create_collection("photos")
            client.create_collection("mine", features=True, dims=128)

        name: letters, digits, dots, hyphens and underscores, at most 100. model: one of
        `client.info().offered_models`, None for the default; features: for ready-made sets, no network. dims: numbers
        in a stored token. encoder: "default", or "fit" (see `fit_encoder`; nothing can be stored before); or
        encoder_from, another collection. coarse: kind of coarse vector. thumbnails, gate: False leaves them out.
        Raises ConflictError when the name is taken.
        """
        steps = self._admin.create(
            name,
            model=model,
            features=features,
            dims=dims,
            encoder=encoder,
            encoder_from=encoder_from,
            coarse=coarse,
            thumbnails=thumbnails,
            gate=gate,
        )
        return self._run(steps, timeout)

    def fit_encoder(
        self, images: Iterable[SampleLike], *, collection: str | None = None, timeout: float | None = None
    ) -> FitReport:
        """Fit the encoder of a collection made with encoder="fit" to sample images, which are not stored.

            client.fit_encoder(Path("samples").glob("*.jpg"), collection="photos")

        images: what `search` takes as a picture, FeatureSets of raw tokens, or as for `upsert`, whose ids mean nothing
        here; some hundreds of them are best, and all are held in memory. Raises InvalidArgumentError when they are too
        few for the dims. Not repeated when the connection breaks.
        """
        job = self._run(self._admin.fit(images, collection), timeout)
        return self._stream(job, timeout)

    def drop_collection(self, name: str, *, timeout: float | None = None) -> None:
        """Delete a collection and everything in it, for good; an alias is refused.

        Not repeated when the connection breaks: look with `collections` what became of it.
        """
        self._run(self._admin.drop(name), timeout)

    def set_alias(self, alias: str, collection: str, *, timeout: float | None = None) -> str | None:
        """Make a name stand for a collection, in place of the one that it stood for: in one step, for everyone.

            client.set_alias("photos", "photos-2024")

        Gives the collection that it stood for until now, None when the alias is new.
        """
        return self._run(self._admin.set_alias(alias, collection), timeout)

    def delete_alias(self, alias: str, *, timeout: float | None = None) -> None:
        """Forget an alias; the collection stays."""
        self._run(self._admin.delete_alias(alias), timeout)

    def aliases(self, *, timeout: float | None = None) -> dict[str, str]:
        """Which collection each alias stands for."""
        return self._run(self._admin.aliases(), timeout)

    def compact(
        self, *, everything: bool = False, collection: str | None = None, timeout: float | None = None
    ) -> CompactionReport:
        """Merge small segments, drop deleted images from disk and renew the index, while the collection serves.

        everything: not only what is due. Servers do this by themselves; it may take minutes, so give a long timeout.
        """
        return self._run(self._admin.compact(everything, collection), timeout)

    def download_snapshot(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        *,
        progress: ProgressLike = None,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> SnapshotInfo:
        """Fetch one version of a collection as a tar file, while it serves and is written to.

            client.download_snapshot("photos.tar")             # `setwise restore photos.tar DIR` unpacks it

        path: the file appears under its name once it is whole, checked against its SHA-256, and on disk; an older one
            is replaced. Or an open binary file, which is written to as it comes.
        progress: as for `upsert`. timeout: seconds that the next piece may take.
        """
        return self._stream(self._admin.snapshot(path, progress, collection), timeout)
