"""What happens in the reference month, when, and what the monitor owes for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from facility.instants import from_iso
from simulators.model.events import Event, EventKind
from simulators.scenario.scenario import Break, BreakKind, FaultKind, FaultSpec
from simulators.wire.pointbuild import RACK_AGENT
from testing.month.site import ACMES, BASILS, BEGIN, END_DAY, OWN, OWN_TAPS, RACKS, RAMP_DAY

DAY_S: Final = 86_400
HOUR_S: Final = 3_600
SETTLES_S: Final = 300
"""How long the plant is watched after a fault, until it is at rest [s]."""
KW: Final = 1_000_000
ROWS: Final = ("P01A", "P01B")
BUSES: Final = tuple(f"{row}-BUS-{feed}" for row in ROWS for feed in "AB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that happens in the month.

    Attributes:
        what: What it is, in a few words.
        at_s: When it begins, in seconds of the month [s].
        lasts_s: How long it lasts [s].
        places: The assets, gateways and tenants that it strikes.
        owes: The alarms that it must raise, each a rule and a subject.
        explains: Rules whose alarms it may raise besides, about its places or what hangs together with them.
        events: What happens to the plant, in seconds since it begins.
        specs: What goes wrong between meters and the monitor, likewise.
        breaks: When the monitor does not listen, likewise.
        fast_s: For how long it is looked at every second [s]; else every ten seconds.
        settles_s: How long after it the plant is not at rest [s].
        is_slow: Whether the plant is at rest meanwhile, so that it is looked at no more often than else.
    """

    what: str
    at_s: int
    lasts_s: int
    places: tuple[str, ...]
    owes: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    specs: tuple[FaultSpec, ...] = ()
    breaks: tuple[Break, ...] = ()
    fast_s: int = 0
    settles_s: int = SETTLES_S
    is_slow: bool = False

    @property
    def ends_s(self) -> int:
        """When it is over [s]."""
        return self.at_s + self.lasts_s

    def plant_events(self) -> Iterator[Event]:
        """Yield what happens to the plant, in seconds of the month."""
        for event in self.events:
            until_s = self.lasts_s if event.until_s is None else event.until_s
            yield replace(event, at_s=self.at_s + event.at_s, until_s=self.at_s + until_s)

    def wire_faults(self) -> Iterator[FaultSpec]:
        """Yield what goes wrong between meters and the monitor, in seconds of the month."""
        for spec in self.specs:
            yield replace(spec, from_s=self.at_s + spec.from_s, to_s=self.at_s + (spec.to_s or self.lasts_s))

    def pauses(self) -> Iterator[Break]:
        """Yield when the monitor does not listen, in seconds of the month."""
        for away in self.breaks:
            yield replace(away, from_s=self.at_s + away.from_s, to_s=self.at_s + away.to_s)


def _at(day: int, clock: str) -> int:
    """Return a moment of the month, at which instruments look [s]."""
    hours, minutes = clock.split(":")
    return day * DAY_S + int(hours) * HOUR_S + int(minutes) * 60 + 5


def _plant(kind: EventKind, *subjects: str, strength: float = 1.0, at_s: float = 0, **more: object) -> Event:
    return Event(kind=kind, at_s=at_s, subjects=subjects, strength=strength, **more)  # type: ignore[arg-type]


def _draws(subject: str, kilowatts: float, *, at_s: float = 0, until_s: float | None = None) -> Event:
    total = round(kilowatts * KW)
    return Event(
        kind=EventKind.LOAD_STEP, at_s=at_s, until_s=until_s, subjects=(subject,), total_milliwatts=total
    )


def _wire(kind: FaultKind, *scope: str, of: str = "", strength: float = 1.0) -> FaultSpec:
    return FaultSpec(kind=kind, from_s=0, to_s=0, scope=scope, point_type=of, strength=strength)


def _with_taps(*racks: str) -> tuple[str, ...]:
    return tuple(name for rack in racks for name in (rack, f"{rack}-TAP-A", f"{rack}-TAP-B"))


