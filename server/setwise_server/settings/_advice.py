"""What to tell whoever set something that is not there or is wrong."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["LINK_ADVICE", "is_service_link", "nearest", "short"]

SHOWN = 60  # characters of a wrong value that an error repeats
SERVICE_LINK = re.compile(r"SETWISE(_\w+)?_(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_(TCP|UDP)(_\w+)?)")
LINK_ADVICE = (
    "Kubernetes sets it in pods beside a Service of that name: put enableServiceLinks: false into the pod's spec, "
    "or give the Service another name"
)


def is_service_link(name: str, text: str) -> bool:
    """Whether Kubernetes set this variable for a Service whose name begins with ours."""
    return SERVICE_LINK.fullmatch(name) is not None and ("://" in text or not name.endswith("_PORT"))


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """Advice: the setting that ends with this name, in another section say, or else the one spelt most like it."""
    known, last = list(known), re.sub(r"^SETWISE_|^.*\.", "", name)
    near = [other for other in known if re.search(rf"(^|[._]){re.escape(last)}$", other)]
    near = near or difflib.get_close_matches(name, known) or difflib.get_close_matches(last, known, cutoff=0.5)
    near.sort(key=lambda other: sorted(other) != sorted(name))  # two letters that changed places are likeliest
    return f"did you mean {near[0]}?" if near else otherwise


def short(value: Any) -> str:
    """A wrong value as an error repeats it."""
    if isinstance(value, int) and abs(value) > 10**SHOWN:
        return "too large"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
