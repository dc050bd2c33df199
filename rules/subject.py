"""What an alarm can be about: the kinds of subjects, and one subject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class SubjectKind(StrEnum):
    """A kind of subject: a rack may be called like a tenant."""

    SITE = "site"
    TENANT = "tenant"
    ROOM = "room"  # an area, a hall or a row, as the site file declares it
    GROUP = "group"  # racks that have something in common
    RACK = "rack"
    FEED = "feed"  # one power feed of a rack
    NODE = "power node"  # whatever passes power on: a transformer, a UPS, a switch, a busway
    METER = "meter"
    COMPARISON = "comparison"  # meters that are held against others
    REGISTER = "register"  # one register of energy
    BREAKER = "breaker"  # a circuit: whatever has a rated current
    PHASE = "phase"  # one phase of a circuit
    COOLANT_UNIT = "coolant unit"
    LOOP = "loop"  # one coolant circuit of a coolant unit
    VALVE = "valve"  # whatever has a valve whose position is measured
    SENSOR = "sensor"
    AIR = "air"  # whatever measures humidity or dew point
    LEAK_DETECTION = "leak detection"  # whatever has a leak detector
    DATE = "contract date"  # a date of a contract, and how long before it
    PUBLISHER = "publisher"  # what publishes over a connection, and the monitor itself
    ALARM = "alarm"  # an alarm that chatters, or a rule whose alarms are a flood
    OTHER = "other"


OF_NO_RACKS: Final = frozenset(
    {
        SubjectKind.TENANT,
        SubjectKind.COMPARISON,
        SubjectKind.PUBLISHER,
        SubjectKind.ALARM,
        SubjectKind.OTHER,
    }
)
"""Kinds of subjects that stand for no racks; a tenant holds other racks at another time."""
OF_NO_ASSET: Final = OF_NO_RACKS | {SubjectKind.SITE, SubjectKind.DATE}
"""Kinds of subjects that belong to no asset."""
OF_A_TENANT: Final = frozenset({SubjectKind.TENANT, SubjectKind.DATE})
"""Kinds of subjects of which each is a tenant, or the date of one's contract."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one alarm is about.

    Attributes:
        kind: What it is.
        id: Its identity among its kind, as alarms and documents write it.
    """

    kind: SubjectKind
    id: str

    @property
    def tenant(self) -> str | None:
        """The tenant that it is, or whose contract the date is of; None where it is neither."""
        if self.kind is SubjectKind.DATE:
            return self.id.rpartition(":")[0]
        return self.id if self.kind is SubjectKind.TENANT else None
