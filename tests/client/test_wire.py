"""How a client shows who it is, and how it knows the server: over real TLS."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

import setwise
from setwise._wire import Security
from setwise_proto.v1 import server_pb2

KEY = "sw_4f1c0a5e2b7d8899aabbccddeeff0011"


@dataclass
class Files:
    """PEM files of an authority, and of a certificate that it signed."""

    ca: Path
    certificate: Path
    key: Path


@dataclass
class Door:
    """A server that answers GetServerInfo. calls: the metadata of each."""

    port: int = 0
    calls: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Any, context: grpc.ServicerContext) -> server_pb2.GetServerInfoResponse:
        """Remember what came along."""
        self.calls.append(dict(context.invocation_metadata()))
        return server_pb2.GetServerInfoResponse(version="1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[trustme.CA, trustme.LeafCert], Files]:
    """Writes what an authority made as files."""

    def files(authority: trustme.CA, leaf: trustme.LeafCert) -> Files:
        folder = tmp_path_factory.mktemp("pem")
        made = Files(folder / "ca.pem", folder / "chain.pem", folder / "private.pem")
        authority.cert_pem.write_to_path(made.ca)
        leaf.private_key_pem.write_to_path(made.key)
        made.certificate.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        return made

    return files


@pytest.fixture(scope="module")
def mine(authority: trustme.CA, write: Any) -> Files:
    """The authority, and the caller's own certificate."""
    return write(authority, authority.issue_cert("caller@example.org"))  # type: ignore[no-any-return]


@contextmanager
def serving(leaf: trustme.LeafCert | None, callers: trustme.CA | None = None) -> Iterator[Door]:
    """A server with this certificate (None: in the clear) that asks callers for one of theirs."""
    door = Door()
    handler = grpc.unary_unary_rpc_method_handler(
        door.answer,
        server_pb2.GetServerInfoRequest.FromString,
        server_pb2.GetServerInfoResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    methods = {"GetServerInfo": handler}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("setwise.v1.ServerService", methods)])
    if leaf is None:
        door.port = server.add_insecure_port("127.0.0.1:0")
    else:
        chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
        known = callers.cert_pem.bytes() if callers else None
        pair = (leaf.private_key_pem.bytes(), chain)
        credentials = grpc.ssl_server_credentials([pair], known, callers is not None)
        door.port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield door
    finally:
        server.stop(None).wait()


def ask(door: Door, **options: Any) -> str:
    with setwise.connect(f"localhost:{door.port}", timeout=10, **options) as client:
        return client.info().version


def ask_async(door: Door, **options: Any) -> str:
    async def main() -> str:
        async with setwise.connect_async(f"localhost:{door.port}", timeout=10, **options) as client:
            return (await client.info()).version

    return asyncio.run(main())


