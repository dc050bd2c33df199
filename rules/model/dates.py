"""Dates of contracts, in the stages in which people are told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import numpy as np

from facility.contracts import Event
from facility.instants import DAY_MS, to_datetime
from facility.readings import FloatArray
from facility.site import Site

STAGES_D: Final = (90, 60, 30, 7, 1)
"""How long before a date people are told of it [d]."""


WORDS: Final[Mapping[Event, str]] = MappingProxyType(
    {
        Event.BEGIN: "contract begins on",
        Event.RAMP: "ramp step on",
        Event.NOTICE: "notice due by",
        Event.END: "contract ends with",
    }
)
"""What people call a date."""
AMENDED: Final = "contract amended from"
"""What they call the beginning of a later version."""
LASTS_UNTIL: Final = frozenset({Event.NOTICE, Event.END})
"""Dates of which people name the last day before them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """So long before a date of a contract.

    Attributes:
        tenant: Whose contract it is: its place among the tenants.
        from_ms: When the stage begins [ms].
        to_ms: When the next one begins [ms].
        at_ms: When the date is [ms].
    """

    tenant: int
    from_ms: int
    to_ms: int
    at_ms: int


def stages_of(site: Site) -> dict[str, Stage]:
    """Return every stage of every date, by what it is called: `acme:ramp/2026-07-01/30d`."""
    found = {}
    for place, tenant in enumerate(site.tenants):
        for event, at_ms in () if tenant.contract is None else tenant.contract.dates():
            day = f"{to_datetime(at_ms, site.zone):%Y-%m-%dT%H.%M.%S}".removesuffix(".00")
            for stage_d, next_d in pairwise((*STAGES_D, 0)):
                found[f"{tenant.id}:{event}/{day.removesuffix('T00.00')}/{stage_d}d"] = Stage(
                    tenant=place,
                    from_ms=at_ms - stage_d * DAY_MS,
                    to_ms=at_ms - next_d * DAY_MS,
                    at_ms=at_ms,
                )
    return found


def date_name(site: Site, stage: str) -> str:
    """Return what people call the date of a stage: `Acme, contract ends with 2029-05-31`.

    Args:
        site: What the site file declares.
        stage: The stage, as `stages_of` calls it; where it is none any more, it is called so.
    """
    found = stages_of(site).get(stage)
    if found is None:
        return stage
    tenant = site.tenants[found.tenant]
    event = Event(stage.removeprefix(f"{tenant.id}:").partition("/")[0])
    at = to_datetime(found.at_ms, site.zone)
    day = f"{at:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if event in LASTS_UNTIL and at.hour == at.minute == at.second == 0:
        day = f"{to_datetime(found.at_ms - 1, site.zone):%Y-%m-%d}"
    is_amended = tenant.contract is not None and found.at_ms != tenant.contract.versions[0].from_ms
    words = AMENDED if event is Event.BEGIN and is_amended else WORDS[event]
    return f"{tenant.name}, {words} {day}"


def stage_settings(site: Site) -> Mapping[str, FloatArray]:
    """Return the fields of all stages as columns, shape (stages,)."""
    rows = [asdict(stage) for stage in stages_of(site).values()]
    return {name: np.array([row[name] for row in rows], np.float64) for name in Stage.__slots__}
