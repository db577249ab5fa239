"""How many threads do what, and torch's own threads while they do it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from setwise_indexer._pipeline import Crew
from setwise_indexer._request import Request

__all__ = ["crew_for"]

_CPU_BATCH = 2  # the activations of larger ones leave the cache
_CUDA_BATCH = 64
_MOST_FORWARDERS = 16


@contextmanager
def crew_for(request: Request) -> Iterator[Crew]:
    """The threads of a run; inside the `with`, torch's own are set to suit them.

    On a CPU every core may decode or run the network, each forward pass on one thread; a GPU is fed by one thread.
    """
    cores = len(os.sched_getaffinity(0))
    decoders = request.workers or cores
    if request.features:
        yield Crew(decoders, 1, request.batch_size or 1)
        return
    import torch

    if request.device.startswith("cuda") or (request.device == "auto" and torch.cuda.is_available()):
        yield Crew(decoders, 1, request.batch_size or _CUDA_BATCH)
        return
    forwarders = min(cores, _MOST_FORWARDERS)
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, cores // forwarders))
    try:
        yield Crew(decoders, forwarders, request.batch_size or _CPU_BATCH)
    finally:
        torch.set_num_threads(before)
