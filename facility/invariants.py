"""Invariants: what must hold at the border of a module, checked a batch at a time and in production too."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

T = TypeVar("T")


class InvariantBroken(Exception):  # noqa: N818 - what happened
    """What must hold does not: a fault of our own, whatever came in."""


def require(holds: bool | np.bool_, what: str, found: object) -> None:  # noqa: FBT001 - a condition
    """Go on only where an invariant holds.

    Args:
        holds: Whether it does.
        what: What must hold.
        found: What was found instead.

    Raises:
        InvariantBroken: Where it does not.
    """
    if not holds:
        raise InvariantBroken(f"expected {what}, found {found}")


def present(value: T | None, what: str) -> T:
    """Return what must be there by now.

    Args:
        value: It, or None.
        what: What it is.

    Raises:
        InvariantBroken: Where it is None.
    """
    if value is None:
        raise InvariantBroken(f"expected {what}, found nothing")
    return value
