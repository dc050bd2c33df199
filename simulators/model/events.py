"""What may happen to the plant, where and when; the plant itself does the rest by its physics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    """What happens. In brackets: what the subjects are, and what `strength` means."""

    FEED_LOSS = "feed_loss"
    """A node loses its output [nodes; or a feed by its letter: all its busways]."""
    FEED_BACK = "feed_back"
    """What was lost or opened comes back, and breakers are closed again [nodes or feeds]."""
    SAG = "sag"
    """The grid's voltage falls [nodes fed by the grid; none means all. Strength: what remains, per unit]."""
    UPS_FAULT = "ups_fault"
    """A UPS fails and everything beneath it loses that feed [UPS nodes]."""
    BREAKER_OPEN = "breaker_open"
    """A breaker is opened by hand [nodes]."""
    BREAKER_CLOSE = "breaker_close"
    """A breaker is closed by hand, tripped or opened [nodes]."""
    UNBALANCE = "unbalance"
    """Load goes from the first phase to the second [racks. Strength: share of the first]."""
    FREQUENCY = "frequency"
    """The grid's frequency goes elsewhere [none. Strength: where to, per unit]."""
    GENERATOR_FAILURE = "generator_failure"
    """A generator does not start, or stops [generator nodes]."""
    PUMP_FAILURE = "pump_failure"
    """The running pump of a coolant unit stops; the other takes over after `failover_s` [CDUs]."""
    FLOW_LOSS = "flow_loss"
    """Coolant stops flowing within 2 s [racks or CDUs. Strength: share of the flow that is lost]."""
    CHILLER_LOSS = "chiller_loss"
    """A chiller stops [chillers; none means all]."""
    CRAH_LOSS = "crah_loss"
    """An air handler stops [CRAHs; none means all]."""
    LEAK = "leak"
    """Coolant escapes [racks. Strength: how fast the loop's pressure falls, kPa/min]."""
    BYPASS = "bypass"
    """Coolant goes past a rack, by its sensors [racks. Strength: how much, of what goes through it]."""
    LEAK_DETECTOR_FAULT = "leak_detector_fault"
    """A leak detector fails, and says so [racks]."""
    DEW_POINT = "dew_point"
    """The room's dew point goes elsewhere within ten minutes [none. Strength: where to, °C]."""
    LOAD_STEP = "load_step"
    """Racks want another level at once [racks, jobs or tenants. Strength: share of the rating]."""
    RAMP = "ramp"
    """Racks go evenly to another level, reached at `until_s`, and stay there [as `load_step`]."""
    JOB_STOP = "job_stop"
    """A job ends: idle within the second, until `until_s` [jobs, tenants or racks]."""
    JOB_FAILURE = "job_failure"
    """A job dies and starts again after 3 to 15 min, or at `until_s` [jobs, tenants or racks]."""
    JOB_MOVE = "job_move"
    """A job goes on elsewhere [one job; `to` names its racks]."""
    CURTAIL = "curtail"
    """Racks are capped [racks, jobs or tenants. Strength: cap as a share of the rating]."""


ENDLESS = float("inf")
"""The end of what does not end [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happens.

    Attributes:
        kind: What happens.
        at_s: When it begins, in seconds of the run; fractions matter to a sag only, else it counts from the
            whole second that holds it.
        until_s: When it ends, exclusive; None where it stays (a sag then lasts 100 ms).
        subjects: Ids of what it befalls: racks, nodes, coolant units, jobs, tenants or a feed's letter.
        strength: How much, in the measure of the kind.
        total_milliwatts: Of a load step, a ramp or a curtailment: what the subjects' racks may want together,
            shared evenly to the milliwatt, instead of `strength` [mW].
        failover_s: Of a pump failure: after how long the other pump has the flow back; None for never [s].
        recovery_s: Of a sag: over how long a UPS takes its load back; None for the UPS's own time [s].
        to: Of a job that moves: the racks it goes to.
    """

    kind: EventKind
    at_s: float
    until_s: float | None = None
    subjects: tuple[str, ...] = ()
    strength: float = 1.0
    total_milliwatts: int | None = None
    failover_s: float | None = 5.0
    recovery_s: float | None = None
    to: tuple[str, ...] = ()

    @property
    def ends_s(self) -> float:
        """When it ends, infinite where it does not end [s]."""
        return ENDLESS if self.until_s is None else self.until_s

    def is_on(self, second: int) -> bool:
        """Tell whether it touches the second that begins at `second`."""
        return self.at_s < second + 1 and second < self.ends_s
