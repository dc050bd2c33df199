"""What hides what: one page for each cause, as one table.

A row says of an alarm which alarms say more than it does, and how their subjects hang together. What is
hidden opens, ends and stands on the list all the same; it is not told beside its cause, and is told once that
is over and it still stands. A cause is as grave as what it hides: it rises with the gravest, so that nothing
grave waits behind something mild. Of several causes one is enough, but for racks that are dark: that takes
the loss of every feed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Relation(StrEnum):
    """How the subject of an alarm hangs together with that of its cause."""

    SAME = "the same subject"
    MEMBER_OF = "what it is a member of"
    SERVED_BY = "what serves it"
    SILENT_BY = "what its racks are members of that say nothing that counts"
    DARK_BY = "what leaves its racks without any feed"
    INCLUDED_IN = "another one that has all of its racks"


@dataclass(frozen=True, slots=True)
class HiddenBy:
    """What hides an alarm: it opens and ends, and is not told beside the alarm that hides it.

    Attributes:
        rule: Name of the rule whose alarm says more.
        relation: How that alarm's subject hangs together with this one's.
        is_early: Whether an alarm that is only pending hides it as well.
        late_s: Only what began before that alarm opened is hidden, and for so long after it what is of a
            tenant that it named; None for whatever begins while it stands. Above 0 for racks alone [s].
    """

    rule: str
    relation: Relation = Relation.SAME
    is_early: bool = False
    late_s: float | None = None


Causes = tuple[HiddenBy, ...]

LATE_FLOW_S: Final = 10.0
"""So long after a coolant unit is told, racks of the same tenants lose their flow by the same cause (our
choice): meters are read some seconds apart."""

_MEMBER_OF, _SERVED_BY, _SILENT_BY, _DARK_BY, _INCLUDED_IN = (
    Relation.MEMBER_OF,
    Relation.SERVED_BY,
    Relation.SILENT_BY,
    Relation.DARK_BY,
    Relation.INCLUDED_IN,
)

CAUSES: Final[Mapping[str, Causes]] = MappingProxyType(
    {
        # An overdraw says more than that the limit is near, or that it may be broken.
        "C1": (HiddenBy("C2"),),
        "C9": (HiddenBy("C2"),),
        "C2-cannot-verify": (HiddenBy("C3", is_early=True), HiddenBy("E4", _SILENT_BY)),
        # Power: the uppermost node that is lost or out of range; a dark rack draws nothing.
        "E4": (HiddenBy("E4", _SERVED_BY, is_early=True),),
        "E5": (HiddenBy("E6", is_early=True),),
        "E6": (HiddenBy("E2", is_early=True),),
        "E8": (
            HiddenBy("E4", is_early=True),
            HiddenBy("E4", _SERVED_BY, is_early=True),
            HiddenBy("E8", _SERVED_BY, is_early=True),
        ),
        "E17": (HiddenBy("E4", _DARK_BY, is_early=True),),
        # Cooling: facility water, then the coolant unit, its flow first, then the rack.
        "T5": (HiddenBy("T17", _MEMBER_OF, is_early=True), HiddenBy("T18")),
        "T6": (
            HiddenBy("T17", _MEMBER_OF),
            HiddenBy("T18", _SERVED_BY, is_early=True),
            HiddenBy("T5", _SERVED_BY, is_early=True),
        ),
        # Of racks without flow that are not its own, or are so only since it was told, T18 says nothing.
        "T7": (HiddenBy("T18", _MEMBER_OF, is_early=True, late_s=LATE_FLOW_S),),
        "T8": (
            HiddenBy("T18", _SERVED_BY, is_early=True),
            HiddenBy("T14", _SERVED_BY, is_early=True),
            HiddenBy("T7", is_early=True),
        ),
        "T9": (
            HiddenBy("T18", _SERVED_BY, is_early=True),
            HiddenBy("T14", _SERVED_BY, is_early=True),
            HiddenBy("T7", is_early=True),
            HiddenBy("T8", is_early=True),
        ),
        "T14": (HiddenBy("T18", is_early=True),),
        "T16": (HiddenBy("T18", is_early=True),),
        # Units side by side on one loop, with the same racks: the first of them.
        "T18": (HiddenBy("T18", _INCLUDED_IN, is_early=True, late_s=0.0),),
        # Data: a broker, a gateway or its clock, then the rack; a dark rack has nothing to say.
        "Q1": (
            HiddenBy("Q3", _MEMBER_OF),
            HiddenBy("Q5", is_early=True),
            HiddenBy("E4", _SILENT_BY),
        ),
        "Q2": (
            HiddenBy("E4", _SILENT_BY),
            HiddenBy("Q3", _SILENT_BY),
            HiddenBy("Q6", _SILENT_BY, is_early=True),
        ),
        "Q3": (HiddenBy("E4", _SILENT_BY),),
        "Q5": (HiddenBy("E4", _DARK_BY, is_early=True), HiddenBy("Q6", _SILENT_BY, is_early=True)),
        "Q8": (HiddenBy("Q8", _MEMBER_OF, is_early=True),),
        "Q10": (HiddenBy("Q10", _MEMBER_OF),),
    }
)
"""The causes of each alarm, by the name that alarms give its rule; what is missing, nothing hides."""