@pytest.mark.parametrize("asked", [ask, ask_async])
def test_a_key_travels_over_tls(authority: trustme.CA, mine: Files, asked: Callable[..., str]) -> None:
    with serving(authority.issue_cert("localhost")) as door:
        assert asked(door, ca=mine.ca, api_key=KEY) == "1"
    assert door.calls[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("asked", [ask, ask_async])
def test_callers_show_a_certificate(authority: trustme.CA, mine: Files, asked: Callable[..., str]) -> None:
    with serving(authority.issue_cert("localhost"), authority) as door:
        assert asked(door, ca=str(mine.ca), certificate=mine.certificate, key=mine.key) == "1"
        with pytest.raises(setwise.UnavailableError, match="asks for a certificate of yours"):
            asked(door, ca=mine.ca, retries=0)
    assert len(door.calls) == 1


def test_a_server_that_nobody_trusts_is_asked_nothing(authority: trustme.CA, write: Any) -> None:
    other = trustme.CA()
    strange = write(other, other.issue_cert("x@example.org"))
    with serving(authority.issue_cert("localhost")) as door:
        for options in ({"ca": strange.ca}, {"tls": True}):
            with pytest.raises(setwise.UnavailableError, match=r"is not trusted .* as ca=") as caught:
                ask(door, api_key=KEY, **options)
            assert caught.value.reason == "TLS_FAILED"
            assert not caught.value.retriable
    assert door.calls == []


@pytest.mark.parametrize("kind", ["another name", "expired"])
def test_a_certificate_counts_for_its_name_and_time(authority: trustme.CA, mine: Files, kind: str) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    leaf = authority.issue_cert("localhost", not_after=past) if kind == "expired" else authority.issue_cert("a.example")
    with serving(leaf) as door, pytest.raises(setwise.UnavailableError, match="is not trusted"):
        ask(door, ca=mine.ca, api_key=KEY)
    assert door.calls == []


def test_tls_where_the_other_side_has_none(authority: trustme.CA, mine: Files) -> None:
    with serving(None) as door, pytest.raises(setwise.UnavailableError, match="does not speak TLS") as caught:
        ask(door, ca=mine.ca)
    assert caught.value.reason == "TLS_FAILED"
    with (
        serving(authority.issue_cert("localhost")) as door,
        pytest.raises(setwise.UnavailableError, match=r"whether it asks for TLS \(tls=, ca="),
    ):
        ask(door, retries=0)


def test_a_key_is_not_sent_in_clear_text_through_a_network() -> None:
    for address in ("example.org:50051", "10.0.0.7:1", "127.example.org:1", "dns:///example.org:1", "[2001:db8::1]:1"):
        with pytest.raises(setwise.InvalidArgumentError, match="clear text") as caught:
            setwise.connect(address, api_key=KEY)
        assert KEY not in str(caught.value)
        assert caught.value.field == "api_key"
        setwise.connect(address, api_key=KEY, tls=True).close()
        setwise.connect(address, api_key=KEY, insecure_api_key=True).close()
    with serving(None) as door:
        assert ask(door, api_key=KEY) == "1"
    assert door.calls[0]["authorization"] == f"Bearer {KEY}"


def test_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETWISE_API_KEY", f"{KEY}\n")
    with serving(None) as door:
        ask(door)
        ask(door, api_key="another")
        ask(door, api_key="")
    assert [call.get("authorization") for call in door.calls] == [f"Bearer {KEY}", "Bearer another", None]
    with pytest.raises(setwise.InvalidArgumentError, match="the key in SETWISE_API_KEY is not sent to"):
        setwise.connect("a.example:1")


@pytest.mark.parametrize("key", ["two words", "line\n", "schlüssel", "a" * 5000])
def test_what_no_key_looks_like_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(setwise.InvalidArgumentError, match="api_key holds what no key does") as caught:
        setwise.connect("localhost:1", api_key=key)
    assert repr(key)[1:-1] not in str(caught.value)


def test_keys_show_in_no_repr() -> None:
    security = Security(api_key=KEY, insecure_api_key=True)
    client = setwise.connect("localhost:1", api_key=KEY)
    assert KEY not in f"{security!r} {security.wire('a.example:1')!r} {client!r} {client._transport!r}"
    client.close()


@pytest.mark.parametrize(
    ("options", "field", "says"),
    [
        ({"ca": "no such.pem"}, "ca", "there is no file 'no such.pem'"),
        ({"certificate": "a.pem"}, "key", "key is missing"),
        ({"key": "a.pem"}, "certificate", "certificate is missing"),
        ({"ca": "a.pem", "tls": False}, "tls", "tls is False, and ca is for TLS"),
        ({"ca": "a.pem", "credentials": grpc.ssl_channel_credentials()}, "credentials", "either credentials or ca"),
        ({"tls": True, "credentials": grpc.ssl_channel_credentials()}, "credentials", "either credentials or tls"),
        ({"ca": __file__}, "ca", "holds no PEM of certificates of authorities"),
        ({"certificate": __file__, "key": __file__}, "certificate", "holds no PEM of a certificate"),
    ],
)
def test_wrong_files_are_told_at_once(options: dict[str, Any], field: str, says: str) -> None:
    for connect in (setwise.connect, setwise.connect_async):
        with pytest.raises((setwise.InvalidArgumentError, setwise.NotFoundError), match=says) as caught:
            connect("localhost:1", **options)
        assert caught.value.field == field


def test_a_certificate_needs_its_own_key_in_the_clear(mine: Files, authority: trustme.CA, write: Any) -> None:
    other = write(authority, authority.issue_cert("other@example.org"))
    with pytest.raises(setwise.InvalidArgumentError, match="KEY_VALUES_MISMATCH"):
        setwise.connect("localhost:1", certificate=mine.certificate, key=other.key)
    plain = serialization.load_pem_private_key(other.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other.key.write_bytes(plain.private_bytes(*kinds, locked))
    with pytest.raises(setwise.InvalidArgumentError, match="key is encrypted") as caught:
        setwise.connect("localhost:1", certificate=other.certificate, key=other.key)
    assert caught.value.field == "key"


def test_a_directory_needs_nothing_of_all_this(sets_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETWISE_API_KEY", KEY)
    with setwise.connect(sets_path, tls=True) as client:
        assert client.count() == 12
