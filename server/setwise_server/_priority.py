"""Threads that compute give way to the one that answers the wire."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["NICE", "give_way"]

NICE = 5
"""By how much: a third of the share of a thread that did not (Linux, sched(7))."""

LOWEST = 19


def give_way() -> None:
    """For the start of a thread that computes: whenever the event loop wants a core it gets one, however many compute.

    With the cores full and calls offered at five times what they bear, a refusal took 16 ms with it and 221 ms without
    (medians; docs/decisions/0119). Only Linux knows priorities of single threads; elsewhere nothing is done.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(LOWEST, os.getpriority(os.PRIO_PROCESS, thread) + NICE))