def _stairs(subjects: tuple[str, ...], levels: tuple[float, float], at_s: int) -> Iterator[Event]:
    """Yield a minute of steps from one level to another, as shares of the racks' ratings."""
    first, last = levels
    for step in range(12):
        yield Event(
            kind=EventKind.LOAD_STEP,
            at_s=at_s + 5 * step,
            until_s=at_s + 5 * step + 5,
            subjects=subjects,
            strength=first + (last - first) * (step + 1) / 12,
        )


def _owed(rule: str, *subjects: str) -> tuple[str, ...]:
    return tuple(f"{rule} {subject}" for subject in subjects)


GRID: Final = ("E11", "E12", "E18")
"""What a large change of the site's load may raise."""
DEAD: Final = ("E4", "E8")
"""What is said of all that hangs on a dead node."""
DOUBT: Final = ("Q1", "Q2", "Q3", "C2-cannot-verify", "C3", "C4-cannot-verify")
"""What readings that are missing may raise."""

FAULTS: Final[tuple[Fault, ...]] = (
    # Contracts ----------------------------------------------------------------------------
    Fault(
        what="an overdraw of four seconds, shorter than one must last",
        at_s=_at(1, "03:00"), lasts_s=4, places=("basil",), explains=("C1",),
        events=(_draws("basil", 490),), fast_s=30,
    ),
    Fault(
        what="an overdraw of ten minutes",
        at_s=_at(1, "10:00"), lasts_s=600, places=("basil",), owes=("C2 basil", "C1 basil"),
        events=(_draws("basil", 490),),
    ),
    Fault(
        what="a draw near the limit",
        at_s=_at(1, "16:00"), lasts_s=600, places=("basil",), owes=("C1 basil",),
        events=(_draws("basil", 462),),
    ),
    Fault(
        what="a draw a quarter above the limit",
        at_s=_at(2, "04:00"), lasts_s=240, places=("basil",), owes=("C2 basil", "C1 basil"),
        events=(_draws("basil", 590),),
    ),
    Fault(
        what="a rack above its cap",
        at_s=_at(26, "03:00"), lasts_s=300, places=(BASILS[1],), owes=_owed("C12", BASILS[1]),
        events=(_draws(BASILS[1], 124),),
    ),
    Fault(
        what="a silent rack while its tenant draws much",
        at_s=_at(2, "19:00"), lasts_s=600, places=(BASILS[2], *BUSES[:2]),
        owes=("C3 basil", "Q2 basil", f"Q1 {BASILS[2]}"), explains=(*DOUBT, "Q8"),
        events=(_draws("basil", 440),),
        specs=(_wire(FaultKind.MUTE, *_with_taps(BASILS[2]), *BUSES[:2]),),
    ),
    Fault(
        what="a tenant ahead of its ramp, its block kept", is_slow=True,
        at_s=_at(3, "06:01"), lasts_s=600, places=("acme",), owes=("C9 acme", "C5 acme", "C1 acme"),
        events=(_draws("acme", 410),),
    ),
    Fault(
        what="a demand block exceeded before the ramp's step", is_slow=True,
        at_s=_at(4, "09:00") - 10, lasts_s=930, places=("acme",),
        owes=("C4 acme", "C5 acme", "C9 acme", "C1 acme"), events=(_draws("acme", 405),),
    ),
    Fault(
        what="a demand block exceeded after the ramp's step", is_slow=True,
        at_s=_at(22, "06:00") - 10, lasts_s=930, places=("acme",), owes=("C4 acme", "C5 acme", "C1 acme"),
        events=(_draws("acme", 432),),
    ),
    Fault(
        what="a draw just under the limit",
        at_s=_at(25, "03:00"), lasts_s=600, places=("basil",), owes=("C1 basil",),
        events=(_draws("basil", 474),),
    ),
    Fault(
        what="a draw that swings around the limit, four seconds above and four below",
        at_s=_at(25, "12:00"), lasts_s=120, places=("basil",), owes=("C2 basil",), explains=("C1",),
        events=tuple(_draws("basil", 485, at_s=8 * i, until_s=8 * i + 4) for i in range(15)), fast_s=150,
    ),
    Fault(
        what="a draw that would be too high, after the contract's end",
        at_s=_at(29, "10:00"), lasts_s=600, places=("basil",), events=(_draws("basil", 490),),
    ),
    # Power --------------------------------------------------------------------------------
    Fault(
        what="the site's load falls within a minute and rises again",
        at_s=_at(3, "14:00"), lasts_s=360, places=("hall",), owes=("E11 hall",), fast_s=400,
        events=(
            *_stairs(("basil", "acme"), (0.6, 0.25), 0),
            Event(kind=EventKind.LOAD_STEP, at_s=60, until_s=300, subjects=("basil", "acme"), strength=0.25),
            *_stairs(("basil", "acme"), (0.25, 0.6), 300),
        ),
    ),
    Fault(
        what="both tenants' jobs stop at once",
        at_s=_at(3, "20:00"), lasts_s=180, places=("hall",), owes=_owed("E11", "hall") + _owed("E12", "hall")
        + _owed("E18", "hall"), events=(_plant(EventKind.JOB_STOP, "serving", "answering"),), fast_s=240,
    ),
    Fault(
        what="a rack that one of its feeds could not carry", is_slow=True,
        at_s=_at(4, "02:00"), lasts_s=1_200, places=(OWN,), owes=_owed("E3", *OWN_TAPS),
        events=(_plant(EventKind.LOAD_STEP, OWN, strength=0.70),),
    ),
    Fault(
        what="a breaker overloaded, once its rack's other feed is opened",
        at_s=_at(4, "15:00"), lasts_s=640, places=(OWN,),
        owes=(f"E4 {OWN_TAPS[1]}", *(f"{rule} {OWN_TAPS[0]}" for rule in ("E1", "E2", "E6"))),
        explains=("E3", *DEAD),
        events=(
            _plant(EventKind.LOAD_STEP, OWN, strength=0.70),
            _plant(EventKind.BREAKER_OPEN, OWN_TAPS[1]),
        ),
    ),
    Fault(
        what="a busway lost",
        at_s=_at(5, "05:00"), lasts_s=600, places=(BUSES[0],), owes=(f"E4 {BUSES[0]}",), explains=DEAD,
        events=(_plant(EventKind.FEED_LOSS, BUSES[0]),),
    ),
    Fault(
        what="a busway lost while the racks on it draw much",
        at_s=_at(21, "04:00"),
        lasts_s=660,
        places=("basil", *BUSES[:2]),
        owes=(
            *(f"E4 {BUSES[0]}", f"E1 {BUSES[1]}", f"E3 {BUSES[1]}", "E5 XFMR-01B"),
            *("C2 basil", "C1 basil"),
        ),
        explains=DEAD,
        events=(_plant(EventKind.FEED_LOSS, BUSES[0]), _draws("basil", 580)),
    ),
    Fault(
        what="both feeds of a rack lost",
        at_s=_at(5, "17:00"), lasts_s=900, places=(ACMES[1],),
        owes=(*_owed("E4", f"{ACMES[1]}-TAP-A", f"{ACMES[1]}-TAP-B"), f"E17 {ACMES[1]}"), explains=DEAD,
        events=(_plant(EventKind.BREAKER_OPEN, f"{ACMES[1]}-TAP-A", f"{ACMES[1]}-TAP-B"),),
    ),
    Fault(
        what="a UPS fails",
        at_s=_at(6, "08:00"), lasts_s=1_200, places=("UPS-01B", "XFMR-01A", *OWN_TAPS),
        owes=(*_owed("E4", BUSES[1], BUSES[3]), "E5 XFMR-01A"),
        explains=(*DEAD, "E3", *GRID), events=(_plant(EventKind.UPS_FAULT, "UPS-01B"),),
    ),
    Fault(
        what="a utility feed at 93 % of its voltage",
        at_s=_at(6, "20:00"), lasts_s=240, places=("UTILITY-1",), owes=("E8 UTILITY-1",), explains=("E8",),
        events=(_plant(EventKind.SAG, "UTILITY-1", strength=0.93),),
    ),
    Fault(
        what="a utility feed lost: batteries, then the generator",
        at_s=_at(27, "09:00"), lasts_s=120, places=("UTILITY-2", "hall"),
        owes=("E4 UTILITY-2", "E11 hall", "E12 hall", "E18 hall"), explains=DEAD,
        events=(_plant(EventKind.FEED_LOSS, "UTILITY-2"),), fast_s=210, settles_s=1_800,
    ),
    Fault(
        what="the grid's frequency at 59.3 Hz",
        at_s=_at(8, "03:00"), lasts_s=300, places=("hall",), owes=("E10 hall",),
        events=(_plant(EventKind.FREQUENCY, strength=59.3 / 60),),
    ),
    Fault(
        what="load of a row goes from one phase to another", is_slow=True,
        at_s=_at(8, "11:00"), lasts_s=1_200, places=BASILS,
        owes=_owed("E7", *BUSES[:2], "XFMR-01A", "XFMR-01B"),
        events=(_plant(EventKind.UNBALANCE, *BASILS, strength=0.35),),
    ),
    Fault(
        what="a power factor that reads 7 % low", is_slow=True,
        at_s=_at(8, "18:00"), lasts_s=1_500, places=("XFMR-01A",), owes=("E9 XFMR-01A",),
        specs=(_wire(FaultKind.WRONG_UNIT, "XFMR-01A", of="PowerFactor", strength=0.93),),
    ),
    Fault(
        what="a contactor that chatters",
        at_s=_at(24, "06:00"), lasts_s=720, places=(f"{BASILS[2]}-TAP-B",),
        owes=(f"E4 {BASILS[2]}-TAP-B", f"Q10 E4 {BASILS[2]}-TAP-B"), explains=DEAD, fast_s=770,
        events=tuple(
            Event(
                kind=EventKind.BREAKER_OPEN,
                at_s=45 * i, until_s=45 * i + 12, subjects=(f"{BASILS[2]}-TAP-B",),
            )
            for i in range(16)
        ), settles_s=900,
    ),
    # Cooling ------------------------------------------------------------------------------
    Fault(
        what="a coolant pump stops; the other takes over after twelve seconds",
        at_s=_at(9, "05:00"), lasts_s=60, places=("P01A-CDU",), owes=("T18 P01A-CDU", *_owed("T7", *BASILS)),
        explains=("T8", "T9", "T5", "T14"),
        events=(_plant(EventKind.PUMP_FAILURE, "P01A-CDU", failover_s=12.0),), fast_s=90,
    ),
    Fault(
        what="a strainer that clogs: a rack with three tenths of its flow",
        at_s=_at(9, "15:00"), lasts_s=600, places=(BASILS[3],), owes=(f"T8 {BASILS[3]}", f"T9 {BASILS[3]}"),
        events=(_plant(EventKind.FLOW_LOSS, BASILS[3], strength=0.7),),
    ),
    Fault(
        what="coolant that goes past a rack through an open by-pass", is_slow=True,
        at_s=_at(10, "04:00"), lasts_s=1_800, places=(ACMES[0],), owes=(f"T9 {ACMES[0]}",), explains=("T10",),
        events=(_plant(EventKind.BYPASS, ACMES[0], strength=1.0),),
    ),
    Fault(
        what="the chillers stop: coolant too warm", is_slow=True,
        at_s=_at(10, "12:00"), lasts_s=2_400, places=("P01A-CDU", "P01B-CDU"),
        owes=("T17 hall", *_owed("T5", "P01A-CDU", "P01B-CDU"), *_owed("T6", *RACKS)), explains=("T10",),
        events=(_plant(EventKind.CHILLER_LOSS),), settles_s=1_200,
    ),
    Fault(
        what="the coolant flow of a rack lost for twenty seconds",
        at_s=_at(10, "20:00"), lasts_s=20, places=(ACMES[2],), owes=(f"T7 {ACMES[2]}",),
        explains=("T8", "T9"), events=(_plant(EventKind.FLOW_LOSS, ACMES[2], strength=0.9),), fast_s=60,
    ),
    Fault(
        what="a leak in a rack",
        at_s=_at(11, "04:00"), lasts_s=300, places=(BASILS[4],),
        owes=(f"T12 {BASILS[4]}", "T12 ENV-P01A"),
        events=(_plant(EventKind.LEAK, BASILS[4], strength=20),),
    ),
    Fault(
        what="a leak detector that says that it is faulty",
        at_s=_at(11, "12:00"), lasts_s=600, places=(ACMES[3],), owes=(f"T13 {ACMES[3]}",),
        events=(_plant(EventKind.LEAK_DETECTOR_FAULT, ACMES[3]),),
    ),
    Fault(
        what="a coolant loop nearly closed",
        at_s=_at(11, "18:00"), lasts_s=300, places=("P01B-CDU",),
        owes=("T14 P01B-CDU", *_owed("T8", *ACMES), *_owed("T9", *ACMES)), explains=("T5",),
        events=(_plant(EventKind.FLOW_LOSS, "P01B-CDU", strength=0.7),),
    ),
    Fault(
        what="air too humid", is_slow=True,
        at_s=_at(12, "06:00"), lasts_s=3_600, places=("ENV-P01A", "ENV-P01B"),
        owes=_owed("T4", "ENV-P01A", "ENV-P01B"), events=(_plant(EventKind.DEW_POINT, strength=21),),
        settles_s=1_200,
    ),
    Fault(
        what="the air handlers stop for ten minutes, which this bus tells by no rack's inlet", is_slow=True,
        at_s=_at(12, "15:00"), lasts_s=600, places=("ENV-P01A", "ENV-P01B"),
        events=(_plant(EventKind.CRAH_LOSS),),
    ),
    Fault(
        what="a flow meter that reads a quarter low", is_slow=True,
        at_s=_at(12, "20:00"), lasts_s=1_200, places=(BASILS[2],), owes=(f"T10 {BASILS[2]}",),
        specs=(_wire(FaultKind.WRONG_UNIT, BASILS[2], of="RackLiquidFlow", strength=0.75),),
    ),
    # Data ---------------------------------------------------------------------------------
    Fault(
        what="a rack's meter stuck",
        at_s=_at(13, "04:00"), lasts_s=1_200, places=(ACMES[1],), owes=(f"Q4 {ACMES[1]}",), explains=("Q8",),
        specs=(_wire(FaultKind.FREEZE, ACMES[1], of="RackPower"),),
    ),
    Fault(
        what="a rack's power a thousand times too high",
        at_s=_at(13, "10:00"), lasts_s=300, places=(BASILS[0],), owes=(f"Q5 {BASILS[0]}",),
        explains=(*DOUBT, "Q8"), specs=(_wire(FaultKind.WRONG_UNIT, BASILS[0], of="RackPower"),),
    ),
    Fault(
        what="a rack's power in MW where kW are said",
        at_s=_at(13, "18:00"), lasts_s=300, places=(ACMES[2],), owes=(f"Q5 {ACMES[2]}",),
        explains=(*DOUBT, "Q8", "E17"),
        specs=(_wire(FaultKind.WRONG_UNIT, ACMES[2], of="RackPower", strength=0.001),),
    ),
    Fault(
        what="a gateway's clock 45 s ahead",
        at_s=_at(15, "04:00"), lasts_s=300, places=("GW-P01A",),
        owes=("Q6 bus:PUB:GW-P01A", "Q2 basil", *_owed("Q5", *BASILS)), explains=(*DOUBT, "E15", "Q8"),
        specs=(_wire(FaultKind.CLOCK_OFFSET, "GW-P01A", strength=45),),
    ),
    Fault(
        what="a gateway's clock 23 s behind",
        at_s=_at(15, "15:00"), lasts_s=600, places=("GW-P01B",), owes=("Q6 bus:PUB:GW-P01B",), explains=DOUBT,
        specs=(_wire(FaultKind.CLOCK_OFFSET, "GW-P01B", strength=-23),),
    ),
    Fault(
        what="a register of energy reset", is_slow=True,
        at_s=_at(16, "04:00"), lasts_s=60, places=(BUSES[0],), owes=(f"Q7 {BUSES[0]}/Energy/Import",),
        specs=(_wire(FaultKind.REGISTER_RESET, BUSES[0]),),
    ),
    Fault(
        what="a register of energy rolls over", is_slow=True,
        at_s=_at(16, "14:00"), lasts_s=600, places=(BUSES[3],), owes=(f"Q7 {BUSES[3]}/Energy/Import",),
        specs=(_wire(FaultKind.REGISTER_ROLLOVER, BUSES[3]),),
    ),
    Fault(
        what="a rack silent",
        at_s=_at(17, "04:00"), lasts_s=600, places=(BASILS[1],), owes=(f"Q1 {BASILS[1]}", "Q2 basil"),
        explains=DOUBT, specs=(_wire(FaultKind.SILENT, *_with_taps(BASILS[1])),),
    ),
    Fault(
        what="two racks silent",
        at_s=_at(17, "15:00"), lasts_s=600, places=ACMES[:2],
        owes=(*_owed("Q1", *ACMES[:2]), "Q2 acme"), explains=DOUBT,
        specs=(_wire(FaultKind.SILENT, *_with_taps(*ACMES[:2])),),
    ),
    Fault(
        what="a gateway silent",
        at_s=_at(18, "04:00"), lasts_s=600, places=("GW-P01A",),
        owes=("Q3 bus:PUB:GW-P01A", "Q2 basil"),
        explains=DOUBT, specs=(_wire(FaultKind.SILENT, "GW-P01A"),),
    ),
    Fault(
        what="the racks' agents silent",
        at_s=_at(18, "15:00"), lasts_s=600, places=(RACK_AGENT,), explains=("T12",),
        specs=(_wire(FaultKind.SILENT, RACK_AGENT),),
    ),
    Fault(
        what="the broker gone for two minutes, its sessions forgotten",
        at_s=_at(19, "04:00"), lasts_s=120, places=("hall",), owes=("Q3 broker bus",), explains=DOUBT,
        breaks=(Break(kind=BreakKind.SESSION_LOST, from_s=0, to_s=120),),
    ),
    Fault(
        what="the connection lost for a minute",
        at_s=_at(19, "15:00"), lasts_s=60, places=("hall",), owes=("Q3 broker bus",), explains=DOUBT,
        breaks=(Break(kind=BreakKind.CONNECTION_LOST, from_s=0, to_s=60),),
    ),
    Fault(
        what="a gateway's messages three seconds late",
        at_s=_at(20, "04:00"), lasts_s=600, places=("GW-P01B",), owes=("Q6 bus:PUB:GW-P01B",), explains=DOUBT,
        specs=(_wire(FaultKind.LATE, "GW-P01B", strength=3),),
    ),
    Fault(
        what="messages that come twice",
        at_s=_at(20, "15:00"), lasts_s=600, places=("GW-P01A",),
        specs=(_wire(FaultKind.DUPLICATE, "GW-P01A", strength=0.3),),
    ),
    Fault(
        what="a busway's current transformer that reads 8 % high", is_slow=True,
        at_s=_at(23, "04:00"), lasts_s=1_500, places=(BUSES[0],), owes=(f"E15 {BUSES[0]}",),
        explains=("Q8", *DOUBT), specs=(_wire(FaultKind.CT_ERROR, BUSES[0], strength=8),),
    ),
    Fault(
        what="supply meters that read two fifths high", is_slow=True,
        at_s=_at(23, "15:00"), lasts_s=4_800, places=("UTILITY-1", "UTILITY-2", "hall"), owes=("E16 hall",),
        explains=("E15", "Q8", *GRID),
        specs=(_wire(FaultKind.CT_ERROR, "UTILITY-1", "UTILITY-2", strength=40),),
    ),
)  # fmt: skip
"""Everything that happens, by what it is about."""

DATES: Final = tuple(
    (f"{tenant}:{event}/{day}/{stage}d", from_iso(f"{day}T00:00:00Z") - stage * DAY_S * 1_000)
    for tenant, event, day in (("acme", "ramp", RAMP_DAY), ("basil", "end", END_DAY))
    for stage in (30, 7, 1)
)
"""What C10 owes: the subject of each, and when it begins [ms]; what began before is told at once."""
BEGIN_MS: Final = from_iso(BEGIN)
