"""What is known of a call before it is answered."""

from __future__ import annotations

from setwise_server._visit import Visit


def test_a_peer_is_written_as_people_look_for_it() -> None:
    assert Visit("/x", "asked-1", "ipv6:%5B::1%5D:45466").peer == "ipv6:[::1]:45466"
    assert Visit("/x", "asked-1", "ipv4:127.0.0.1:1").peer == "ipv4:127.0.0.1:1"
