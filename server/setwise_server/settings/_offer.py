"""The networks that new collections may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from setwise_engine.errors import InvalidInput

__all__ = ["USUAL_MODELS", "Offer"]


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
