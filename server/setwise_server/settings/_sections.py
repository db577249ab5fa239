"""The sections of the settings: what one call may ask for, who may ask, what is told of the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from setwise_server.settings._knob import check, knob

__all__ = ["MIB", "Limits", "Observe", "Security"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may ask for; clients read the same numbers from GetServerInfo.

    Bytes of a message and of an encoded image, pixels of a decoded image, tokens of a feature set, queries of a batch,
    hits and candidates of a search, conditions, joints and values of a filter, ids or changes of one writing call.
    Of one caller, who is known by his key or else by his address: streams at once, and calls in a second in the long
    run, 0 for as many as come. Raises InvalidInput for a number out of range.
    """

    max_message_bytes: int = knob(16 * MIB, "bytes of a message", least=1, most=2**31 - 1)
    max_image_bytes: int = knob(15 * MIB, "bytes of an encoded image", least=1)
    max_image_pixels: int = knob(100_000_000, "pixels of a decoded image", least=1)
    max_tokens: int = knob(4096, "tokens of a feature set", least=1)
    max_batch: int = knob(32, "queries of a batch", least=1)
    max_k: int = knob(1000, "hits of a search", least=1)
    max_candidates: int = knob(20_000, "candidates of a search", least=1)
    max_filter_terms: int = knob(
        10_000, "conditions, joints and values of a filter; metadata fields that a search asks for", least=1
    )
    max_changes: int = knob(10_000, "ids or changes of one writing call", least=1)
    max_streams_per_client: int = knob(16, "streams of one caller at once", least=1)
    max_calls_per_second: float = knob(0.0, "calls of one caller in a second in the long run; 0: no limit", least=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who may ask, and how the wire is kept.

    tls_cert, tls_key: PEM files of the server's certificate chain and key; both or neither. client_ca: PEM file of the
    authorities whose certificates callers must show (mutual TLS). All three are read again when they change.
    keys: TOML file of the API keys and certificates that are known, and what each may; read again when it changes.
    anonymous: "none", "read", "write" or "admin": what callers without a key may. None: "admin" on a loopback address
    where there are neither keys nor client_ca, "none" elsewhere.
    reflection: whether the interface is told to those who ask.
    """

    tls_cert: Path | None = knob(None, "PEM file of the server's certificate chain")
    tls_key: Path | None = knob(None, "PEM file of the certificate's key")
    client_ca: Path | None = knob(None, "PEM file of the authorities whose certificates callers must show")
    keys: Path | None = knob(None, "TOML file of the keys and certificates that are known, as `setwise key` writes it")
    anonymous: str | None = knob(
        None,
        "what callers without a key may; auto: admin on loopback where nobody has one, else none",
        choices=("none", "read", "write", "admin"),
        absent="auto",
    )
    reflection: bool = knob(True, "tell the interface to those who ask")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """What is told of the server.

    metrics_host, metrics_port: where Prometheus finds the metrics over HTTP; None for nowhere, 0 for any free port.
    log_format: "text" or "json", one object a line. log_level: "debug", "info", "warning" or "error".
    slow_ms: calls that take at least as long are logged with all their stages; None for none.
    traces: address of an OTLP collector (gRPC, host:port) that traces are sent to; None for none.
    """

    metrics_host: str = knob("127.0.0.1", "address on which Prometheus finds the metrics")
    metrics_port: int | None = knob(None, "port of the metrics; 0: any free one; none: no metrics", least=0, most=65535)
    log_format: str = knob("text", "how the log is written; json: one object a line", choices=("text", "json"))
    log_level: str = knob("info", "from which level on", choices=("debug", "info", "warning", "error"))
    slow_ms: int | None = knob(1000, "calls of so many milliseconds are logged with all their stages", least=0)
    traces: str | None = knob(None, "HOST:PORT of the OTLP collector (gRPC) that traces are sent to")

    def __post_init__(self) -> None:
        check(self)
