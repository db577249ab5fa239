"""CreateCollection, FitEncoder and DropCollection over the wire: an empty folder, filled by its callers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from setwise_engine.collection import Collection
from setwise_proto.v1 import collections_pb2 as pb
from setwise_proto.v1 import images_pb2, search_pb2, server_pb2
from setwise_proto.v1 import types_pb2 as types
from setwise_server import ServerSettings
from setwise_server._making import plain_encoder
from setwise_server._tensors import features_to_proto
from setwise_server.settings import Offer

FITTED = pb.ENCODER_SOURCE_FIT
TAKEN = pb.ENCODER_SOURCE_COLLECTION


@pytest.fixture
def rooted(serving: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    """Stubs of a server over an empty folder."""
    with serving([], ServerSettings(port=0, device="cpu", root=tmp_path)) as stubs:
        yield stubs


def create(stubs: Any, name: str, **options: Any) -> pb.Collection:
    return stubs.collections.CreateCollection(pb.CreateCollectionRequest(name=name, **options)).collection


def refused(stubs: Any, name: str = "new", **options: Any) -> Any:
    return stubs.failure(stubs.collections.CreateCollection, pb.CreateCollectionRequest(name=name, **options))


def fit(stubs: Any, name: str, samples: list[images_pb2.ImageInput], each: int = 3) -> Iterator[pb.FitEncoderRequest]:
    yield pb.FitEncoderRequest(start=pb.FitEncoderStart(collection=name))
    for first in range(0, len(samples), each):
        yield pb.FitEncoderRequest(data=pb.FitEncoderData(images=samples[first : first + each]))


def names(stubs: Any) -> list[str]:
    return [each.name for each in stubs.collections.ListCollections(pb.ListCollectionsRequest()).collections]


def test_the_server_says_what_it_offers(serving, tmp_path: Path, sets_path: Path) -> None:
    offers = (Offer.parse("efficientnet-lite0"), Offer.parse("timm:resnet18@224"))
    with serving([], ServerSettings(port=0, root=tmp_path, models=offers)) as stubs:
        info = stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest())
    assert (info.writable, info.has_root) == (True, True)
    assert list(info.offered_models) == ["efficientnet-lite0", "timm:resnet18@224"]
    with serving([sets_path], ServerSettings(port=0, read_only=True)) as stubs:
        info = stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest())
    assert (info.writable, info.has_root) == (False, False)


def test_a_collection_of_the_default_network_is_ready_at_once(rooted, extractor, encoder, tmp_path: Path) -> None:
    made = create(rooted, "photos")
    assert (made.name, made.state, made.images, made.writable) == ("photos", pb.COLLECTION_STATE_READY, 0, True)
    assert made.model_fingerprint == extractor.info.fingerprint
    assert made.encoder_fingerprint == encoder.fingerprint
    with Collection.open(tmp_path / "photos.setwise") as collection:
        assert collection.settings.thumbnails
        assert collection.settings.gate


def test_an_empty_collection_answers_searches_with_nothing(rooted, photos: list[Path]) -> None:
    create(rooted, "photos")
    query = types.Query(image=photos[0].read_bytes())
    answer = rooted.search.Search(search_pb2.SearchRequest(collection="photos", query=query))
    assert not answer.hits


def test_ready_made_sets_are_stored_as_they_are_when_their_dims_are_told(rooted) -> None:
    made = create(rooted, "sets", features=True, dims=16, coarse="mean", no_gate=True)
    assert (made.model, made.dims, made.sigma, made.coarse) == ("", 16, 1.0, "mean")
    assert refused(rooted, features=True).violations[0].field == "dims"


def test_an_encoder_is_taken_along_from_another_collection(rooted) -> None:
    create(rooted, "one", features=True, dims=16)
    two = create(rooted, "two", features=True, encoder=TAKEN, encoder_from="one")
    one = rooted.collections.GetCollection(pb.GetCollectionRequest(name="one")).collection
    assert two.encoder_fingerprint == one.encoder_fingerprint
    assert refused(rooted, encoder=TAKEN, encoder_from="one").status.code == 9
    assert refused(rooted, features=True, dims=3, encoder=TAKEN, encoder_from="one").status.code == 9
    assert refused(rooted, encoder=TAKEN, encoder_from="gone").violations[0].field == "encoder_from"


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("name", {"name": "../up"}),
        ("model", {"features": True, "model": "efficientnet-lite0"}),
        ("model", {"model": "unknown"}),
        ("dims", {"features": True, "dims": 0}),
        ("dims", {"features": True, "dims": 100_000}),
        ("coarse", {"features": True, "dims": 4, "coarse": "fine"}),
        ("encoder", {"dims": 7}),
        ("encoder_from", {"encoder": TAKEN}),
        ("encoder_from", {"features": True, "dims": 4, "encoder_from": "x"}),
    ],
)
def test_a_wrong_wish_is_refused_by_its_field(rooted, field: str, options: dict[str, Any]) -> None:
    failure = refused(rooted, **({"name": "new"} | options))
    assert failure.info.metadata["field"] == field
    assert names(rooted) == []


def test_a_name_is_given_once(rooted) -> None:
    create(rooted, "sets", features=True, dims=4)
    failure = refused(rooted, "sets", features=True, dims=4)
    assert (failure.status.code, failure.info.reason) == (6, "ALREADY_EXISTS")


def test_a_collection_waits_for_its_encoder_and_takes_the_samples_of_callers(rooted, make_set, tmp_path: Path) -> None:
    waits = create(rooted, "sets", features=True, encoder=FITTED, dims=8)
    assert (waits.state, waits.dims) == (pb.COLLECTION_STATE_WAITS_FOR_ENCODER, 8)
    assert not list(tmp_path.glob("*.setwise"))
    request = search_pb2.SearchRequest(collection="sets", query=types.Query(id="x"))
    assert "FitEncoder" in rooted.failure(rooted.search.Search, request).status.message
    samples = [images_pb2.ImageInput(features=features_to_proto(make_set(seed))) for seed in range(20)]
    done = rooted.collections.FitEncoder(fit(rooted, "sets", samples))
    assert (done.samples, done.collection.state, done.collection.dims) == (20, pb.COLLECTION_STATE_READY, 8)
    again = rooted.failure(rooted.collections.FitEncoder, fit(rooted, "sets", samples))
    assert (again.status.code, again.info.metadata["field"]) == (9, "start.collection")


def test_of_many_samples_the_first_500_are_used_and_the_answer_comes_early(rooted, make_set) -> None:
    create(rooted, "sets", features=True, encoder=FITTED, dims=8)
    sample = images_pb2.ImageInput(features=features_to_proto(make_set(0)))
    sent = []

    def endless() -> Iterator[pb.FitEncoderRequest]:
        yield pb.FitEncoderRequest(start=pb.FitEncoderStart(collection="sets"))
        while True:
            sent.append(len(sent))
            images = [images_pb2.ImageInput(features=features_to_proto(make_set(sent[-1]))), *[sample] * 99]
            yield pb.FitEncoderRequest(data=pb.FitEncoderData(images=images))

    assert rooted.collections.FitEncoder(endless()).samples == 500


def test_an_encoder_is_fitted_to_photos(rooted, photos: list[Path], extractor) -> None:
    create(rooted, "photos", encoder=FITTED, dims=32)
    samples = [images_pb2.ImageInput(image=photo.read_bytes()) for photo in photos[:4]]
    done = rooted.collections.FitEncoder(fit(rooted, "photos", samples))
    assert (done.collection.model_fingerprint, done.collection.dims) == (extractor.info.fingerprint, 32)
    query = types.Query(image=photos[0].read_bytes())
    rooted.search.Search(search_pb2.SearchRequest(collection="photos", query=query))


def test_what_waits_survives_a_restart(serving, make_set, tmp_path: Path) -> None:
    settings = ServerSettings(port=0, device="cpu", root=tmp_path)
    with serving([], settings) as stubs:
        create(stubs, "sets", features=True, encoder=FITTED)
    samples = [images_pb2.ImageInput(features=features_to_proto(make_set(seed))) for seed in range(9)]
    with serving([], settings) as stubs:
        listed = stubs.collections.ListCollections(pb.ListCollectionsRequest()).collections
        assert [(each.name, each.state) for each in listed] == [("sets", pb.COLLECTION_STATE_WAITS_FOR_ENCODER)]
        assert stubs.collections.FitEncoder(fit(stubs, "sets", samples)).collection.dims == 15  # all that 9 sets span


def test_too_small_a_sample_does_not_decide_the_dims_for_good(rooted, make_set) -> None:
    create(rooted, "sets", features=True, encoder=FITTED)
    sample = images_pb2.ImageInput(features=features_to_proto(make_set(1)))
    failure = rooted.failure(rooted.collections.FitEncoder, fit(rooted, "sets", [sample]))
    assert "this one sample spans only" in failure.status.message
    samples = [images_pb2.ImageInput(features=features_to_proto(make_set(seed))) for seed in range(20)]
    assert rooted.collections.FitEncoder(fit(rooted, "sets", samples)).collection.dims == 15


@pytest.mark.parametrize("case", ["no start", "no samples", "bad image", "wrong kind", "too few", "two starts"])
def test_a_fit_that_cannot_be_tells_why_and_the_collection_waits_on(rooted, make_set, case: str) -> None:
    create(rooted, "sets", features=True, encoder=FITTED, dims=16)
    sample = images_pb2.ImageInput(features=features_to_proto(make_set(1)))
    requests = {
        "no start": [pb.FitEncoderRequest(data=pb.FitEncoderData(images=[sample]))],
        "no samples": list(fit(rooted, "sets", [])),
        "bad image": list(fit(rooted, "sets", [sample, images_pb2.ImageInput()])),
        "wrong kind": list(fit(rooted, "sets", [images_pb2.ImageInput(image=b"jpeg")])),
        "too few": list(fit(rooted, "sets", [sample])),
        "two starts": [*fit(rooted, "sets", [sample]), *fit(rooted, "sets", [sample])],
    }[case]
    fields = {"no start": "start", "two starts": "start", "bad image": "data.images[1]"}
    fields["wrong kind"] = "data.images[0].image"
    failure = rooted.failure(rooted.collections.FitEncoder, iter(requests))
    assert failure.info.metadata["field"] == fields.get(case, "data.images")
    listed = rooted.collections.GetCollection(pb.GetCollectionRequest(name="sets")).collection
    assert listed.state == pb.COLLECTION_STATE_WAITS_FOR_ENCODER


def test_a_dropped_collection_is_gone_and_its_name_free(rooted, tmp_path: Path) -> None:
    first = create(rooted, "sets", features=True, dims=4)
    rooted.collections.DropCollection(pb.DropCollectionRequest(name="sets"))
    assert names(rooted) == []
    assert not list(tmp_path.glob("*.setwise"))
    gone = rooted.failure(rooted.collections.GetCollection, pb.GetCollectionRequest(name="sets"))
    assert gone.info.reason == "NOT_FOUND"
    assert create(rooted, "sets", features=True, dims=4).uuid != first.uuid
    create(rooted, "soon", features=True, encoder=FITTED)
    rooted.collections.DropCollection(pb.DropCollectionRequest(name="soon"))
    assert names(rooted) == ["sets"]


def test_given_collections_are_neither_made_nor_dropped(server) -> None:
    assert "--root" in refused(server, features=True, dims=4).status.message
    failure = server.failure(server.collections.DropCollection, pb.DropCollectionRequest(name="sets"))
    assert failure.status.code == 9


def test_a_refusal_speaks_to_every_caller_and_names_what_was_asked_for(rooted) -> None:
    said = refused(rooted, dims=7).status.message
    assert "7 dims" in said
    assert "ENCODER_SOURCE" not in said


def test_a_server_without_a_collection_says_so(rooted) -> None:
    failure = rooted.failure(rooted.search.Search, search_pb2.SearchRequest(query=types.Query(id="a")))
    assert failure.status.message == "this server holds no collection yet; create one first"


def test_nothing_is_made_where_nothing_is_written(serving, tmp_path: Path) -> None:
    with serving([], ServerSettings(port=0, root=tmp_path, read_only=True)) as stubs:
        assert refused(stubs, features=True, dims=4).info.reason == "READ_ONLY"


def test_the_coarse_directions_of_unseen_tokens_are_orthonormal_and_always_the_same() -> None:
    for dims in (4, 64, 200):
        basis = plain_encoder(dims).coarse_basis
        assert basis.shape == (dims, min(dims, 64))
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-6)
        assert plain_encoder(dims).fingerprint == plain_encoder(dims).fingerprint
