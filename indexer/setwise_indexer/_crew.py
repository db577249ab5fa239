"""How many threads do what, and torch's own threads while they do it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from setwise_indexer._pipeline import Crew
from setwise_indexer._request import Request

__all__ = ["crew_for"]

_CPU_BATCH = 2  # the activations of larger ones leave the cache
_CUDA_BATCH = 64
_MOST_FORWARDERS = 16


@contextmanager
def crew_for(request: Request) -> Iterator[Crew]:
    """The threads of a run; inside the `with`, the numerical libraries' own are set to suit them.

    On a CPU every core may decode or run the network, each forward pass on one thread; a GPU is fed by one thread.
    """
    cores = len(os.sched_getaffinity(0))
    decoders = request.workers or cores
    with threadpool_limits(1, user_api="blas"):
        if request.features:
            yield Crew(decoders, 1, request.batch_size or 1)
        elif _on_cuda(request.device):
            yield Crew(decoders, 1, request.batch_size or _CUDA_BATCH)
        else:
            forwarders = min(cores, _MOST_FORWARDERS)
            with _torch_threads(max(1, cores // forwarders)):
                yield Crew(decoders, forwarders, request.batch_size or _CPU_BATCH)


def _on_cuda(device: str) -> bool:
    import torch

    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
