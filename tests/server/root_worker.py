"""Makes, drops and aliases collections in a folder for ever; says before each change what it is about to do, and after
it that it did. Run as a program: FOLDER SEED."""

from __future__ import annotations

import contextlib
import random
import sys

from setwise_engine.collection import Settings
from setwise_engine.errors import EngineError
from setwise_server._making import plain_encoder
from setwise_server._root import Root
from setwise_server._waiting import Waiting

NAMES = ("a", "b", "c")
ALIASES = ("x", "y")


def main(folder: str, seed: int) -> None:
    """Work until killed."""
    root, choose = Root(folder), random.Random(seed)
    root.sweep()
    encoder = plain_encoder(4)
    settings = Settings("", 0, "", 4, encoder.fingerprint, coarse="mean")
    waiting = Waiting("", 4, "mean", thumbnails=False, gate=True)
    print("ready", flush=True)
    while True:
        name, alias = choose.choice(NAMES), choose.choice(ALIASES)
        kind = choose.choice(["create", "wait", "finish", "drop", "alias", "unalias"])
        subject = alias if kind == "unalias" else f"{alias} {name}" if kind == "alias" else name
        print("begin", kind, subject, flush=True)
        with contextlib.suppress(EngineError):
            match kind:
                case "create":
                    root.create(name, settings, encoder)
                case "wait":
                    root.wait(name, waiting)
                case "finish":
                    root.finish(name, settings, encoder)
                case "drop":
                    root.drop(name)
                case "alias":
                    root.set_alias(alias, name)
                case "unalias":
                    root.delete_alias(alias)
            print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
