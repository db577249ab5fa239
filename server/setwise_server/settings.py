"""What a server may be told, and what one call may ask of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from setwise_engine.errors import InvalidInput, ReadOnlyError

__all__ = ["USUAL_MODELS", "Limits", "Observe", "Offer", "Security", "ServerSettings", "address"]

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one call may ask for; clients read the same numbers from GetServerInfo.

    Bytes of a message and of an encoded image, pixels of a decoded image, tokens of a feature set, queries of a batch,
    hits and candidates of a search, conditions, joints and values of a filter, ids or changes of one writing call.
    Of one caller, who is known by his key or else by his address: streams at once, and calls in a second in the long
    run, 0 for as many as come.
    """

    max_message_bytes: int = 16 * _MIB
    max_image_bytes: int = 15 * _MIB
    max_image_pixels: int = 100_000_000
    max_tokens: int = 4096
    max_batch: int = 32
    max_k: int = 1000
    max_candidates: int = 20_000
    max_filter_terms: int = 10_000
    max_changes: int = 10_000
    max_streams_per_client: int = 16
    max_calls_per_second: float = 0.0


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

    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    keys: Path | None = None
    anonymous: str | None = None
    reflection: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """What is told of the server.

    metrics_host, metrics_port: where Prometheus finds the metrics over HTTP; None for nowhere, 0 for any free port.
    log_format: "text" or "json", one object a line. log_level: "debug", "info", "warning" or "error".
    slow_ms: calls that take at least as long are logged with all their stages; None for none.
    traces: address of an OTLP collector (gRPC, host:port) that traces are sent to; None for none.
    """

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    log_format: str = "text"
    log_level: str = "info"
    slow_ms: int | None = 1000
    traces: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A network that new collections may be made with: its name and the side of its input in pixels, None for its own
    default. As text: NAME or NAME@PX."""

    name: str
    image_size: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The offer of this text. Raises InvalidInput when it is none."""
        name, at, size = text.rpartition("@")
        if not at:
            return cls(text)
        if not name or not size.isdecimal() or int(size) < 1:
            raise InvalidInput(f'"{text}" is not NAME or NAME@PX with a positive number of pixels', field="--model")
        return cls(name, int(size))

    def __str__(self) -> str:
        return self.name if self.image_size is None else f"{self.name}@{self.image_size}"


USUAL_MODELS = (Offer("efficientnet-lite0"),)
"""What new collections are made with where nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything that a server is started with.

    workers: calls that compute at once; max_queue: calls that may wait for one of them.
    max_writes: calls that write, and mostly wait for the disk, at once; max_streams: streams at once.
    commit_ms, commit_bytes: writes of so many milliseconds, or so many bytes, share one commit (at most 2,000 images).
    threads: cores that one forward pass uses, None for what torch chooses; the passes of one network run one by one.
    scan_threads: cores that one exhaustive search uses, None for all; other searches use one.
    region_limit: collections of up to so many images are searched exhaustively for a region.
    weights: local weight files by network name, for networks whose weights no package holds.
    root: folder whose collections are served, and in which callers may make and drop them; None to serve given ones.
    read_only: take no writes at all.
    models: networks that new collections may be made with; the first is the default. Loaded at the first use.
    maintenance: compact, index and check collections in the background, as they need it.
    maintenance_bytes: bytes a second that this may read and write in all.
    grace: seconds that running calls are given when the server is told to stop.
    batch_images: images of one forward pass that concurrent calls share; batch_ms: how long one waits for others.
    cache_bytes: memory for the sets of images that were asked with lately; 0 for none.
    decode_bytes: memory that pictures may take while they are decoded, all calls together.
    Raises InvalidInput for a number out of range.
    """

    host: str = "127.0.0.1"
    port: int = 50051
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    max_queue: int = 64
    max_writes: int = 16
    max_streams: int = 32
    commit_ms: int = 200
    commit_bytes: int = 64 * _MIB
    device: str = "auto"
    threads: int | None = None
    scan_threads: int | None = None
    region_limit: int = 20_000
    weights: tuple[tuple[str, str], ...] = ()
    root: Path | None = None
    read_only: bool = False
    models: tuple[Offer, ...] = USUAL_MODELS
    maintenance: bool = True
    maintenance_bytes: int = 32 * _MIB
    grace: float = 10.0
    batch_images: int = 2
    batch_ms: float = 0.0
    cache_bytes: int = 64 * _MIB
    decode_bytes: int = 1024 * _MIB
    limits: Limits = field(default_factory=Limits)
    security: Security = field(default_factory=Security)
    observe: Observe = field(default_factory=Observe)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidInput(f"port {self.port} is not within 0 and 65535; 0 lets the system choose", field="--port")
        least_of = {
            "workers": 1,
            "max_queue": 0,
            "max_writes": 1,
            "max_streams": 1,
            "commit_ms": 0,
            "commit_bytes": 1,
            "threads": 1,
            "scan_threads": 1,
            "region_limit": 0,
            "grace": 0,
            "maintenance_bytes": 1,
            "batch_images": 1,
            "batch_ms": 0,
            "cache_bytes": 0,
            "decode_bytes": 1,
        }
        for name, least in least_of.items():
            value = getattr(self, name)
            if value is not None and value < least:
                option = f"--{name.replace('_', '-')}"
                raise InvalidInput(f"{option} is {value}; it must be at least {least}", field=option)

    def check_writes(self) -> None:
        """Raises ReadOnlyError for a server that takes none."""
        if self.read_only:
            raise ReadOnlyError("this server was started with --read-only; ask another one")

    @property
    def address(self) -> str:
        """`host:port` as gRPC takes it; an IPv6 address in brackets."""
        return address(self.host, self.port)


def address(host: str, port: int) -> str:
    """`host:port`, with an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
