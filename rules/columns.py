"""Columns: arrays with one place for each thing, which grow together and are saved together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from facility.room import room_for


def named(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with a prefix, without that prefix."""
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


class Columns:
    """Base of what is kept as arrays of one length; a subclass names its columns in `FILL`.

    Attributes:
        FILL: The type of each column, and what it holds where nothing is known, by the column's name.
    """

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]]

    def __init__(self, places: int = 0) -> None:
        for name, (kind, fill) in self.FILL.items():
            setattr(self, name, np.full(places, fill, kind))

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.FILL))))

    def grow(self, places: int) -> None:
        """Make room for at least so many places, and for a share more than there were."""
        have = len(self)
        if (more := room_for(places, have) - have) > 0:
            self.extend(more)

    def extend(self, more: int) -> None:
        """Make room for so many places more."""
        for name, (kind, fill) in self.FILL.items():
            setattr(self, name, np.concatenate([getattr(self, name), np.full(more, fill, kind)]))

    def save(self) -> dict[str, NDArray[Any]]:
        """Return every column by its name, as it is now: who keeps it beyond the next change copies it."""
        return {name: getattr(self, name) for name in self.FILL}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return what `save` returned; a column that an older version did not have knows nothing."""
        loaded = cls(max(len(arrays[name]) for name in cls.FILL if name in arrays))
        for name in cls.FILL:
            if name in arrays:
                setattr(loaded, name, arrays[name].copy())
        return loaded
