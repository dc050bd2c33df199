"""A random day, in short: five tenants, two hundred racks, random loads, contracts, amendments and faults.

To hold a monitor against the judge over hundreds of days, one is shortened to four minutes: demand blocks of
one to four minutes stand for those of fifteen, and every kind of change of a month may fall into it.
What a rack draws is made directly, without the plant's physics; what is drawn is published by `wire`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.instants import from_iso, to_iso

SHORT_S: Final = 240
"""How long a shortened day is [s]."""
RACKS: Final = 200
TENANTS: Final = ("acme", "basil", "cedar", "dahlia", "elm")
ROWS: Final = 8
RATING_KW: Final = 132.0
"""Rating of each rack."""
QUEUE: Final = 1_000_000
"""How many messages the broker keeps: more than any break lasts."""
PERIOD_S: Final = 5
"""How often a row's documents come, where nothing is said of rounds; the site file says so."""
SETTLES_S: Final = 32
"""How long a moment is left open for what comes late [s]: longer than anything is late, or a clock slow."""
WAITS_S: Final = 65
"""How long one who is silent or away is waited for [s]: longer than any break lasts."""
STEP_MILLIWATTS: Final = 10_000
"""What a meter shows at its finest: ten watts."""

NIGHTS: Final = (
    ("Europe/Berlin", "2026-10-25T00:56:00Z"),  # the clock goes back at 01:00 UTC
    ("Europe/Berlin", "2026-03-29T00:56:00Z"),  # and forward
    ("America/Chicago", "2026-11-01T06:57:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T14:57:00Z"),  # by half an hour
    ("Asia/Kathmandu", "2026-06-01T12:00:00Z"),  # 5:45 ahead
    ("UTC", "2026-12-31T23:57:00Z"),
    ("America/New_York", "2026-07-31T23:58:00-04:00"),  # the end of a month
)
"""Times at which a calendar is at its most awkward, by zone."""

_METHODS: Final = ("instantaneous", "instantaneous", "block", "rolling", "monthly_peak")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RandomDay:
    """A random day, before anything of it is published.

    Attributes:
        seed: What it follows from.
        site_text: Content of the site file.
        begin_ms: The first second [ms].
        racks: Ids of the racks.
        row: The row of each rack, shape (R,).
        drawn: What each rack draws, shape (T, R) [mW].
        holder: The place in `TENANTS` of who holds each rack, -1 for none, shape (T, R).
    """

    seed: int
    site_text: str
    begin_ms: int
    racks: tuple[str, ...]
    row: NDArray[np.intp]
    drawn: NDArray[np.int64]
    holder: NDArray[np.intp]

    @property
    def seconds(self) -> int:
        """How long it lasts [s]."""
        return len(self.drawn)


def random_day(seed: int, *, seconds: int = SHORT_S, wire: str = "dsx") -> RandomDay:
    """Make a random day.

    Args:
        seed: What it follows from.
        seconds: How long it lasts [s].
        wire: Format of its broker: dsx or rack.
    """
    return _Maker(seed, seconds, wire).make()


