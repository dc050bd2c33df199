"""What a test shows: outcomes of the product, which are made by it while the test runs.

A test marked `shows(Reason.BAD_JSON)` fails unless the product makes that outcome while it runs. Where the
mark names none, it shows those among the test's parameters. tests/tidy lists the outcomes that no test shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from facility import readings
from facility.readings import Batch, Flag, Quality, Reason, Rejection
from rules.model.measured import Measured
from rules.telemetry.cause import Cause
from rules.telemetry.state import Values
from store.journal.entries import Mark, MarkKind

OUTCOMES: Final[tuple[type[Enum], ...]] = (Reason, MarkKind, Quality, Flag, Cause)
"""Every way in which a message is refused, a connection breaks, and a value is in doubt or not known."""

_TESTS: Final = tuple(str(Path(__file__).parents[1] / folder) for folder in ("tests", "testing"))
_MADE: Final[tuple[tuple[type, Callable[[Any], Iterable[Enum]]], ...]] = (
    (Rejection, lambda made: [made.reason]),
    (Mark, lambda made: [made.kind]),
    (Batch, lambda made: [*map(Quality, np.unique(made.quality).tolist()), *_flags(made)]),
    (Values, lambda made: map(Cause, np.unique(made.cause).tolist())),
    (Measured, lambda made: map(Cause, np.unique(made.cause).tolist())),
)
"""What outcomes are made as, and which each of these holds."""


def name_of(outcome: Enum) -> str:
    """Return an outcome's name: members of different enumerations may be equal."""
    return f"{type(outcome).__name__}.{outcome.name}"


def shown_by(item: pytest.Item) -> set[str]:
    """Return the names of the outcomes that a test is marked to show."""
    marks = item.iter_markers("shows")
    return {name_of(outcome) for mark in marks for outcome in mark.args or _parameters(item)}


def _parameters(item: pytest.Item) -> list[Enum]:
    call = getattr(item, "callspec", None)
    given = [] if call is None else call.params.values()
    flat = [one for value in given for one in (value if isinstance(value, list) else [value])]
    return [one for one in flat if isinstance(one, OUTCOMES)]


def _flags(batch: Batch) -> list[Flag]:
    codes = np.unique(batch.flags).tolist()
    return [flag for flag in (Flag.NONE, *Flag) if any(code & flag if flag else not code for code in codes)]


@contextmanager
def watched() -> Iterator[set[str]]:
    """Yield the names of the outcomes that the product makes meanwhile; what tests make does not count."""
    seen: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for cls, outcomes in _MADE:
            patch.setattr(cls, "__init__", _watching(vars(cls)["__init__"], outcomes, seen))
        yield seen


def _watching(
    make: Callable[..., None], outcomes: Callable[[Any], Iterable[Enum]], seen: set[str]
) -> Callable[..., None]:
    def made(self: object, *values: object, **named: object) -> None:
        make(self, *values, **named)
        maker = sys._getframe(1)
        while maker.f_code.co_filename == readings.__file__ and maker.f_back is not None:
            maker = maker.f_back
        if not maker.f_code.co_filename.startswith(_TESTS):
            seen.update(map(name_of, outcomes(self)))

    return made
