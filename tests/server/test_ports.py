"""Why an address cannot be listened on."""

from __future__ import annotations

import socket

import pytest

from setwise_server._errors import PortError
from setwise_server._ports import check_port


def test_a_free_port_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check_port("127.0.0.1", port)


def test_a_port_in_use_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=rf"127\.0\.0\.1:{port} is in use.*--port 0"):
            check_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortError, match=r"cannot listen on 192\.0\.2\.1:50051"):
        check_port("192.0.2.1", 50051)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(PortError, match=r'--host "no\.such\.host\.invalid"'):
        check_port("no.such.host.invalid", 50051)