class _Maker:
    """Makes one day."""

    def __init__(self, seed: int, seconds: int, wire: str) -> None:
        self._seed = seed
        self._seconds = seconds
        self._wire = wire
        self._random = np.random.default_rng(seed)
        self._zone, begin = NIGHTS[self._pick(len(NIGHTS))]
        self._begin_ms = from_iso(begin) + 1_000 * int(self._random.integers(0, 120))
        self._racks = tuple(f"r-{number:03d}" for number in range(1, RACKS + 1))

    def make(self) -> RandomDay:
        holder = self._holder()
        drawn = np.empty((self._seconds, RACKS), np.int64)
        levels: list[float] = []
        for place in (-1, *range(len(TENANTS))):
            mine = (holder == place).any(axis=0)
            level = float(self._random.uniform(60, 105))
            levels.append(level)
            self._draw(drawn, np.flatnonzero(mine), level)
        tables = [
            text
            for place, tenant in enumerate(TENANTS)
            for text in self._tenant(place, tenant, holder, levels[place + 1])
        ]
        return RandomDay(
            seed=self._seed,
            site_text="\n".join([*self._head(), *tables]) + "\n",
            begin_ms=self._begin_ms,
            racks=self._racks,
            row=np.arange(RACKS) * ROWS // RACKS,
            drawn=drawn,
            holder=holder,
        )

    # Chance -----------------------------------------------------------------------------

    def _pick(self, count: int) -> int:
        return int(self._random.integers(0, count))

    def _is(self, probability: float) -> bool:
        return bool(self._random.random() < probability)

    def _moment(self, share: float = 0.0) -> int:
        """Return a second of the day, not before a share of it."""
        return int(self._random.integers(int(self._seconds * share) + 1, self._seconds))

    def _at(self, second: int) -> str:
        return to_iso(self._begin_ms + second * 1_000)

    # Who holds what ---------------------------------------------------------------------

    def _holder(self) -> NDArray[np.intp]:
        """Share the racks out; some change hands in the middle of the day."""
        cuts = np.sort(self._random.choice(np.arange(10, RACKS - 5), len(TENANTS), replace=False))
        first = np.full(RACKS, -1, np.intp)
        for place, (start, end) in enumerate(zip((0, *cuts[:-1]), cuts, strict=True)):
            first[start:end] = place
        holder = np.tile(first, (self._seconds, 1))
        if self._is(0.4):
            giver = self._pick(len(TENANTS))
            given = np.flatnonzero(first == giver)[: 1 + self._pick(6)]
            holder[self._moment() :, given] = self._pick(len(TENANTS) + 1) - 1
        return holder

    def _holds(self, place: int, holder: NDArray[np.intp]) -> Iterator[str]:
        """Yield what a tenant holds and when, in the words of the site file."""
        held = holder == place
        spans: dict[tuple[int, int], list[str]] = {}
        for rack in np.flatnonzero(held.any(axis=0)):
            seconds = np.flatnonzero(held[:, rack])
            span = (int(seconds[0]), int(seconds[-1]) + 1)
            spans.setdefault(span, []).append(f'"{self._racks[rack]}"')
        for (start, end), racks in spans.items():
            starts = "2026-01-01" if start == 0 else self._at(start)
            ends = "" if end == self._seconds else f", to = {self._at(end)}"
            yield f"{{ racks = [{', '.join(racks)}], from = {starts}{ends} }}"

    # What they draw ---------------------------------------------------------------------

    def _draw(self, drawn: NDArray[np.int64], racks: NDArray[np.intp], level_kw: float) -> None:
        """Let a tenant's racks draw: a job that steps, drifts and fails, and racks that flutter around it."""
        course = self._course(level_kw)
        shape = (self._seconds, len(racks))
        flutter = self._random.normal(1, 0.01, shape)
        wanted = np.clip(course[:, None] * flutter, 2.0, RATING_KW)
        # Each rack moves now and then, and all of them where the job itself does.
        moves = self._random.random(shape) < self._random.uniform(0.02, 0.12)
        moves[1:] |= (np.abs(np.diff(course)) > level_kw * 0.02)[:, None]
        moves[0] = True
        since = np.maximum.accumulate(np.where(moves, np.arange(self._seconds)[:, None], 0), axis=0)
        held = np.take_along_axis(wanted, since, axis=0)
        drawn[:, racks] = np.rint(held * 1e6 / STEP_MILLIWATTS).astype(np.int64) * STEP_MILLIWATTS

    def _course(self, level_kw: float) -> NDArray[np.float64]:
        """Return what a rack of a job draws, second by second [kW]."""
        times, levels = [0.0], [level_kw * self._random.uniform(0.85, 1.0)]
        while times[-1] < self._seconds:
            now = levels[-1]
            lasts = float(self._random.uniform(5, 100))
            goal = level_kw * float(self._random.choice([0.2, 0.8, 0.92, 0.98, 1.0, 1.02, 1.08, 1.2]))
            rises = float(self._random.choice([1.0, 1.0, 20.0, 90.0]))
            times += [times[-1] + lasts, times[-1] + lasts + rises]
            levels += [now, min(goal, RATING_KW)]
        return np.interp(np.arange(self._seconds), times, levels)

    # What they may draw -----------------------------------------------------------------

    def _head(self) -> list[str]:
        return [
            "[site]",
            'name = "day"',
            f'timezone = "{self._zone}"',
            f"rack_rating_kw = {RATING_KW}",
            "[[rack]]",
            f'ids = "r-{{001..{RACKS:03d}}}"',
            "feeds = 1",
            "[[broker]]",
            'url = "mqtt://127.0.0.1"',
            f'format = "{self._wire}"',
            f"period_s = {PERIOD_S}",
            "jitter_s = 2",
            f"queued_messages = {QUEUE}",
            *(['publishers = ["PUB"]'] if self._wire == "dsx" else []),
            "[engine]",
            "tick_ms = 1000",
            "lateness_ms = 250",
            f"settle_after_s = {SETTLES_S}",
            f"wait_for_silent_s = {WAITS_S}",
            f"wait_for_broker_s = {WAITS_S}",
        ]

    def _tenant(self, place: int, tenant: str, holder: NDArray[np.intp], level_kw: float) -> Iterator[str]:
        racks = float((holder == place).sum(axis=1).mean())
        yield f'[[tenant]]\nid = "{tenant}"'
        yield f"holds = [{', '.join(self._holds(place, holder))}]"
        versions = sorted({0, *(self._moment() for _ in range(self._pick(3)))})
        ends = self._is(0.1)
        for number, second in enumerate(versions):
            starts = "2026-01-01" if second == 0 and not self._is(0.1) else self._at(second + 30)
            megawatts = racks * level_kw * float(self._random.uniform(0.92, 1.06)) / 1e3
            yield from self._version(starts, second, megawatts)
            if ends and number == len(versions) - 1:
                yield f"ends = {self._at(max(second + 60, self._moment(0.5)))}"

    def _version(self, starts: str, second: int, megawatts: float) -> Iterator[str]:
        yield f"[[tenant.contract]]\nfrom = {starts}\ncommitted_mw = {megawatts:.6f}"
        method = _METHODS[self._pick(len(_METHODS))]
        limit = [f'method = "{method}"']
        if method == "instantaneous":
            limit.append(f"sustain_s = {self._random.choice([0, 0, 5, 12, 40])}")
        elif method == "rolling":
            minutes, subinterval = ((4, 2), (3, 1), (3, 1), (2, 1))[self._pick(4)]
            limit += [f"minutes = {minutes}", f"subinterval_minutes = {subinterval}"]
        else:
            limit.append(f"minutes = {self._random.choice([1, 1, 2, 3])}")
        if self._is(0.2):
            limit.append(f"tolerance_percent = {self._random.choice([0.5, 1, 2])}")
        yield f"limit = {{ {', '.join(limit)} }}"
        if self._is(0.2):
            yield f"loss_factor = {self._random.choice([0.97, 1.02])}"
        if self._is(0.15):
            yield f"burst_mw = {megawatts * 0.03:.6f}\nburst_minutes_per_month = {1 + self._pick(4)}"
        if self._is(0.35):
            yield f"ramp = [{', '.join(self._ramp(starts, second, megawatts))}]"

    def _ramp(self, starts: str, second: int, megawatts: float) -> Iterator[str]:
        share = float(self._random.uniform(0.8, 0.97))
        yield f"{{ from = {starts}, committed_mw = {megawatts * share:.6f} }}"
        later = sorted({self._moment() for _ in range(1 + self._pick(3))})
        for moment in (moment for moment in later if moment > second + 30):
            share = min(1.0, share + float(self._random.uniform(0.0, 0.15)))
            shape = "linear" if self._is(0.5) else "step"
            committed = f"committed_mw = {megawatts * share:.6f}"
            yield f'{{ from = {self._at(moment)}, {committed}, shape = "{shape}" }}'
