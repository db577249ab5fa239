"""Callers with and without keys, certificates of authorities of our own, and servers that know them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from setwise_server import ServerSettings
from setwise_server.security import add_key
from setwise_server.settings import Security


@dataclass(frozen=True)
class Keys:
    """A file of keys and the keys that it knows, by scope; `expired` worked until long ago."""

    path: Path
    by_scope: dict[str, str] = field(default_factory=dict)

    def of(self, caller: str) -> list[tuple[str, str]]:
        """The metadata that a caller of this scope sends: none for "nobody", a key of another server for "stranger"."""
        key = "setwise_" + 43 * "A" if caller == "stranger" else self.by_scope.get(caller)
        return [] if key is None else [("authorization", f"Bearer {key}")]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A file with a key of each scope, each called as its scope, and one that expired."""
    return make_keys(tmp_path / "keys.toml")


def make_keys(path: Path) -> Keys:
    """As the fixture."""
    made = Keys(path)
    for scope in ("read", "write", "admin"):
        made.by_scope[scope] = add_key(path, scope, scope, None)
    made.by_scope["expired"] = add_key(path, "expired", "admin", date(2020, 1, 31))
    return made


@pytest.fixture(scope="module")
def module_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """As `keys`, for all tests of a module."""
    return make_keys(tmp_path_factory.mktemp("keys") / "keys.toml")


@pytest.fixture(scope="module")
def serve(serving: Callable[..., Any], sets_path: Path) -> Callable[..., Any]:
    """`with serve(keys=..., **more) as address`: a server of the collection `sets` with this security. It takes no
    writes, so that all tests can share the collection."""

    @contextmanager
    def serve(**security: Any) -> Iterator[str]:
        settings = ServerSettings(port=0, device="cpu", read_only=True, security=Security(**security))
        with serving([sets_path], settings) as stubs:
            yield stubs.address

    return serve


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and the PEM files that it made in a folder."""

    ca: trustme.CA
    folder: Path

    @property
    def file(self) -> Path:
        """Its own certificate."""
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return path

    def issue(self, name: str, *identities: str, **more: Any) -> tuple[Path, Path]:
        """Files of a new certificate and its key; those of the same name are replaced."""
        made = self.ca.issue_cert(*identities, **more)
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(key))
        return cert, key

    def as_server(self) -> dict[str, Path]:
        """Settings of a server with a certificate of this authority."""
        return dict(zip(("tls_cert", "tls_key"), self.issue("server", "127.0.0.1", "localhost"), strict=True))

    def channel(self, address: str, pair: tuple[Path, Path] | None = None) -> grpc.Channel:
        """A channel that trusts this authority only, and shows the certificate of `pair`."""
        cert, key = (path.read_bytes() for path in pair) if pair else (None, None)
        credentials = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes(), key, cert)
        # Without a pool of its own, a channel would share the connection of an earlier one to the same address.
        return grpc.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority with its files in a folder of the test."""
    return Authority(trustme.CA(), tmp_path)


@pytest.fixture
def other_authority(tmp_path: Path) -> Authority:
    """Another one, whom nobody knows."""
    (tmp_path / "other").mkdir()
    return Authority(trustme.CA(), tmp_path / "other")


@dataclass(frozen=True)
class Asker:
    """Calls by path, in bytes, over one channel."""

    channel: grpc.Channel

    def reply(self, path: str, metadata: list[tuple[str, str]] | None = None, request: bytes = b"") -> bytes:
        """The first message of the answer. Raises grpc.RpcError."""
        call = self.channel.stream_stream(path)(iter([request]), metadata=metadata, timeout=30)
        return next(iter(list(call)), b"")

    def code(self, *words: Any) -> grpc.StatusCode:
        """How a call ends; UNAVAILABLE, too, where the handshake fails."""
        try:
            self.reply(*words)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


@pytest.fixture(scope="session")
def asking() -> Callable[..., Any]:
    """`with asking(address or channel) as ask`: an Asker."""

    @contextmanager
    def asking(target: str | grpc.Channel) -> Iterator[Asker]:
        with grpc.insecure_channel(target) if isinstance(target, str) else target as channel:
            yield Asker(channel)

    return asking
