"""One run: list, plan, read, encode, commit, prune, index."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing

from tqdm import tqdm

from setwise_engine.collection import Collection, Known
from setwise_engine.errors import InvalidInput
from setwise_engine.features import Extractor
from setwise_indexer._committer import Committer
from setwise_indexer._crew import crew_for
from setwise_indexer._items import Failure, Listing
from setwise_indexer._listing import list_items
from setwise_indexer._pipeline import Crew, Done, Failed, Result, run_pipeline
from setwise_indexer._plan import Plan, make_plan
from setwise_indexer._readers import record_of
from setwise_indexer._request import Request
from setwise_indexer._sets import SetFiles
from setwise_indexer._stored import inherit
from setwise_indexer._summary import Report, Summary
from setwise_indexer._target import check_settings, create_collection, is_collection, load_network, reader_for

__all__ = ["index"]


def index(request: Request) -> Summary:
    """Bring a collection up to date with its sources; the same request again goes on where one was cut off.

    Shows a progress bar when standard error is a terminal. A broken image is named in the summary and stops nothing.
    Raises EngineError for what is wrong with the request or the collection, OSError for a disk that cannot be written,
    KeyboardInterrupt after what was finished has been committed.
    """
    run = _Run(inherit(request))
    with Report(request.report) as report:
        return run.all(report)


class _Run:
    def __init__(self, request: Request) -> None:
        self._request = request
        self._files = SetFiles()
        self._extractor: Extractor | None = None
        self._started = time.monotonic()
        self._summary = Summary(request.into)

    def all(self, report: Report) -> Summary:
        listing = list_items(self._request, self._files)
        report.add(listing.failures)
        if not listing.items:
            first = listing.failures[0]
            raise InvalidInput(f"there is nothing to index: {first.path}: {first.reason}; check the sources")
        if listing.other:
            kinds = ", ".join(f"{suffix or 'no suffix'} ({count})" for suffix, count in listing.other.most_common(8))
            self._summary.notes.append(f"{listing.other.total()} other files passed over: {kinds}")
        with crew_for(self._request) as crew, self._collection(listing, crew) as collection:
            known = collection.sources()
            plan = make_plan(listing.items, known)
            self._summary.unchanged = plan.unchanged
            self._work(collection, plan, crew, report)
            if self._request.prune:
                self._prune(collection, listing, known)
            self._finish(collection, report)
        return self._summary

    def _collection(self, listing: Listing, crew: Crew) -> Collection:
        if is_collection(self._request.into):
            collection = Collection.open(self._request.into)
            try:
                check_settings(self._request, collection)
            except BaseException:
                collection.close()
                raise
            return collection
        self._extractor = load_network(self._request, None)
        return create_collection(self._request, self._extractor, listing.items, self._files, crew)

    def _work(self, collection: Collection, plan: Plan, crew: Crew, report: Report) -> None:
        with Committer(collection, seconds=self._request.commit_seconds) as committer:
            for id, metadata in plan.metadata.items():
                committer.update(id, metadata, None)
            self._summary.metadata = len(plan.metadata)
            if plan.jobs:
                self._read(collection, plan, crew, committer, report)

    def _read(self, collection: Collection, plan: Plan, crew: Crew, committer: Committer, report: Report) -> None:
        extractor = self._extractor or load_network(self._request, collection.settings)
        reader = reader_for(collection, extractor, self._files)
        done = plan.unchanged + len(plan.metadata)
        begun = time.monotonic()
        with (
            closing(run_pipeline(plan.jobs, reader, crew)) as results,
            tqdm(total=done + len(plan.jobs), initial=done, desc="indexing", unit=" images", disable=None) as bar,
        ):
            for result in results:
                self._take(result, committer, report)
                if isinstance(result, Failed):
                    bar.set_postfix(failed=report.count, refresh=False)
                bar.update()
        self._summary.busy = time.monotonic() - begun

    def _take(self, result: Result, committer: Committer, report: Report) -> None:
        if isinstance(result, Failed):
            item = result.job.item
            report.add([Failure(str(item), item.id, result.reason)])
        elif isinstance(result, Done):
            committer.add(record_of(result.prepared, result.features))
            self._summary.note_change(result.prepared.job.item, result.prepared.hash)
            self._summary.replaced += result.prepared.job.known is not None
            self._summary.indexed += result.prepared.job.known is None
        else:
            job = result.job
            committer.update(job.item.id, job.metadata if job.metadata_changed else None, result.source)
            self._summary.metadata += job.metadata_changed
            self._summary.unchanged += not job.metadata_changed

    def _prune(self, collection: Collection, listing: Listing, known: Mapping[str, Known]) -> None:
        listed = {item.id for item in listing.items} | {failure.id for failure in listing.failures}
        gone = sorted(known.keys() - listed)
        if gone and not listing.complete:
            self._summary.notes.append(f"{len(gone)} images not pruned: parts of the sources cannot be read")
        elif gone:
            collection.delete(gone)
            self._summary.pruned = len(gone)

    def _finish(self, collection: Collection, report: Report) -> None:
        info = collection.info()
        factory = self._request.index_factory
        stale = info.index is None or info.indexed < info.images or info.index.rows > info.images
        if stale or factory is not None:
            collection.build_index(factory=factory)
        self._summary.images = info.images
        self._summary.failed, self._summary.failures = report.count, report.first
        self._summary.seconds = time.monotonic() - self._started
