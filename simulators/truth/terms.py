"""What a contract says, word by word: read from the site file's own tables, for the judge alone.

Nothing here is shared with the monitor: neither its reading of contracts nor its arithmetic. It is plain and
slow: limits are exact fractions, time goes second by second.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

Milliwatts = int | Fraction
"""Power, exact [mW]."""

SECOND_MS: Final = 1_000
_MEGAWATT: Final = 1_000_000_000
_DEMAND: Final = frozenset({"block", "rolling", "monthly_peak"})


@dataclass(frozen=True, slots=True)
class Phase:
    """One level of a ramp.

    Attributes:
        at_ms: When it is reached [ms].
        milliwatts: What may be drawn from then on [mW].
        is_linear: Whether the limit rises evenly to it from the level before.
    """

    at_ms: int
    milliwatts: int
    is_linear: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One version of a contract.

    Attributes:
        from_ms: From when it is in force [ms].
        committed: What may be drawn once every ramp is over [mW].
        phases: The way there, in order of time.
        burst: What may be drawn on top for some minutes of a month [mW].
        burst_minutes: For how many [min].
        method: Which figure of the draw binds.
        block_ms: Length of a demand block [ms].
        slide_ms: How far a rolling block slides [ms].
        sustain_ms: How long a draw must stay above before it counts [ms].
        tolerance: Meter error that is granted, as a share of the limit.
        delivery: Power at the delivery point for one unit at the boundary.
        meters: The meters that are summed; empty where the racks themselves are.
    """

    from_ms: int
    committed: int
    phases: tuple[Phase, ...] = ()
    burst: int = 0
    burst_minutes: int = 0
    method: str = "instantaneous"
    block_ms: int = 900_000
    slide_ms: int = 300_000
    sustain_ms: int = 0
    tolerance: Fraction = Fraction(0)
    delivery: Fraction = Fraction(1)
    meters: tuple[str, ...] = ()

    @property
    def binds_demand(self) -> bool:
        """Whether the mean over blocks is held against the limit."""
        return self.method in _DEMAND

    @property
    def binds_every_moment(self) -> bool:
        """Whether the draw of every moment is held against the limit."""
        return self.method == "instantaneous"

    def scheduled(self, at_ms: int) -> Milliwatts:
        """Return what the schedule commits at a moment [mW]."""
        past = [phase for phase in self.phases if phase.at_ms <= at_ms]
        coming = [phase for phase in self.phases if phase.at_ms > at_ms]
        if not self.phases:
            return self.committed
        if not past:
            return self.phases[0].milliwatts
        now = past[-1]
        if coming and coming[0].is_linear:
            share = Fraction(at_ms - now.at_ms, coming[0].at_ms - now.at_ms)
            return now.milliwatts + (coming[0].milliwatts - now.milliwatts) * share
        return now.milliwatts

    def allowed(self, at_ms: int) -> Milliwatts:
        """Return above what the contract is broken at a moment, burst and tolerance included [mW]."""
        return self._granted(self.scheduled(at_ms) + self.burst)

    def allowed_just_before(self, at_ms: int) -> Milliwatts:
        """Return the same for the end of the second that ends at `at_ms` [mW]."""
        before = at_ms - SECOND_MS
        first = self.scheduled(before)
        if any(phase.at_ms == at_ms and not phase.is_linear for phase in self.phases):
            return self._granted(first + self.burst)
        following = [phase for phase in self.phases if phase.at_ms > before]
        slopes = bool(following) and following[0].is_linear and self.phases[0].at_ms <= before
        return self._granted((self.scheduled(at_ms) if slopes else first) + self.burst)

    def final(self) -> Milliwatts:
        """Return what may be drawn once every ramp is over, burst and tolerance included [mW]."""
        return self._granted(self.committed + self.burst)

    def _granted(self, milliwatts: Milliwatts) -> Milliwatts:
        return milliwatts if not self.tolerance else milliwatts * (1 + self.tolerance)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The versions of one contract, in order of time.

    Attributes:
        versions: Each in force from its instant until the next one begins.
        ends_ms: When the last one ends [ms], None where it has no end.
    """

    versions: tuple[Terms, ...]
    ends_ms: int | None = None

    def at(self, at_ms: int) -> Terms | None:
        """Return the version in force at a moment, None where none is."""
        if self.ends_ms is not None and at_ms >= self.ends_ms:
            return None
        begun = [terms for terms in self.versions if terms.from_ms <= at_ms]
        return begun[-1] if begun else None


def delivered(milliwatts: int, terms: Terms | None) -> Milliwatts:
    """Return a power at the delivery point [mW].

    Args:
        milliwatts: The power at the boundary [mW].
        terms: What says how much of it arrives, None for all.
    """
    return milliwatts if terms is None or terms.delivery == 1 else milliwatts * terms.delivery


def read_agreements(site_text: str) -> tuple[ZoneInfo, dict[str, Agreement]]:
    """Read every tenant's contract out of the text of a site file that has no faults.

    Args:
        site_text: Content of the site file, TOML.

    Returns:
        The zone in which dates and blocks begin, and the contracts by tenant.
    """
    document = tomllib.loads(site_text, parse_float=Decimal)
    zone = ZoneInfo(document["site"].get("timezone", "UTC"))
    found = {
        str(tenant["id"]): _agreement(tenant["contract"], zone)
        for tenant in document.get("tenant", [])
        if tenant.get("contract")
    }
    return zone, found


def _agreement(tables: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> Agreement:
    versions = tuple(_terms(table, zone) for table in tables)
    last = tables[-1].get("ends")
    return Agreement(versions, None if last is None else _instant(last, zone, is_last_day=True))


def _terms(table: Mapping[str, Any], zone: ZoneInfo) -> Terms:
    limit = table.get("limit", {})
    return Terms(
        from_ms=_instant(table["from"], zone),
        committed=_milliwatts(table["committed_mw"]),
        phases=tuple(
            Phase(
                _instant(level["from"], zone),
                _milliwatts(level["committed_mw"]),
                level.get("shape") == "linear",
            )
            for level in table.get("ramp", ())
        ),
        burst=_milliwatts(table.get("burst_mw", 0)),
        burst_minutes=table.get("burst_minutes_per_month", 0),
        method=limit.get("method", "instantaneous"),
        block_ms=int(Decimal(limit.get("minutes", 15)) * 60_000),
        slide_ms=int(Decimal(limit.get("subinterval_minutes", 5)) * 60_000),
        sustain_ms=int(Decimal(limit.get("sustain_s", 0)) * 1_000),
        tolerance=Fraction(Decimal(limit.get("tolerance_percent", 0))) / 100,
        delivery=Fraction(Decimal(table.get("loss_factor", 1))),
        meters=tuple(table.get("meters", ())) if table.get("boundary") == "named_meters" else (),
    )


def _milliwatts(megawatts: Decimal | float) -> int:
    return int(Decimal(megawatts) * _MEGAWATT)


def _instant(when: date, zone: ZoneInfo, *, is_last_day: bool = False) -> int:
    """Return a date or a time of the file [ms]; a last day ends when the next one begins."""
    if isinstance(when, datetime):
        moment = when if when.tzinfo else when.replace(tzinfo=zone)
    else:
        day = when + timedelta(days=1) if is_last_day else when
        moment = datetime.combine(day, time(), zone)
    seconds = moment.astimezone(UTC).timestamp()
    if seconds != int(seconds):
        raise ValueError(f"expected a contract to change on a whole second, found {when}")
    return int(seconds) * SECOND_MS


# The calendar ---------------------------------------------------------------------------


def wall_offset_s(at_ms: int, zone: ZoneInfo) -> int:
    """Return how far the wall clock is ahead of UTC at a moment [s]."""
    offset = datetime.fromtimestamp(at_ms // SECOND_MS, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def block_borders(from_ms: int, to_ms: int, block_ms: int, zone: ZoneInfo) -> list[int]:
    """Return every moment of a span, ends included, at which a block of the wall clock begins.

    A block is so many minutes by the wall clock, counted from midnight. Where the clock is set forward or
    back, a new one begins.

    Args:
        from_ms: Start of the span, a whole second [ms].
        to_ms: End of the span [ms].
        block_ms: Length of a block, whole seconds [ms].
        zone: Whose clock.
    """
    borders = []
    before: tuple[int, int] | None = None
    offset = 0
    for second in range(from_ms // SECOND_MS - 1, to_ms // SECOND_MS + 1):
        # No zone sets its clock but on a whole minute.
        if second % 60 == 0 or before is None:
            offset = wall_offset_s(second * SECOND_MS, zone)
        block = (offset, (second + offset) * SECOND_MS // block_ms)
        if before is not None and block != before:
            borders.append(second * SECOND_MS)
        before = block
    return borders


def month_of(at_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return year and month of the wall clock at a moment."""
    moment = datetime.fromtimestamp(at_ms // SECOND_MS, zone)
    return moment.year, moment.month
