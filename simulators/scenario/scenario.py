"""A scenario: a site, what it draws, what happens to it, what goes wrong on the way, and what must be said.

Times are whole seconds since the scenario begins. Everything random follows from its seed. `scenario.file`
reads one from TOML and refuses what cannot be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from facility.sitefile.reader import SiteFile
from simulators.model.events import Event
from simulators.model.jobs import Job
from simulators.model.ratings import RackRating, Rating


class BreakKind(StrEnum):
    """What can happen to the monitor; the plant does not notice."""

    MONITOR_STOPPED = "monitor-stopped"  # the collector is away; what is kept for it comes when it is back
    CONNECTION_LOST = "connection-lost"  # the same, and the collector runs on
    SESSION_LOST = "session-lost"  # the broker restarts and forgets: what passed meanwhile is gone
    QUEUE_OVERFLOWED = (
        "queue-overflowed"  # the session is resumed, but only the first `queue` messages are there
    )
    MONITOR_PAUSED = (
        "monitor-paused"  # its process stands still: what came meanwhile is read at once afterwards
    )
    MACHINE_PAUSED = (
        "machine-paused"  # its machine stands still, and the machine's clock, which is then set to the time
    )
    CLOCK_OFF = "clock-off"  # its machine's clock is set wrong by `by_s`, and right again afterwards

    @property
    def is_judging(self) -> bool:
        """Whether the monitor goes on judging meanwhile."""
        return self is not BreakKind.MONITOR_STOPPED and not self.is_pause

    @property
    def is_pause(self) -> bool:
        """Whether the monitor stands still meanwhile, and its connection with it."""
        return self in (BreakKind.MONITOR_PAUSED, BreakKind.MACHINE_PAUSED)


class FaultKind(StrEnum):
    """What can go wrong between a meter and the monitor."""

    SILENT = "silent"  # nothing is published, heartbeat included
    MUTE = "mute"  # values are not published, the heartbeat is
    DROP = "drop"  # a share of the messages is lost
    DUPLICATE = "duplicate"  # a share comes twice
    REORDER = "reorder"  # a share comes up to `strength` seconds late, out of order
    LATE_BATCH = "late-batch"  # everything is held back and comes at once at the end
    CLOCK_OFFSET = "clock-offset"  # the source's clock is off by `strength` seconds
    LOCAL_TIME = "local-time"  # stamps are of the wall clock, as if it were UTC
    FREEZE = "freeze"  # the value does not change any more
    SPIKE = "spike"  # a share of the values is multiplied by `strength`
    NAN = "nan"
    NULL = "null"
    TEXT_NUMBER = "text-number"  # "118.4" for 118.4
    WRONG_UNIT = "wrong-unit"  # W where the metadata say kW
    SIGN_FLIP = "sign-flip"
    BAD_QUALITY = "bad-quality"  # the source itself doubts
    REGISTER_RESET = "register-reset"
    REGISTER_ROLLOVER = "register-rollover"
    DEVICE_SWAP = "device-swap"  # another meter, with another register, in its place
    TOPIC_RENAME = "topic-rename"  # published where no metadata says so
    LIFE_WITHOUT_DATA = "life-without-data"  # birth and last will, and nothing between
    RETAINED_STALE = "retained-stale"  # an old value comes again with the retained flag
    UNBORN = "unborn"  # values whose metadata never came
    BURST = "burst"  # every value comes `strength` times in one second
    CT_ERROR = "ct-error"  # all meters of the scope are off by `strength` %
    LATE = "late"  # every message comes `strength` seconds late, with its right stamp
    SAME_TIME = "same-time"  # every value comes again within its second, other, and with the same stamp
    METADATA_CLEARED = "metadata-cleared"  # metadata are cleared, and values go on
    METADATA_UNIT = "metadata-unit"  # metadata name another unit
    METADATA_ASSET = "metadata-asset"  # metadata name another asset
    RETAGGED = "retagged"  # points come under another path, and no more under the first
    SECOND_SOURCE = "second-source"  # another point says something else of the same thing
    FOREIGN_PUBLISHER = "foreign-publisher"  # an unknown publisher describes a meter and says what it reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A time in which the monitor does not listen, or has a wrong clock.

    Attributes:
        kind: Why.
        from_s: When it begins [s].
        to_s: When it is over [s].
        queue: How many messages the broker keeps, of a queue that overflows.
        by_s: How far a clock that is off is ahead, below zero where it is behind [s].
    """

    kind: BreakKind
    from_s: int
    to_s: int
    queue: int = 0
    by_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec:
    """A fault between meters and listeners.

    Attributes:
        kind: What goes wrong.
        from_s: When it begins [s].
        to_s: When it is over [s].
        scope: The assets whose points are touched; or publishers, by name.
        point_type: Which of their points, "" for all.
        strength: How much, in the unit of `wire.faults.FAULTS`.
    """

    kind: FaultKind
    from_s: int
    to_s: int
    scope: tuple[str, ...]
    point_type: str = ""
    strength: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """An alarm that must be raised.

    Attributes:
        rule: The rule, as the alarm names it.
        subject: Id of the tenant, rack or other subject.
        from_s: The earliest right moment for it to open [s].
        to_s: The latest [s].
        severity: The worst that it comes to; "" where that is not said.
        returns_by_s: By when it must be over [s]; None where that is not said.
        is_told: Whether people are told, or another alarm says it already.
    """

    rule: str
    subject: str
    from_s: int
    to_s: int
    severity: str = ""
    returns_by_s: int | None = None
    is_told: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An alarm that a rule which does not exist yet must raise.

    Attributes:
        rule: Name of the rule.
        subject: Id of its subject.
        why: What it will say.
    """

    rule: str
    subject: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prohibition:
    """Alarms that must not be raised.

    Attributes:
        rule: The rule, `*` for any.
        subject: Id of its subject, `*` for any.
        why: What would be wrong with it.
    """

    rule: str
    subject: str = "*"
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentSpec:
    """What is said of the instruments of a point type, in the unit of the point; None leaves what is usual.

    Attributes:
        period_s: How often they look [s]; it divides 60.
        step: Finest step that they show [canonical unit].
        noise: Standard deviation of each reading's noise.
        threshold: By how much a reading must move to be published; 0 for any step.
        gain_sigma: Spread of their gains around 1.
        offset_sigma: Spread of their offsets.
    """

    period_s: int | None = None
    step: float | None = None
    noise: float | None = None
    threshold: float | None = None
    gain_sigma: float | None = None
    offset_sigma: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpec:
    """How far a gateway's clock is off.

    Attributes:
        offset_ms: By how much it is ahead when the scenario begins [ms].
        drift_ppm: How much too fast it runs, in millionths.
    """

    offset_ms: float = 0.0
    drift_ppm: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """How meters and gateways look at the plant.

    Attributes:
        gain_sigma: Spread of the meters' gains around 1.
        ct_error_percent: What all meters of power and current read too high in common [%].
        noise: Additive noise, as a share of the rating.
        step_w: What a power meter shows at its finest [W].
        period_s: How often a power meter looks, and a rack document comes [s]; it divides 60.
        threshold_percent: By how much of its rating a power must move to be published [%].
        samples: Whether the racks' meters show the draw of the instant at which a second begins, as meters do
            that only sample, instead of its mean over the second.
        clock_sigma_ms: Spread of the gateways' clocks around the true time [ms].
        drift_sigma_ppm: Spread of how fast those clocks run, in millionths.
        instruments: What is said of the instruments of a point type, by its name.
        clocks: How far the clocks of some gateways are off, by their names, in place of chance.
    """

    gain_sigma: float = 0.0
    ct_error_percent: float = 0.0
    noise: float = 0.0
    step_w: float = 1.0
    period_s: int = 1
    threshold_percent: float = 0.0
    samples: bool = False
    clock_sigma_ms: float = 0.0
    drift_sigma_ppm: float = 0.0
    instruments: Mapping[str, InstrumentSpec] = field(default_factory=dict)
    clocks: Mapping[str, ClockSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A scenario.

    Attributes:
        name: What it is called.
        proves: What it proves, in one sentence.
        site_text: Content of the site file, for simulator and monitor alike.
        site: What it says.
        begin_ms: When it begins [ms].
        seconds: How long it lasts [s].
        seed: What all noise follows from.
        wire: `dsx` or `rack-documents`.
        qos: Quality of service of values.
        metering: How meters look at the plant.
        ratings: What equipment is rated, by its id, where it is not sized for what hangs on it.
        rack_ratings: What is said of racks, by id.
        jobs: What runs on the racks.
        events: What happens to the plant.
        faults: What goes wrong on the wire.
        breaks: When the monitor does not listen.
        captions: What to tell onlookers, by the second at which it begins.
        must: Alarms that must be raised; no others may be.
        must_not: Alarms that are named because raising them would be the mistake.
        waits_for: Alarms of rules that do not exist yet.
    """

    name: str
    proves: str
    site_text: str
    site: SiteFile
    begin_ms: int
    seconds: int
    seed: int = 1
    wire: str = "dsx"
    qos: int = 1
    metering: Metering = field(default_factory=Metering)
    ratings: Mapping[str, Rating] = field(default_factory=dict)
    rack_ratings: Mapping[str, RackRating] = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()
    events: tuple[Event, ...] = ()
    faults: tuple[FaultSpec, ...] = ()
    breaks: tuple[Break, ...] = ()
    captions: Mapping[int, str] = field(default_factory=dict)
    must: tuple[Expectation, ...] = ()
    must_not: tuple[Prohibition, ...] = ()
    waits_for: tuple[Waiting, ...] = ()
