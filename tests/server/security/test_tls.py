"""TLS and mutual TLS, by real handshakes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from setwise_engine.errors import InvalidInput
from setwise_server.security import server_credentials
from setwise_server.settings import Security

SERVE = "import sys; from setwise._cli import main; sys.exit(main())"
INFO = "/setwise.v1.ServerService/GetServerInfo"
UNAVAILABLE, OK = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK


@pytest.fixture
def greets(asking) -> Callable[[str | grpc.Channel], grpc.StatusCode]:
    """How a call over this channel ends."""

    def greets(target: str | grpc.Channel) -> grpc.StatusCode:
        with asking(target) as ask:
            return ask.code(INFO)

    return greets


def test_whoever_trusts_the_authority_gets_through_and_nobody_in_clear_text(
    serve, authority, other_authority, greets
) -> None:
    with serve(**authority.as_server()) as address:
        assert greets(authority.channel(address)) is OK
        assert greets(other_authority.channel(address)) is UNAVAILABLE
        assert greets(address) is UNAVAILABLE


def test_handshakes_that_fail_do_not_fill_the_log(sets_path: Path, authority) -> None:
    """gRPC's core would write a line of its own for each, were it not told not to before Python starts."""
    files = authority.as_server()
    flags = ("--tls-cert", files["tls_cert"], "--tls-key", files["tls_key"], "--log-format", "json", "--port", "0")
    command = [sys.executable, "-c", SERVE, "serve", sets_path, *flags]
    quiet = {**os.environ, "GRPC_VERBOSITY": "NONE"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet) as process:
        try:
            host, _, port = process.stdout.readline().strip().rpartition(" ")[2].rpartition(":")
            for _ in range(3):
                with socket.create_connection((host, int(port)), timeout=30) as stranger:
                    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    with contextlib.suppress(ConnectionError):
                        while stranger.recv(1000):
                            pass
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    told = [json.loads(line) for line in errors.splitlines()]
    assert all(line["logger"].startswith("setwise.") for line in told)
    assert told[-1]["message"] == "stopped"


