"""What a server may be told."""

from __future__ import annotations

import pytest

from setwise_engine.errors import InvalidInput
from setwise_server import ServerSettings


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
