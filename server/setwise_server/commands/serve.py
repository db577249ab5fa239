"""`setwise serve`: answer searches over gRPC."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["HELP", "configure", "run"]

HELP = "serve collections over gRPC"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directories", nargs="*", metavar="DIR", help="a collection; its name is its folder's stem")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="serve every collection in this folder; clients may make and drop them"
    )
    parser.add_argument("--read-only", action="store_true", help="take no writes")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=50051, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--workers", type=int, metavar="N", help="calls that compute at once (default: one per core)")
    parser.add_argument("--max-queue", type=int, metavar="N", help="calls that may wait (default: 64)")
    parser.add_argument("--max-writes", type=int, metavar="N", help="calls that write at once (default: 16)")
    parser.add_argument("--max-streams", type=int, metavar="N", help="streams at once (default: 32)")
    parser.add_argument(
        "--commit-ms", type=int, metavar="MS", help="longest wait for other writes to share a commit (default: 200)"
    )
    parser.add_argument(
        "--commit-bytes", type=int, metavar="N", help="bytes of writes that are committed at once (default: 67108864)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="cores of one forward pass (default: torch's choice)")
    parser.add_argument("--scan-threads", type=int, metavar="N", help="cores of one exhaustive search (default: all)")
    parser.add_argument(
        "--region-limit",
        type=int,
        metavar="N",
        help="collections of up to N images are searched exhaustively for regions (default: 20000)",
    )
    parser.add_argument(
        "--weights", action="append", default=[], metavar="MODEL=FILE", type=_pair, help="local weights of a model"
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME[@PX]",
        help="network that new collections may have; several times; the first is the default (efficientnet-lite0)",
    )
    parser.add_argument("--no-maintenance", action="store_true", help="do not compact, index and check by itself")
    parser.add_argument(
        "--maintenance-bytes", type=int, metavar="N", help="bytes a second for that upkeep (default: 33554432)"
    )
    parser.add_argument("--grace", type=float, metavar="S", help="seconds for running calls to end (default: 10)")


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from setwise_server.observe import logs
    from setwise_server.serve import run as serve
    from setwise_server.settings import Offer, ServerSettings

    named = (
        *("host", "port", "workers", "max_queue", "max_writes", "max_streams", "commit_ms", "commit_bytes"),
        *("device", "threads", "scan_threads", "region_limit", "grace", "root", "maintenance_bytes"),
    )
    given = {name: value for name in named if (value := getattr(args, name)) is not None}
    if args.model:
        given["models"] = tuple(map(Offer.parse, args.model))
    settings = ServerSettings(
        weights=tuple(args.weights), read_only=args.read_only, maintenance=not args.no_maintenance, **given
    )
    with logs(settings.observe):
        serve(args.directories, settings, lambda line: print(line, flush=True))
    return 0


def _pair(text: str) -> tuple[str, str]:
    model, _, path = text.partition("=")
    if not model or not path:
        raise argparse.ArgumentTypeError(f'"{text}" is not MODEL=FILE')
    return model, path
