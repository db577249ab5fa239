"""Small writes in one call each: upsert, delete, metadata; and counting and listing what is left."""

from __future__ import annotations

import os

import grpc
import pytest

from setwise_engine.collection import WriterLock
from setwise_proto.v1 import filters_pb2, search_pb2
from setwise_proto.v1 import images_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server import Limits, ServerSettings


@pytest.fixture
def stubs(serving, own_path):
    with serving([own_path], ServerSettings(port=0, device="cpu", limits=Limits(max_changes=50))) as stubs:
        yield stubs


def value(given) -> types.Value:
    return types.Value(**{{int: "int_value", str: "string_value"}[type(given)]: given})


@pytest.fixture
def ten(stubs, make_item):
    """Images 0 to 9 with `n` and `kind`."""
    images = [make_item(str(n), n, n=n, kind="even" if n % 2 == 0 else "odd") for n in range(10)]
    response = stubs.images.UpsertImages(pb.UpsertImagesRequest(images=images))
    assert [result.done for result in response.results] == [pb.OUTCOME_INSERTED] * 10
    return response.collection_version


def kind(name: str) -> filters_pb2.Filter:
    return filters_pb2.Filter(equals=filters_pb2.Equals(field="kind", value=value(name)))


def count(stubs, where: filters_pb2.Filter | None = None) -> int:
    return stubs.images.CountImages(pb.CountImagesRequest(where=where)).count


