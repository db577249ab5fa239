"""Targets at the door: the files of keys and settings, variables, and what callers show to be let in."""

from __future__ import annotations

from pathlib import Path

from fuzz_grammar import word_grammar
from fuzz_target import Ready, Target

from setwise_engine.errors import InvalidInput

__all__ = ["TARGETS"]

SECRET = "setwise_" + "Zq3" * 14 + "w"
"""Looks like a key."""

KEYS = """[[key]]
name = "shop"
sha256 = "{sha256}"
scope = "read"
expires = 2999-01-31

[[certificate]]
name = "indexer"
subject = "CN=indexer,O=Shop"
scope = "write"

[[certificate]]
name = "spiffe"
alternative_name = "spiffe://shop/indexer"
scope = "admin"
"""
WORDS = b"""
[[key]] [[certificate]] [key] name = sha256 scope expires subject "read" "admin" "x" 2020-01-01 1979-05-27T07:32:00Z {}
0x1F 1e400 nan -inf [] [1, {a=1}] # true 'y' \"\"\" a.b port max_k [limits] [security] [observe]
""".split()
WORDS.append(b"\n")


def _keys_text() -> bytes:
    from setwise_server.security._keys import sha256

    return KEYS.format(sha256=sha256(SECRET)).encode()


def _keys(_: Path) -> Ready:
    """A file of keys: distinct callers with a scope each; a key that was put where its hash belongs is not repeated."""
    from setwise_server.security import Access
    from setwise_server.security._keys_file import parse_keys

    def run(data: bytes) -> None:
        try:
            entries = parse_keys(data, "keys.toml")
        except InvalidInput as error:
            assert SECRET not in str(error)
            raise
        for entry in entries:
            assert entry.caller.access in (Access.READ, Access.WRITE, Access.ADMIN)
            assert entry.caller.name.isprintable()
            assert sum(map(bool, (entry.sha256, entry.subject, entry.alternative_name))) == 1

    slip = KEYS.format(sha256=SECRET).encode()
    return Ready(run, [_keys_text(), slip], word_grammar([*WORDS, f'"{SECRET}"'.encode()]))


def _callers(folder: Path) -> Ready:
    """What a caller shows, three texts in lines: nobody is let in but the owner of the key or of a certificate."""
    from setwise_server.security import Access, Guard
    from setwise_server.settings import Security, ServerSettings

    path = folder / "keys.toml"
    path.write_bytes(_keys_text())
    guard = Guard(ServerSettings(security=Security(keys=path)))

    def run(data: bytes) -> None:
        header, subject, alternative = [*data.split(b"\n"), b"", b"", b""][:3]
        shown = {"authorization": header.decode("latin-1")} if header else {}
        certificate = {"x509_subject": [subject], "x509_subject_alternative_name": [alternative]}
        caller = guard.identify(shown, certificate)
        if header:
            assert caller.name == "shop"
            assert header.decode("latin-1").split(maxsplit=1)[1].strip() == SECRET
        elif caller.access is not Access.NONE:
            assert subject == b"CN=indexer,O=Shop" or alternative == b"spiffe://shop/indexer"

    seeds = [f"Bearer {SECRET}", f"bearer  {SECRET} ", "\nCN=indexer,O=Shop", "\n\nspiffe://shop/indexer", "Basic x"]
    return Ready(run, [seed.encode() for seed in seeds])


def _settings(folder: Path) -> Ready:
    """A file of settings: what passes is printed as a file that means the same."""
    from setwise_server.settings import ServerSettings, as_toml, load
    from setwise_server.settings._load import Loaded

    first, second = folder / "a.toml", folder / "b.toml"

    def run(data: bytes) -> None:
        first.write_bytes(data)
        loaded = load(first)
        second.write_text(as_toml(loaded), encoding="utf-8")
        assert load(second).settings == loaded.settings

    defaults = as_toml(Loaded(ServerSettings(), load().origins)).encode()
    few = b'port = 0\ngrace = 2.5\nweights = {}\n[limits]\nmax_k = 7\n[security]\nanonymous = "read"\n'
    return Ready(run, [defaults, few.replace(b"weights = {}\n", b"")], word_grammar(WORDS))


def _variables(_: Path) -> Ready:
    """Variables, one a line."""
    from setwise_server.settings import load

    def run(data: bytes) -> None:
        lines = [line.partition("=") for line in data.decode("utf-8", "surrogateescape").split("\n")]
        load(environment={f"SETWISE_{name}": value for name, _, value in lines})

    seeds = ["PORT=0\nLIMITS_MAX_K=7\nSECURITY_ANONYMOUS=read", "GRACE=1e3\nMODELS=a,b@224\nMAINTENANCE=no", "ROOT=/x"]
    return Ready(run, [seed.encode() for seed in seeds], word_grammar([b"\nPORT=", b"\nGRACE=", b"nan", b"\nLIMITS_"]))


TARGETS = (
    Target("keys", _keys),
    Target("callers", _callers),
    Target("settings", _settings),
    Target("variables", _variables),
)
