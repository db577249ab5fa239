"""How commands show who asks: by files and variables, never by a key on the command line."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import trustme

import setwise
from setwise._cli import main
from setwise.commands._connection import VARIABLES, configure_connection, security
from setwise_server.settings._load import OTHER_VARIABLES

KEY = "setwise_4f1c0a5e2b7d8899aabbccddeeff0011"
Out = pytest.CaptureFixture[str]


def given(*words: str, **environment: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    configure_connection(parser)
    return security(parser.parse_args(words), environment)


def test_nothing_is_said_where_nothing_was_given() -> None:
    assert {name for name, value in given().items() if value} == set()


def test_files_come_from_flags_or_else_from_the_environment() -> None:
    environment = {"SETWISE_CA": "env.pem", "SETWISE_CERTIFICATE": "c.pem", "SETWISE_CERTIFICATE_KEY": "k.pem"}
    assert given("--ca", "flag.pem", **environment) == {
        "api_key": None,
        "tls": None,
        "ca": Path("flag.pem"),
        "certificate": "c.pem",
        "key": "k.pem",
        "insecure_api_key": False,
    }


@pytest.mark.parametrize(("text", "tls"), [("1", True), ("true", True), ("0", False), ("off", False), ("", None)])
def test_tls_by_variable(text: str, tls: bool | None) -> None:
    assert given(SETWISE_TLS=text)["tls"] is tls
    assert given("--tls", SETWISE_TLS=text)["tls"] is True


def test_a_wrong_switch_is_named() -> None:
    with pytest.raises(setwise.InvalidArgumentError, match="SETWISE_TLS is 'maybe'; give 1 or 0"):
        given(SETWISE_TLS="maybe")


def test_the_key_stands_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert given("--api-key-file", str(file), SETWISE_API_KEY="another")["api_key"] == KEY
    assert given(SETWISE_API_KEY_FILE=str(file))["api_key"] == KEY
    # The key itself comes before the variable that names a file; `setwise.connect` reads it.
    assert given(SETWISE_API_KEY_FILE="no such file", SETWISE_API_KEY=KEY)["api_key"] is None


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe"])
def test_a_file_without_one_key_is_refused_and_not_shown(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    for path in (file, tmp_path / "absent"):
        with pytest.raises(setwise.InvalidArgumentError, match=str(path)) as caught:
            given("--api-key-file", str(path))
        assert "two words" not in str(caught.value)


@pytest.mark.parametrize("name", ["add", "compare", "delete", "list", "search", "snapshot"])
def test_every_command_that_asks_takes_them_and_none_takes_a_key(name: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"setwise.commands.{name}").configure(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert flags >= {"--api-key-file", "--tls", "--ca", "--certificate", "--certificate-key", "--insecure-api-key"}
    assert not flags & {"--api-key", "--key"}


def test_a_server_started_in_the_same_shell_minds_none_of_the_variables() -> None:
    assert VARIABLES <= OTHER_VARIABLES


@pytest.fixture(scope="module")
def locked(
    serve: Callable[..., AbstractContextManager[Any]], sets_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """host:port of a server with TLS and keys, the file of its authority, and files of two keys by scope."""
    folder = tmp_path_factory.mktemp("locked")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf.private_key_pem.write_to_path(folder / "private.pem")
    (folder / "chain.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    from setwise_server.security import add_key

    for scope in ("read", "write"):
        (folder / scope).write_text(add_key(folder / "keys.toml", f"{scope}er", scope, None))
    words = ["--tls-cert", "chain.pem", "--tls-key", "private.pem", "--keys", "keys.toml"]
    paths = [str(folder / word) if "." in word else word for word in words]
    with serve(str(sets_path), "--port", "0", *paths) as (address, _):
        yield address, folder


def test_a_locked_server_is_asked_with_a_key(locked: Any, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = locked
    words = ["list", address, "--count", "--ca", str(folder / "ca.pem")]
    assert main([*words, "--api-key-file", str(folder / "read")]) == 0
    assert capsys.readouterr().out == "12\n"
    monkeypatch.setenv("SETWISE_API_KEY", (folder / "read").read_text())
    monkeypatch.setenv("SETWISE_CA", str(folder / "ca.pem"))
    assert main(["list", address, "--count"]) == 0
    assert capsys.readouterr().out == "12\n"


def test_who_is_not_let_in_is_told_what_to_do(locked: Any, capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    address, folder = locked
    words = [address, "--ca", str(folder / "ca.pem")]
    assert main(["list", *words]) == 1
    err = capsys.readouterr().err
    assert "no key was sent to" in err and "SETWISE_API_KEY" in err and "[request " in err and err.count("\n") == 1
    key = (folder / "read").read_text()
    assert main(["delete", *words, "set-00", "--api-key-file", str(folder / "read")]) == 1
    err = capsys.readouterr().err
    assert "needs scope write" in err and "api_key was sent to" in err and key not in err
    monkeypatch.setenv("SETWISE_API_KEY", KEY)
    assert main(["list", *words]) == 1
    err = capsys.readouterr().err
    assert "not known here" in err and "the key in SETWISE_API_KEY was sent to" in err and KEY not in err


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_sdk_meets_the_same_door(locked: Any, asynchronous: bool) -> None:
    address, folder = locked

    def ask(**options: Any) -> int:
        if not asynchronous:
            with setwise.connect(address, ca=folder / "ca.pem", **options) as client:
                return client.count()

        async def main() -> int:
            async with setwise.connect_async(address, ca=folder / "ca.pem", **options) as client:
                return await client.count()

        import asyncio

        return asyncio.run(main())

    assert ask(api_key=(folder / "read").read_text()) == 12
    with pytest.raises(setwise.UnauthenticatedError, match="no key was sent") as caught:
        ask()
    assert caught.value.request_id and not caught.value.retriable


def test_streams_carry_the_key_too(locked: Any, tmp_path: Path) -> None:
    address, folder = locked
    options = {"ca": folder / "ca.pem", "api_key": (folder / "read").read_text()}
    with setwise.connect(address, **options) as client, setwise.request_id("of-mine"):
        with pytest.raises(setwise.PermissionDeniedError, match="needs scope write") as caught:
            client.upsert([tmp_path / "x.jpg"])
        assert caught.value.request_id == "of-mine"
        with pytest.raises(setwise.PermissionDeniedError, match="needs scope admin"):
            client.download_snapshot(tmp_path / "a.tar")
