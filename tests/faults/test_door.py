"""Nobody gets in who does not belong: every wrong certificate and key at one real server, while the right one works."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import Served
from driver import tokens_of

import setwise
from setwise_engine.collection import Collection

KEYS = {"owner": "admin", "reader": "read", "writer": "write"}
ROUNDS = 3

Options = dict[str, Any]
OUTSIDE = (setwise.UnavailableError, setwise.DeadlineExceededError)


class Authority:
    """One that signs certificates, as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._ca, self._folder = trustme.CA(), folder
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(self, name: str, **about: Any) -> tuple[Path, Path]:
        """Certificate and key."""
        issued = self._ca.issue_cert(name, **about)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return certificate, key


@pytest.fixture
def door(
    serve: Callable[..., Served], keys: Callable[..., Path], tmp_path: Path
) -> Iterator[tuple[Served, Options, dict[str, tuple[Options, type[Exception] | tuple[type[Exception], ...]]]]]:
    """A server that asks for certificates and keys, what its owner shows, and what others show and get."""
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    chain, private = ours.issue("127.0.0.1")
    known = keys(**KEYS)
    old = sha256(b"old").hexdigest()
    with known.open("a") as file:
        file.write(f'\n[[key]]\nname = "old"\nsha256 = "{old}"\nscope = "admin"\nexpires = 2020-01-31\n')
    tls = ["--tls-cert", str(chain), "--tls-key", str(private), "--client-ca", str(ours.file)]
    served = serve(*tls, "--keys", str(known))
    certificate, key = ours.issue("client.example")
    right: Options = {"ca": ours.file, "certificate": certificate, "key": key}
    forged, expired = theirs.issue("forged.example"), ours.issue("late.example", not_after=_yesterday())
    shown: dict[str, tuple[Options, Any]] = {
        "clear text": ({"api_key": "owner", "insecure_api_key": True}, OUTSIDE),
        "no certificate": ({"ca": ours.file, "api_key": "owner"}, OUTSIDE),
        "another authority's certificate": (right | _files(forged) | {"api_key": "owner"}, OUTSIDE),
        "an expired certificate": (right | _files(expired) | {"api_key": "owner"}, OUTSIDE),
        "another's private key": (right | {"key": expired[1], "api_key": "owner"}, (*OUTSIDE, setwise.SetwiseError)),
        "a server it does not trust": (right | {"ca": theirs.file, "api_key": "owner"}, OUTSIDE),
        "no key": (right | {"api_key": ""}, setwise.UnauthenticatedError),
        "an unknown key": (right | {"api_key": "x" * 51}, setwise.UnauthenticatedError),
        "a key cut short": (right | {"api_key": "owne"}, setwise.UnauthenticatedError),
        "the hash of a key": (right | {"api_key": sha256(b"owner").hexdigest()}, setwise.UnauthenticatedError),
        "an expired key": (right | {"api_key": "old"}, setwise.UnauthenticatedError),
        "the key of a reader": (right | {"api_key": "reader"}, setwise.PermissionDeniedError),
    }
    yield served, right | {"api_key": "owner"}, shown


def _files(issued: tuple[Path, Path]) -> Options:
    return {"certificate": issued[0], "key": issued[1]}


def _yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


def write(client: setwise.Client, id: str) -> setwise.UpsertReport:
    """Puts one image in, in one call or by a stream."""
    return client.upsert([setwise.Item(id, setwise.FeatureSet(tokens_of(1)))])


def test_every_wrong_certificate_and_key_stays_outside(door) -> None:
    served, right, strangers = door
    stop, written = threading.Event(), []

    def owner() -> None:
        with served.client(**right) as client:
            while not stop.is_set():
                assert write(client, f"owner-{len(written)}").failed == 0
                written.append(client.count())

    work = threading.Thread(target=owner)
    work.start()
    tried: Counter[str] = Counter()
    try:
        for _ in range(ROUNDS):
            for who, (options, wanted) in strangers.items():
                for attempt in (lambda client: write(client, "stranger"), lambda client: client.delete(["owner-0"])):
                    with pytest.raises(wanted), served.client(**options | {"timeout": 5.0}) as client:
                        attempt(client)
                    tried[who] += 1
    finally:
        stop.set()
        work.join(60)
    assert len(tried) == len(strangers)
    assert written == list(range(1, len(written) + 1))
    assert len(written) > 1
    output = served.process.output.read_text()
    for secret in ("Bearer", sha256(b"owner").hexdigest(), "x" * 51):
        assert secret not in output
    served.process.kill()
    with Collection.open(served.path) as collection:
        assert collection.info().images == len(written)
        assert collection.verify().problems == []


def test_a_key_opens_no_more_than_its_scope(door) -> None:
    """The whole table is in tests/server/security/test_table.py; here once more at a real process."""
    served, right, _ = door
    with served.client(**right | {"api_key": "writer"}) as writer:
        assert write(writer, "a").failed == 0
        with pytest.raises(setwise.PermissionDeniedError):
            writer.download_snapshot(served.path.parent / "stolen.tar")
        with pytest.raises(setwise.PermissionDeniedError):
            writer.drop_collection("photos")
    with served.client(**right | {"api_key": "reader"}) as reader:
        assert reader.count() == 1
        with pytest.raises(setwise.PermissionDeniedError):
            reader.update("a", {"changed": True})
