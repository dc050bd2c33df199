"""Dates of contracts, in the stages in which people are told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from facility.instants import DAY_MS, to_datetime
from facility.readings import FloatArray
from facility.site import Site

STAGES_D: Final = (90, 60, 30, 7, 1)
"""How long before a date people are told of it [d]."""


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


def stage_settings(site: Site) -> Mapping[str, FloatArray]:
    """Return the fields of all stages as columns, shape (stages,)."""
    rows = [asdict(stage) for stage in stages_of(site).values()]
    return {name: np.array([row[name] for row in rows], np.float64) for name in Stage.__slots__}
