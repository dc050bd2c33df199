"""What can run on racks, as it is described; `load` makes power of it.

Levels are shares of a rack's rating. Defaults are those of published measurements where a docstring says so,
and our choice elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from simulators.model.events import ENDLESS
from simulators.model.traces import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing:
    """Power smoothing in the servers: a floor, ramps, and a store that evens out what is within a second.

    The controls are those of NVIDIA's power smoothing; the floor is our choice of 80 to 90 %.

    Attributes:
        floor: The least that a running rack draws, as a share of its rating.
        up_kw_per_s: How fast a rack's draw may rise [kW/s].
        down_kw_per_s: How fast it may fall [kW/s].
    """

    floor: float = 0.85
    up_kw_per_s: float = 20.0
    down_kw_per_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A job goes to other racks.

    Attributes:
        at_s: When it stops where it is [s].
        racks: Where it goes on.
        restart_s: After how long it goes on [s].
    """

    at_s: float
    racks: tuple[str, ...]
    restart_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Racks that are on and do nothing; those that run no job are idle as well.

    Attributes:
        name: What the job is called, unique in a run.
        racks: Ids of its racks.
        starts_s: When it starts [s].
        ends_s: When it ends [s].
        moves: Where else it goes, in order of time.
    """

    name: str
    racks: tuple[str, ...]
    starts_s: float = 0.0
    ends_s: float = ENDLESS
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Training(Idle):
    """One training job over many racks, which compute and communicate in step.

    Attributes:
        level: Draw while computing; measured 93 to 97 % of the maximum on H100 and B300.
        period_s: Length of an iteration, the same for all racks; reported 1 to 10 s.
        dip: Depth of the communication phase, as a share of the way from level to idle; reported 10 to 70 %.
        dip_share: Length of the communication phase as a share of the iteration.
        checkpoint_every_s: Time from checkpoint to checkpoint, usually 5 to 30 min; 0 for none [s].
        checkpoint_s: Length of a checkpoint, usually 5 to 60 s [s].
        checkpoint_level: Draw during a checkpoint, usually 15 to 30 %.
        failure_hours: Mean time between failures of the job; None for no failures [h].
        smoothing: Power smoothing, None where there is none.
    """

    level: float = 0.95
    period_s: float = 3.0
    dip: float = 0.3
    dip_share: float = 0.25
    checkpoint_every_s: float = 900.0
    checkpoint_s: float = 20.0
    checkpoint_level: float = 0.2
    failure_hours: float | None = None
    smoothing: Smoothing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference(Idle):
    """Serving requests: a mean-reverting load on a daily curve.

    Local time is the site's at the start of the run: a change of the clock does not move the curve.

    Attributes:
        level: Mean draw over a day.
        sigma: Standard deviation of the fluctuation, as a share of the level.
        tau_s: Its time constant [s].
        common: Share of the fluctuation's variance that all racks have in common.
        daily: Half of the daily curve's height, as a share of the level.
        peak_hour: Local hour of its top.
    """

    level: float = 0.65
    sigma: float = 0.07
    tau_s: float = 60.0
    common: float = 0.5
    daily: float = 0.2
    peak_hour: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage(Idle):
    """Discs and plain servers: nearly constant.

    Attributes:
        level: Mean draw.
        sigma: Standard deviation of the slow fluctuation, as a share of the level.
    """

    level: float = 0.75
    sigma: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady(Idle):
    """A load that is exactly what is written: for limits that are to be met to the milliwatt.

    Attributes:
        total_milliwatts: What all its racks draw together [mW], shared evenly: where it does not divide, the
            first racks draw one milliwatt more.
    """

    total_milliwatts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course(Idle):
    """A load that follows straight lines between points in time.

    Attributes:
        points: Second and draw of each rack as a share of its rating; constant before the first and after
            the last.
        sigma: Standard deviation of the fluctuation, as a share of the level; 0 for none.
    """

    points: tuple[tuple[float, float], ...]
    sigma: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Idle):
    """A recorded load in place of a model.

    Attributes:
        trace: What was recorded.
        level: Draw at the trace's highest value.
        speed: Seconds of the recording in a second of the run.
        offset_s: Where in the recording the run begins; racks take its columns in turn [s].
    """

    trace: Trace
    level: float = 0.95
    speed: float = 1.0
    offset_s: float = 0.0


Job: TypeAlias = Idle
"""Anything that runs on racks: one of the classes of this module."""
