"""Everything that a server is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from setwise_engine.errors import ReadOnlyError
from setwise_server._cores import cores
from setwise_server.settings._knob import check, knob
from setwise_server.settings._offer import USUAL_MODELS, Offer
from setwise_server.settings._sections import MIB, Limits, Observe, Security

__all__ = ["ServerSettings", "address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything that a server is started with.

    workers: calls that compute at once; max_queue: calls that may wait for one of them.
    max_writes: calls that write, and mostly wait for the disk, at once; max_streams: streams at once.
    commit_ms, commit_bytes: writes of so many milliseconds, or so many bytes, share one commit (at most 2,000 images).
    threads: cores that one forward pass uses, None for one, or more where there are more than 16; as many passes run at
    once as there are cores for.
    scan_threads: cores that one exhaustive search uses, None for all; other searches use one.
    region_limit: collections of up to so many images are searched exhaustively for a region.
    weights: local weight files by network name, for networks whose weights no package holds.
    root: folder whose collections are served, and in which callers may make and drop them; None to serve given ones.
    read_only: take no writes at all.
    models: networks that new collections may be made with; the first is the default. Loaded at the first use.
    maintenance: compact, index and check collections in the background, as they need it.
    maintenance_bytes: bytes a second that this may read and write in all.
    grace: seconds that running calls are given when the server is told to stop.
    batch_images: images of one forward pass that concurrent calls share, None for 1 on a CPU, where sharing gains
    nothing, and 32 on a GPU; batch_ms: how long a pass waits for more of them.
    cache_bytes: memory for the sets of images that were asked with lately; 0 for none.
    decode_bytes: memory that pictures may take while they are decoded, all calls together.
    Raises InvalidInput for a number out of range.
    """

    host: str = knob("127.0.0.1", "address to listen on")
    port: int = knob(50051, "port to listen on; 0: any free one", least=0, most=65535)
    root: Path | None = knob(None, "serve every collection in this folder; clients may make and drop them")
    read_only: bool = knob(False, "take no writes")
    models: tuple[Offer, ...] = knob(
        USUAL_MODELS, "networks that new collections may have; the first is the default", flag="--model"
    )
    weights: tuple[tuple[str, str], ...] = knob((), "local weights of models")
    device: str = knob("auto", "auto, cpu or cuda")
    workers: int = knob(cores(), "calls that compute at once", least=1, shown="one per core")
    max_queue: int = knob(64, "calls that may wait for a worker", least=0)
    max_writes: int = knob(16, "calls that write at once", least=1)
    max_streams: int = knob(32, "streams at once", least=1)
    commit_ms: int = knob(200, "longest wait of a write for others to share its commit", least=0)
    commit_bytes: int = knob(64 * MIB, "bytes of writes that are committed at once", least=1)
    threads: int | None = knob(None, "cores of one forward pass; auto: one, as a rule", least=1, absent="auto")
    scan_threads: int | None = knob(None, "cores of one exhaustive search; auto: all", least=1, absent="auto")
    region_limit: int = knob(
        20_000, "for regions, collections of up to so many images are searched exhaustively", least=0
    )
    batch_images: int | None = knob(
        None, "images of concurrent calls that share a forward pass; auto: 1, on a GPU 32", least=1, absent="auto"
    )
    batch_ms: float = knob(0.0, "how long an image waits for others to share its forward pass", least=0)
    cache_bytes: int = knob(64 * MIB, "memory for the sets of images that were asked with lately", least=0)
    decode_bytes: int = knob(1024 * MIB, "memory that pictures may take while they are decoded, in all", least=1)
    maintenance: bool = knob(True, "compact, index and check collections in the background")
    maintenance_bytes: int = knob(32 * MIB, "bytes a second for that upkeep", least=1)
    grace: float = knob(10.0, "seconds for running calls to end when the server is told to stop", least=0)
    limits: Limits = field(default_factory=Limits)
    security: Security = field(default_factory=Security)
    observe: Observe = field(default_factory=Observe)

    def __post_init__(self) -> None:
        check(self)

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
