"""How the server of a benchmark is reached and watched: TLS, keys, metrics, traces, each on or off."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

__all__ = ["SWITCHES", "Door", "opened"]

SWITCHES = ("tls", "keys", "metrics", "traces")
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass
class Door:
    """environment: of `setwise serve`. ca, key: what a client needs, "" for nothing. exports: messages with spans that
    the collector got so far."""

    environment: dict[str, str] = field(default_factory=dict)
    ca: str = ""
    key: str = ""
    exports: int = 0


@contextmanager
def opened(folder: Path, switches: Collection[str]) -> Iterator[Door]:
    """What the switches need, made in the folder. Raises ValueError for a switch that is none of SWITCHES."""
    if not set(switches) <= set(SWITCHES):
        raise ValueError(f"switches are {', '.join(SWITCHES)}, not {', '.join(switches)}")
    folder.mkdir(parents=True, exist_ok=True)
    door = Door()
    with ExitStack() as stack:
        if "tls" in switches:
            _tls(door, folder)
        if "keys" in switches:
            _keys(door, folder)
        if "metrics" in switches:
            door.environment["SETWISE_OBSERVE_METRICS_PORT"] = "0"
        if "traces" in switches:
            door.environment["SETWISE_OBSERVE_TRACES"] = stack.enter_context(_collector(door))
        yield door


def _tls(door: Door, folder: Path) -> None:
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    ca, chain, key = folder / "ca.pem", folder / "chain.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(ca)
    certificate.private_key_pem.write_to_path(key)
    for part in certificate.cert_chain_pems:
        part.write_to_path(chain, append=True)
    door.ca = str(ca)
    door.environment |= {"SETWISE_SECURITY_TLS_CERT": str(chain), "SETWISE_SECURITY_TLS_KEY": str(key)}


def _keys(door: Door, folder: Path) -> None:
    """A hundred keys, one of them ours."""
    keys = [secrets.token_urlsafe(32) for _ in range(100)]
    entries = (
        f'[[key]]\nname = "caller-{i}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nscope = "write"\n'
        for i, key in enumerate(keys)
    )
    path = folder / "keys.toml"
    path.write_text("\n".join(entries))
    path.chmod(0o600)
    door.key = keys[-1]
    door.environment["SETWISE_SECURITY_KEYS"] = str(path)


@contextmanager
def _collector(door: Door) -> Iterator[str]:
    """The address of an OTLP collector that counts what it gets and keeps nothing."""

    def export(request: bytes, context: Any) -> bytes:
        door.exports += 1
        return b""

    service, method = _EXPORT.strip("/").split("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(export)})
    server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()