@pytest.mark.parametrize(
    ("version", "taken"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_old_versions_of_tls_are_refused(serve, authority, version: ssl.TLSVersion, taken: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.ca.configure_trust(context)
    context.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL would refuse the old ones on our own side
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    with serve(**authority.as_server()) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as plain:
            if taken:
                with context.wrap_socket(plain, server_hostname=host) as secure:
                    assert secure.selected_alpn_protocol() == "h2"
            else:
                with pytest.raises(OSError, match=r"SSL|closed|reset"):
                    context.wrap_socket(plain, server_hostname=host)


def test_with_client_ca_only_its_certificates_get_through_the_handshake(
    serve, authority, other_authority, greets
) -> None:
    settings = dict(**authority.as_server(), client_ca=authority.file, anonymous="read")
    known, forged = authority.issue("client", "client"), other_authority.issue("client", "client")
    with serve(**settings) as address:
        assert greets(authority.channel(address, known)) is OK
        assert greets(authority.channel(address)) is UNAVAILABLE
        assert greets(authority.channel(address, forged)) is UNAVAILABLE


def test_certificates_have_names_and_scopes(serve, authority, asking, tmp_path: Path) -> None:
    """By their whole subject or an alternative name; a certificate of the authority's that is not named may nothing."""
    keys = tmp_path / "keys.toml"
    keys.write_text(
        """
        [[certificate]]
        name = "indexer"
        subject = "CN=indexer,OU=photos,O=Shop"
        scope = "write"

        [[certificate]]
        name = "front"
        alternative_name = "front.shop.example"
        scope = "read"

        [[certificate]]
        name = "old"
        alternative_name = "old.shop.example"
        scope = "admin"
        expires = 2020-01-01
        """
    )
    company = {"organization_name": "Shop", "organization_unit_name": "photos"}
    shown = {
        "indexer": authority.issue("indexer", "x.example", common_name="indexer", **company),
        "front": authority.issue("front", "front.shop.example"),
        "old": authority.issue("old", "old.shop.example"),
        "like": authority.issue("like", "front.shop.example.org", common_name="indexer", organization_name="Shop"),
    }
    settings = dict(**authority.as_server(), client_ca=authority.file, keys=keys)
    codes = {}
    with serve(**settings) as address:
        for name, files in shown.items():
            with asking(authority.channel(address, files)) as ask:
                codes[name] = [ask.code(INFO), ask.code("/setwise.v1.ImageService/UpsertImages")]
    denied, unknown = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
    assert codes["front"] == [OK, denied]
    assert codes["indexer"][0] is OK
    assert codes["indexer"][1] not in (denied, unknown)
    assert codes["old"] == codes["like"] == [unknown, unknown]


def test_a_key_counts_before_the_certificate(serve, authority, asking, keys) -> None:
    with keys.path.open("a") as file:
        file.write('[[certificate]]\nname = "front"\nalternative_name = "front.example"\nscope = "read"\n')
    settings = dict(**authority.as_server(), client_ca=authority.file, keys=keys.path)
    upsert = "/setwise.v1.ImageService/UpsertImages"
    with serve(**settings) as address:
        channel = authority.channel(address, authority.issue("front", "front.example"))
        with asking(channel) as ask:
            assert ask.code(upsert) is grpc.StatusCode.PERMISSION_DENIED
            assert ask.code(upsert, keys.of("write")) is not grpc.StatusCode.PERMISSION_DENIED
            assert ask.code(INFO, keys.of("stranger")) is grpc.StatusCode.UNAUTHENTICATED


def test_new_files_serve_without_a_restart_and_old_connections_go_on(serve, authority, other_authority, asking) -> None:
    tls = authority.as_server()
    with (
        serve(**tls) as address,
        asking(authority.channel(address)) as old,
    ):
        assert old.code(INFO) is OK
        for new, served in zip(other_authority.issue("server", "127.0.0.1"), tls.values(), strict=True):
            shutil.move(new, served)
        for whose, code in ((other_authority, OK), (authority, UNAVAILABLE)):
            with asking(whose.channel(address)) as new_caller:
                assert new_caller.code(INFO) is code
        assert old.code(INFO) is OK


def test_an_authority_that_is_taken_away_is_trusted_no_longer(serve, authority, other_authority, greets) -> None:
    trusted = authority.file
    settings = dict(**authority.as_server(), client_ca=trusted, anonymous="read")
    old, new = authority.issue("client", "client"), other_authority.issue("client", "client")
    with serve(**settings) as address:
        assert greets(authority.channel(address, old)) is OK
        trusted.write_bytes(other_authority.ca.cert_pem.bytes())
        assert greets(authority.channel(address, old)) is UNAVAILABLE
        assert greets(authority.channel(address, new)) is OK


@pytest.mark.parametrize("broken", ["gone", "empty", "half", "of another key"])
def test_broken_new_files_leave_the_old_ones_serving_and_are_logged_once(
    serve, authority, caplog, asking, broken: str
) -> None:
    tls = authority.as_server()
    cert = tls["tls_cert"]
    whole = cert.read_bytes()
    with serve(**tls) as address, caplog.at_level(logging.ERROR):
        if broken == "gone":
            cert.unlink()
        elif broken == "of another key":
            authority.issue("another", "127.0.0.1")[0].replace(cert)
        else:
            cert.write_bytes(whole[: 0 if broken == "empty" else len(whole) // 2])
        for _ in range(3):
            with asking(authority.channel(address)) as ask:
                assert ask.code(INFO) is OK
        told = [record.getMessage() for record in caplog.records if record.name == "setwise.security"]
        assert len(told) == 1
        assert str(cert) in told[0]
        cert.write_bytes(whole)
        with asking(authority.channel(address)) as ask:
            assert ask.code(INFO) is OK


def files(authority, change: str) -> dict[str, Path]:
    """Settings whose files cannot be served with."""
    cert, key = authority.issue("server", "127.0.0.1")
    wrong = authority.folder / "wrong.pem"
    wrong.write_text("-----BEGIN CERTIFICATE-----\nno base64\n-----END CERTIFICATE-----\n")
    return {
        "no key": {"tls_cert": cert},
        "no certificate": {"tls_key": key},
        "authority alone": {"client_ca": authority.file},
        "not there": {"tls_cert": authority.folder / "nope.pem", "tls_key": key},
        "swapped": {"tls_cert": key, "tls_key": cert},
        "of another": {"tls_cert": cert, "tls_key": authority.issue("another", "127.0.0.1")[1]},
        "no PEM": {"tls_cert": wrong, "tls_key": key},
        "authority no PEM": {"tls_cert": cert, "tls_key": key, "client_ca": wrong},
    }[change]


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ("no key", "--tls-key"),
        ("no certificate", "--tls-cert"),
        ("authority alone", "--tls-cert"),
        ("not there", "--tls-cert"),
        ("swapped", "--tls-cert"),
        ("of another", "--tls-cert"),
        ("no PEM", "--tls-cert"),
        ("authority no PEM", "--client-ca"),
    ],
)
def test_files_that_cannot_be_served_with_stop_the_start(authority, change: str, flag: str) -> None:
    with pytest.raises(InvalidInput, match=flag) as caught:
        server_credentials(Security(**files(authority, change)))
    assert caught.value.field == flag


def test_a_key_with_a_password_is_refused_and_not_asked_about(authority) -> None:
    from cryptography.hazmat.primitives import serialization as to

    cert, key = authority.issue("server", "127.0.0.1")
    private = to.load_pem_private_key(key.read_bytes(), None)
    locked = to.BestAvailableEncryption(b"word")
    key.write_bytes(private.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, locked))
    started = time.monotonic()
    with pytest.raises(InvalidInput, match="without a password"):
        server_credentials(Security(tls_cert=cert, tls_key=key))
    assert time.monotonic() - started < 30
