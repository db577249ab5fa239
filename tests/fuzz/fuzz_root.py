"""The target of a server that makes and drops collections in a folder: whatever they are called, all stay within it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from fuzz_grammar import message_grammar
from fuzz_target import Ready, Target
from fuzz_wire import small_collection

from setwise_proto.v1 import collections_pb2 as pb

__all__ = ["TARGETS"]

SERVICE = "/setwise.v1.CollectionService/"
REQUESTS = {
    "CreateCollection": [
        pb.CreateCollectionRequest(name="new", features=True, dims=8, encoder=1),
        pb.CreateCollectionRequest(name="c", features=True, encoder_from="c", encoder=pb.ENCODER_SOURCE_COLLECTION),
    ],
    "DropCollection": [pb.DropCollectionRequest(name="new")],
    "SetAlias": [pb.SetAliasRequest(alias="a", collection="c")],
    "DeleteAlias": [pb.DeleteAliasRequest(alias="a")],
    "GetCollection": [pb.GetCollectionRequest(name="a")],
    "CompactCollection": [pb.CompactCollectionRequest(name="c")],
}
PATHS = sorted(REQUESTS)
FRESH = 400  # cases that share a folder
FAULTS = {2, 13, 15}


class Serving:
    """A server in process whose folder is made anew now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._cases = folder, 0
        self._close: Callable[[], None] = lambda: None

    def __call__(self, data: bytes) -> None:
        """One request: a byte for the rpc, the rest its message."""
        from setwise_server._call import Call
        from setwise_server._status import status_of

        if self._cases % FRESH == 0:
            self._begin()
        self._cases += 1
        method = self._methods[SERVICE + PATHS[data[0] % len(PATHS) if data else 0]]
        request = method.parse(data[1:])
        try:
            method.handle(request, Call(20.0))
        except Exception as error:
            assert status_of(error).code not in FAULTS, repr(error)
            raise
        finally:
            assert [path.name for path in self._folder.iterdir()] == ["root"]
            assert {path.suffix for path in (self._folder / "root").iterdir() if path.name[0] != "."} <= WITHIN

    def close(self) -> None:
        """The end."""
        self._close()

    def _begin(self) -> None:
        from setwise_server._holdings import Holdings
        from setwise_server.handlers import methods
        from setwise_server.settings import Offer, ServerSettings

        self._close()
        root = self._folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        small_collection(root)
        settings = ServerSettings(root=root, models=(Offer("none"),), maintenance=False)
        holdings = Holdings([], settings)
        self._close = holdings.close
        self._methods = methods(holdings)


WITHIN = {".setwise", ".json", ".lock", ""}


def _root(folder: Path) -> Ready:
    serving = Serving(folder)
    seeds = [bytes([n]) + one.SerializeToString() for n, path in enumerate(PATHS) for one in REQUESTS[path]]
    kinds = [type(REQUESTS[path][0]) for path in PATHS]
    grammar = message_grammar(lambda data: kinds[data[0] % len(kinds)], skip=1)
    return Ready(serving, seeds, grammar, serving.close)


TARGETS = (Target("root", _root, short=40),)
