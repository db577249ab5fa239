"""GetImage and ListImages over the wire."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from setwise_proto.v1 import images_pb2 as pb
from setwise_proto.v1 import types_pb2 as types
from setwise_server import Limits, ServerSettings
from setwise_server._tensors import features_from_proto


def test_an_image_comes_with_its_metadata_size_and_grid(server) -> None:
    image = server.images.GetImage(pb.GetImageRequest(collection="sets", id="set-05")).image
    assert (image.id, image.tokens) == ("set-05", 6)
    assert image.metadata["name"].string_value == "n5"
    assert image.grid == types.Grid(rows=2, columns=3)
    assert image.image_size == types.ImageSize(width=300, height=200)
    assert not image.thumbnail
    assert not image.HasField("features")


def test_thumbnail_and_features_come_on_request(server, make_set) -> None:
    request = pb.GetImageRequest(collection="sets", id="set-05", include_thumbnail=True, include_features=True)
    image = server.images.GetImage(request).image
    assert image.thumbnail == b"jpeg 5"
    features = features_from_proto(image.features, Limits())
    assert features.stage == "encoded"
    np.testing.assert_array_equal(features.tokens, make_set(5).tokens.astype(np.float16))


def test_a_photo_has_a_real_thumbnail(server, photos) -> None:
    request = pb.GetImageRequest(collection="photos", id=photos[0].name, include_thumbnail=True)
    assert server.images.GetImage(request).image.thumbnail.startswith(b"\xff\xd8")


@pytest.fixture
def pages(server):
    """Every page of a listing, followed by its tokens."""

    def pages(**request):
        token = ""
        while True:
            page = server.images.ListImages(pb.ListImagesRequest(page_token=token, **request))
            yield page
            token = page.next_page_token
            if not token:
                return

    return pages


@pytest.mark.parametrize("size", [1, 7, 15, 30, 1000])
def test_pages_hold_every_image_once_in_order(pages, size: int) -> None:
    listed = list(pages(collection="sets", page_size=size))
    assert [image.id for page in listed for image in page.images] == [f"set-{i:02}" for i in range(30)]
    assert all(len(page.images) <= size for page in listed)
    assert len(listed) == -(-30 // size)
    assert {page.total for page in listed} == {30}


def test_a_page_holds_a_hundred_images_when_nothing_is_said(server) -> None:
    page = server.images.ListImages(pb.ListImagesRequest(collection="sets"))
    assert len(page.images) == 30
    assert page.images[3].metadata["seed"].int_value == 3
    assert not page.next_page_token


@pytest.mark.parametrize("size", [0, 1001])
def test_a_page_size_out_of_range(server, size: int) -> None:
    request = pb.ListImagesRequest(collection="sets", page_size=size)
    assert server.failure(server.images.ListImages, request).violations[0].field == "page_size"


@pytest.mark.parametrize("token", ["x", "####", "AAAA", "ünï", base64.urlsafe_b64encode(b"\x01" * 17).decode()])
def test_a_token_that_is_none_of_ours(server, token: str) -> None:
    failure = server.failure(server.images.ListImages, pb.ListImagesRequest(collection="sets", page_token=token))
    assert failure.violations[0].field == "page_token"
    assert "not one of this server's" in failure.status.message


def test_a_token_of_another_collection(server) -> None:
    token = server.images.ListImages(pb.ListImagesRequest(collection="photos", page_size=1)).next_page_token
    failure = server.failure(server.images.ListImages, pb.ListImagesRequest(collection="sets", page_token=token))
    assert "another collection" in failure.status.message


def test_a_page_that_would_not_fit_in_a_message_is_cut_and_goes_on(serving, photos_path, photos) -> None:
    limits = Limits(max_message_bytes=40_000, max_image_bytes=30_000)
    with serving([photos_path], ServerSettings(port=0, device="cpu", limits=limits)) as small:
        request = pb.ListImagesRequest(include_thumbnail=True)
        found = []
        while True:
            page = small.images.ListImages(request)
            assert page.ByteSize() < 40_000
            found += [image.id for image in page.images]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert found == [photo.name for photo in photos]
