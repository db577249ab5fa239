"""`setwise serve`: answer searches over gRPC."""

from __future__ import annotations

import argparse
import logging
import os

__all__ = ["HELP", "configure", "run"]

HELP = "serve collections over gRPC"

_DESCRIPTION = """
Every setting may stand in a TOML file (`max_k` of the section [limits]), in a variable (SETWISE_LIMITS_MAX_K) and in a
flag (--max-k): a flag wins over a variable, and that over the file. `setwise serve --print-config` prints such a file.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from setwise_server.settings import add_flags

    parser.description = _DESCRIPTION
    parser.add_argument("directories", nargs="*", metavar="DIR", help="a collection; its name is its folder's stem")
    parser.add_argument("--config", metavar="FILE", help="TOML file of settings (default: what SETWISE_CONFIG names)")
    parser.add_argument(
        "--print-config", action="store_true", help="print all settings and where each comes from, and start nothing"
    )
    add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from setwise_server.settings import as_toml, given, load

    # Read once, when torch and FAISS load OpenMP: threads that have done their part sleep instead of keeping a core
    # from the next call (up to 20 ms on a busy machine). Who says otherwise is heard.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    loaded = load(args.config, os.environ, given(args))
    if args.print_config:
        print(as_toml(loaded), end="")
        return 0
    from setwise_server.observe import logs
    from setwise_server.serve import run as serve

    with logs(loaded.settings.observe):
        serve(args.directories, loaded.settings, lambda line: print(line, flush=True))
        logging.getLogger("setwise.server").info("stopped")
    return 0