def test_results_come_in_the_order_of_the_request_each_with_its_place(stubs, make_item) -> None:
    bad = pb.ImageInput(id="bad")
    response = stubs.images.UpsertImages(pb.UpsertImagesRequest(images=[make_item("a", 1), bad, make_item("b", 2)]))
    assert [(result.number, result.id) for result in response.results] == [(0, "a"), (1, "bad"), (2, "b")]
    assert response.results[1].error.field == "images[1].image"
    assert response.results[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert count(stubs) == 2
    assert response.collection_version == stubs.images.CountImages(pb.CountImagesRequest()).collection_version


def test_no_images_are_no_commit(stubs, ten) -> None:
    assert stubs.images.UpsertImages(pb.UpsertImagesRequest()).collection_version == ten


def test_insert_and_update_mind_what_is_there(stubs, ten, make_item) -> None:
    images = [make_item("3", 30), make_item("new", 31)]
    inserted = stubs.images.UpsertImages(pb.UpsertImagesRequest(images=images, mode=pb.UPSERT_MODE_INSERT))
    assert inserted.results[0].error.reason == "ALREADY_EXISTS"
    assert inserted.results[0].error.code == grpc.StatusCode.ALREADY_EXISTS.value[0]
    assert inserted.results[1].done == pb.OUTCOME_INSERTED
    images = [make_item("3", 32), make_item("other", 33)]
    updated = stubs.images.UpsertImages(pb.UpsertImagesRequest(images=images, mode=pb.UPSERT_MODE_UPDATE))
    assert updated.results[0].done == pb.OUTCOME_REPLACED
    assert updated.results[1].error.reason == "NOT_FOUND"


def test_images_are_deleted_by_id_and_those_that_are_not_there_are_told(stubs, ten) -> None:
    response = stubs.images.DeleteImages(pb.DeleteImagesRequest(ids=["3", "gone", "4", "gone too"]))
    assert (response.deleted, list(response.missing_ids)) == (2, ["gone", "gone too"])
    assert count(stubs) == 8
    again = stubs.images.DeleteImages(pb.DeleteImagesRequest(ids=["3"]))
    assert (again.deleted, again.collection_version) == (0, response.collection_version)


def test_images_are_deleted_by_filter(stubs, ten) -> None:
    assert stubs.images.DeleteImages(pb.DeleteImagesRequest(where=kind("odd"))).deleted == 5
    assert (count(stubs), count(stubs, kind("odd"))) == (5, 0)


def test_everything_can_be_deleted_and_the_empty_collection_be_used(stubs, ten, make_item) -> None:
    everything = filters_pb2.Filter(every=filters_pb2.FilterList())
    assert stubs.images.DeleteImages(pb.DeleteImagesRequest(where=everything)).deleted == 10
    query = types.Query(features=make_item("", 1).features)
    assert not stubs.search.Search(search_pb2.SearchRequest(query=query)).hits
    assert stubs.images.UpsertImages(pb.UpsertImagesRequest(images=[make_item("1", 1)])).results[0].done
    assert stubs.search.Search(search_pb2.SearchRequest(query=query)).hits[0].id == "1"


@pytest.mark.parametrize("request_", [pb.DeleteImagesRequest(), pb.DeleteImagesRequest(ids=["1"], where=kind("odd"))])
def test_what_to_delete_must_be_said_once(stubs, ten, request_) -> None:
    assert stubs.failure(stubs.images.DeleteImages, request_).info.reason == "INVALID_INPUT"
    assert count(stubs) == 10


def test_metadata_is_set_removed_and_replaced_and_features_stay(stubs, ten) -> None:
    changes = [
        pb.MetadataChange(id="1", set={"new": value("x")}, remove=["n"]),
        pb.MetadataChange(id="2", set={"only": value(1)}, replace=True),
        pb.MetadataChange(id="gone", set={"a": value(1)}),
    ]
    response = stubs.images.UpdateMetadata(pb.UpdateMetadataRequest(changes=changes))
    assert [result.done for result in response.results[:2]] == [pb.OUTCOME_UPDATED] * 2
    assert response.results[2].error.reason == "NOT_FOUND"
    assert response.results[2].error.field == "changes[2].id"
    one = stubs.images.GetImage(pb.GetImageRequest(id="1")).image
    assert {name: each.string_value for name, each in one.metadata.items()} == {"new": "x", "kind": "odd"}
    two = stubs.images.GetImage(pb.GetImageRequest(id="2")).image
    assert list(two.metadata) == ["only"]
    assert count(stubs, kind("even")) == 4


def test_replacing_and_removing_at_once_is_refused(stubs, ten) -> None:
    change = pb.MetadataChange(id="1", replace=True, remove=["n"])
    failure = stubs.failure(stubs.images.UpdateMetadata, pb.UpdateMetadataRequest(changes=[change]))
    assert failure.violations[0].field == "changes[0].remove"


def test_more_changes_than_the_server_takes_are_refused_by_number(stubs) -> None:
    failure = stubs.failure(stubs.images.DeleteImages, pb.DeleteImagesRequest(ids=["x"] * 51))
    assert dict(failure.info.metadata) == {"limit": "max_changes", "allowed": "50", "field": "ids"}


def test_pages_of_a_filter_hold_only_what_passes(stubs, ten) -> None:
    request = pb.ListImagesRequest(where=kind("even"), page_size=2)
    seen, totals = [], set()
    while True:
        page = stubs.images.ListImages(request)
        seen += [image.id for image in page.images]
        totals.add(page.total)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert seen == ["0", "2", "4", "6", "8"]
    assert totals == {5}


def test_a_page_token_is_bound_to_its_filter(stubs, ten) -> None:
    token = stubs.images.ListImages(pb.ListImagesRequest(where=kind("even"), page_size=2)).next_page_token
    request = pb.ListImagesRequest(where=kind("odd"), page_token=token)
    assert "another filter" in stubs.failure(stubs.images.ListImages, request).status.message


def test_searches_with_a_filter_and_in_groups(stubs, ten, make_item) -> None:
    query = types.Query(features=make_item("", 3).features)
    options = search_pb2.SearchOptions(where=kind("even"), k=3)
    response = stubs.search.Search(search_pb2.SearchRequest(query=query, options=options))
    assert {int(hit.id) % 2 for hit in response.hits} == {0}
    assert (response.certificate.matching, response.certificate.collection_size) == (5, 10)
    assert response.certificate.scope == search_pb2.SCOPE_COLLECTION
    options = search_pb2.SearchOptions(group_by="kind", k=10)
    grouped = stubs.search.Search(search_pb2.SearchRequest(query=query, options=options)).hits
    assert sorted(hit.group.string_value for hit in grouped) == ["even", "odd"]
    assert grouped[0].id == "3"


def test_a_fault_in_a_search_filter_is_told_with_its_place(stubs, ten) -> None:
    options = search_pb2.SearchOptions(where=filters_pb2.Filter(negation=filters_pb2.Filter()))
    request = search_pb2.SearchRequest(query=types.Query(id="1"), options=options)
    failure = stubs.failure(stubs.search.Search, request)
    assert failure.violations[0].field == "options.where.negation"
    rerank = search_pb2.RerankRequest(query=types.Query(id="1"), ids=["1"])
    rerank.options.where.CopyFrom(kind("odd"))
    assert stubs.failure(stubs.search.Rerank, rerank).violations[0].field == "options.where"


def test_a_write_that_waits_for_the_disk_takes_no_place_from_a_search(serving, sets_path, own_path, make_item) -> None:
    with serving([sets_path, own_path], ServerSettings(port=0, device="cpu", workers=1, max_queue=0)) as stubs:
        lock = WriterLock(own_path)
        with lock.hold():
            request = pb.UpsertImagesRequest(collection="own", images=[make_item("a", 1)])
            writing = stubs.images.UpsertImages.future(request)
            search = search_pb2.SearchRequest(collection="sets", query=types.Query(id="set-01"))
            assert [stubs.search.Search(search).hits[0].id for _ in range(5)] == ["set-01"] * 5
            assert not writing.done()
        assert writing.result(10).results[0].done == pb.OUTCOME_INSERTED


def test_another_writer_who_holds_the_collection_too_long_is_named(serving, own_path, make_item, monkeypatch) -> None:
    hold = WriterLock.hold
    monkeypatch.setattr(WriterLock, "hold", lambda lock, *, wait_s=None: hold(lock, wait_s=0.1))
    with serving([own_path], ServerSettings(port=0, device="cpu")) as stubs, hold(WriterLock(own_path)):
        request = pb.UpsertImagesRequest(images=[make_item("a", 1)])
        failure = stubs.failure(stubs.images.UpsertImages, request)
        assert failure.info.reason == "LOCKED"
        assert failure.status.code == grpc.StatusCode.ABORTED.value[0]
        assert str(os.getpid()) in failure.status.message
        assert failure.retry is not None


def test_a_read_only_server_refuses_every_write(serving, own_path, make_item) -> None:
    with serving([own_path], ServerSettings(port=0, device="cpu", read_only=True)) as stubs:
        for rpc, request in (
            (stubs.images.UpsertImages, pb.UpsertImagesRequest(images=[make_item("a")])),
            (stubs.images.DeleteImages, pb.DeleteImagesRequest(ids=["a"])),
            (stubs.images.DeleteImages, pb.DeleteImagesRequest(where=kind("odd"))),
            (stubs.images.UpdateMetadata, pb.UpdateMetadataRequest(changes=[pb.MetadataChange(id="a")])),
        ):
            failure = stubs.failure(rpc, request)
            assert failure.info.reason == "READ_ONLY"
            assert failure.status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
