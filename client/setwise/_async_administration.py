"""The methods of the asyncio client about whole collections."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable
from typing import BinaryIO

from setwise._async_driver import AsyncDriver
from setwise._item import SampleLike
from setwise._reports import CompactionReport, FitReport, SnapshotInfo
from setwise._tally import ProgressLike
from setwise._values import CollectionInfo

__all__ = ["AsyncAdministration"]


class AsyncAdministration(AsyncDriver):
    """Makes, keeps and drops collections."""

    async def create_collection(
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
        """As `Client.create_collection`."""
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
        return await self._run(steps, timeout)

    async def fit_encoder(
        self,
        images: Iterable[SampleLike] | AsyncIterable[SampleLike],
        *,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> FitReport:
        """As `Client.fit_encoder`; images may also be an async iterable."""
        if isinstance(images, AsyncIterable):
            images = [image async for image in images]
        job = await self._run(self._admin.fit(images, collection), timeout)
        return await self._stream(job, timeout)

    async def drop_collection(self, name: str, *, timeout: float | None = None) -> None:
        """As `Client.drop_collection`."""
        await self._run(self._admin.drop(name), timeout)

    async def set_alias(self, alias: str, collection: str, *, timeout: float | None = None) -> str | None:
        """As `Client.set_alias`."""
        return await self._run(self._admin.set_alias(alias, collection), timeout)

    async def delete_alias(self, alias: str, *, timeout: float | None = None) -> None:
        """As `Client.delete_alias`."""
        await self._run(self._admin.delete_alias(alias), timeout)

    async def aliases(self, *, timeout: float | None = None) -> dict[str, str]:
        """As `Client.aliases`."""
        return await self._run(self._admin.aliases(), timeout)

    async def compact(
        self, *, everything: bool = False, collection: str | None = None, timeout: float | None = None
    ) -> CompactionReport:
        """As `Client.compact`."""
        return await self._run(self._admin.compact(everything, collection), timeout)

    async def download_snapshot(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        *,
        progress: ProgressLike = None,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> SnapshotInfo:
        """As `Client.download_snapshot`."""
        return await self._stream(self._admin.snapshot(path, progress, collection), timeout)
