"""What a server may be told."""

from __future__ import annotations

import pytest

from setwise_engine.errors import InvalidInput
from setwise_server import ServerSettings
from setwise_server.settings import Offer


def test_the_defaults_listen_on_this_machine_only() -> None:
    settings = ServerSettings()
    assert settings.address == "127.0.0.1:50051"
    assert settings.workers >= 1


def test_an_ipv6_host_is_written_in_brackets() -> None:
    assert ServerSettings(host="::1", port=1).address == "[::1]:1"


@pytest.mark.parametrize(
    ("option", "value"),
    [("port", 65536), ("port", -1), ("workers", 0), ("max_queue", -1), ("threads", 0), ("grace", -1)],
)
def test_a_number_out_of_range_is_refused_by_its_option(option: str, value: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        ServerSettings(**{option: value})
    assert caught.value.field == f"--{option.replace('_', '-')}"
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "image_size"),
    [("efficientnet-lite0", "efficientnet-lite0", None), ("timm:vit_b@448", "timm:vit_b", 448)],
)
def test_an_offered_network_is_a_name_and_perhaps_a_size(text: str, name: str, image_size: int | None) -> None:
    offer = Offer.parse(text)
    assert (offer.name, offer.image_size, str(offer)) == (name, image_size, text)


@pytest.mark.parametrize("text", ["@224", "x@", "x@y", "x@0"])
def test_an_offer_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="NAME@PX"):
        Offer.parse(text)
