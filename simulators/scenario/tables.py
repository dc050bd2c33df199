"""The tables of a scenario file as they are written: units in the names, seconds from its beginning."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from facility.sitefile.fields import KW, MOST_MILLIWATTS, Number, Percent, Racks, Truth, When, Whole
from facility.sitefile.tables import Table
from simulators.meters.meters import CYCLE_S
from simulators.model.events import EventKind
from simulators.scenario.scenario import BreakKind, FaultKind

Second = Annotated[Whole, Field(ge=0, le=366 * 86_400)]
"""A second of the scenario."""
MOST_MS: Final = 86_400_000 * 3_650
"""How far a clock may be off: ten years [ms]."""
MOST_S: Final = MOST_MS // 1_000
"""The same of the clock of the monitor's machine [s]."""
Share = Annotated[Number, Field(ge=0, le=1)]
Amount = Annotated[Number, Field(ge=0)]
Total = Annotated[Number, Field(ge=0, le=MOST_MILLIWATTS / KW)]
"""What racks draw together [kW]."""
Kilowatts = Annotated[Number, Field(ge=0, le=1_200)]
"""What a rack may draw: up to twice the densest that was announced."""


def _fits(period_s: int) -> int:
    if not 0 < period_s <= CYCLE_S or CYCLE_S % period_s:
        raise PydanticCustomError("value", f"whole seconds that divide {CYCLE_S}")
    return period_s


Period = Annotated[Whole, AfterValidator(_fits)]
"""How often something is looked at [s]."""


class LoadKind(StrEnum):
    """What can run on racks."""

    TRAINING = "training"
    INFERENCE = "inference"
    STORAGE = "storage"
    IDLE = "idle"
    STEADY = "steady"
    COURSE = "course"
    RECORDED = "recorded"


class TraceFormat(StrEnum):
    """Formats of recorded loads."""

    PLAIN = "plain"  # seconds, and a column of values for each rack in turn
    BUILDING = "building"  # hourly meters of the Cambridge building archive
    GPU = "gpu"  # hourly GPU power of Cornell BioHPC
    NODE = "node"  # daily node power of Marconi100
    SERVER = "server"  # minutes of server power of Harvard FAS Research Computing


class HeadTable(Table):
    """The head of the file: what stands before the first table."""

    proves: str = Field(description="what it proves, in one sentence")
    begin: When = Field(description="when it begins: a date or a time, in the site's zone")
    seconds: Annotated[Whole, Field(ge=1, le=366 * 86_400)] = Field(description="how long it lasts [s]")
    seed: Annotated[Whole, Field(ge=0)] = Field(1, description="what all chance follows from")
    wire: Literal["dsx", "rack-documents"] = Field("dsx", description="what is spoken")
    qos: Literal[0, 1] = Field(1, description="quality of service of values")
    site: str = Field("", description="a site file as text, in place of [layout]")
    queued_messages: Annotated[Whole, Field(ge=1)] | None = Field(
        None, description="how many messages the broker keeps, by the site file that [layout] makes"
    )
    rules: str = Field("", description="parameters of rules, as the site file has them")
    engine: str = Field("", description="the site file's [engine], where it is another than usual")


class LayoutTable(Table):
    """`[layout]`: a site of like rows, made out of a few figures."""

    racks: Annotated[Whole, Field(ge=1, le=20_000)] = Field(48, description="how many racks")
    rating_kw: Annotated[Kilowatts, Field(gt=0)] = Field(132, description="rating of each [kW]")
    racks_per_row: Annotated[Whole, Field(ge=1, le=200)] = Field(12, description="racks in a row")
    rows_per_group: Annotated[Whole, Field(ge=1)] = Field(2, description="rows on one pair of UPS systems")
    scheme: Literal["2N", "3N2", "4N3R"] = Field("2N", description="how UPS systems back each other")
    name: str = Field("titan", description="the site's name")
    timezone: str = Field("UTC", description="IANA zone of the site")


class LeaseTable(Table):
    """`[[lease]]`: a tenant of the layout; the racks of each follow those of the one before."""

    id: str = Field(description="the tenant's id")
    racks: Annotated[Whole, Field(ge=1)] = Field(description="how many racks it holds")
    contract: str = Field(description="the bodies of its contract's versions, as in a site file, --- between")


class CurveTable(Table):
    """`curve` of a `[[rating]]`: it holds x times the rating for `scale_s * (x - 1) ** -exponent`."""

    scale_s: Number = Field(9.3, description="how long it holds twice the rating [s]")
    exponent: Number = Field(2.04, description="steepness")
    from_x: Number = Field(1.05, description="multiple of the rating above which it heats up")
    cools_s: Number = Field(600, description="time constant of cooling [s]")


class RatingTable(Table):
    """`[[rating]]`: what equipment is rated, where it is not sized for what hangs on it."""

    ids: Racks = Field(description="which: ids or patterns")
    amps: Number | None = Field(None, description="rating of its breaker, or rated current [A]")
    volts: Number | None = Field(None, description="line to line [V]")
    loss_percent: Number | None = Field(None, description="what it loses at its rating [%]")
    battery_s: Number | None = Field(None, description="of a UPS: how long its battery lasts [s]")
    transfer_s: Number | None = Field(None, description="of a switch: how long it waits [s]")
    start_s: Number | None = Field(None, description="of a generator: how long it takes to start [s]")
    walk_in_s: Number | None = Field(None, description="of a UPS: over how long it takes its load back [s]")
    curve: CurveTable | None = Field(None, description="the trip curve of its breaker")
    idle_percent: Percent | None = Field(None, description="of a rack: draw at idle [% of its rating]")
    liquid_percent: Percent | None = Field(None, description="of a rack: heat into the coolant [%]")
    lpm_per_kw: Number | None = Field(None, description="of a rack: design flow [L/min per kW of its rating]")


class MeteringTable(Table):
    """`[metering]`: how meters and gateways look at the plant."""

    gain_sigma: Share = Field(0.0, description="spread of the gains of electric meters around 1")
    ct_error_percent: Annotated[Number, Field(ge=-100, le=1_000)] = Field(
        0, description="what all of them read too high in common [%]"
    )
    noise: Share = Field(0.0, description="additive noise of power, as a share of the rating")
    step_w: Annotated[Number, Field(gt=0, le=100_000)] = Field(1, description="finest step of power [W]")
    period_s: Period = Field(1, description="how often power is looked at, a document comes [s]")
    threshold_percent: Percent = Field(0, description="what is published: changes above this [% of rating]")
    sampling: Literal["mean", "instant"] = Field(
        "mean", description="what a rack's meter shows of a second: its mean, or its first instant"
    )
    clock_sigma_ms: Annotated[Number, Field(ge=0, le=86_400_000)] = Field(
        0, description="spread of the gateways' clocks around the true time [ms]"
    )
    drift_sigma_ppm: Annotated[Number, Field(ge=0, le=100_000)] = Field(
        0, description="spread of how fast those clocks run [ppm]"
    )


class InstrumentTable(Table):
    """`[[instrument]]`: the instruments of some point types, in the unit of the point."""

    point_type: Racks = Field(description="which: point types of the bus, or keys of the documents")
    period_s: Period | None = Field(None, description="how often they look [s]")
    step: Annotated[Number, Field(gt=0, le=1e6)] | None = Field(None, description="their finest step")
    noise: Amount | None = Field(None, description="standard deviation of each reading's noise")
    threshold: Amount | None = Field(None, description="what is published: changes of this and more")
    gain_sigma: Share | None = Field(None, description="spread of their gains around 1")
    offset_sigma: Amount | None = Field(None, description="spread of their offsets")


class ClockTable(Table):
    """`[[clock]]`: the clocks of some gateways, in place of chance."""

    gateway: Racks = Field(description="which: names or patterns")
    offset_ms: Annotated[Number, Field(ge=-MOST_MS, le=MOST_MS)] = Field(
        0, description="by how much they are ahead when the scenario begins [ms]"
    )
    drift_ppm: Annotated[Number, Field(ge=-100_000, le=100_000)] = Field(
        0, description="how much too fast they run [ppm]"
    )


class SmoothingTable(Table):
    """`smoothing` of a `[[load]]` of training."""

    floor: Share = Field(0.85, description="the least that a running rack draws, as a share of its rating")
    up_kw_per_s: Amount = Field(20, description="how fast its draw may rise [kW/s]")
    down_kw_per_s: Amount = Field(20, description="how fast it may fall [kW/s]")


class LoadTable(Table):
    """`[[load]]`: what runs on some racks."""

    name: str = Field(description="a name of its own")
    kind: LoadKind = Field(description="what it is")
    racks: Racks = Field(description="where it runs: ids or patterns, or the id of a tenant")
    from_s: Second = Field(0, description="when it begins [s]")
    to_s: Second | None = Field(None, description="when it ends [s]")
    kw: list[list[Number]] | None = Field(
        None, description="of a course: seconds and kW of each rack, in order of time"
    )
    total_kw: Total | None = Field(None, description="of a steady load: what all racks draw together [kW]")
    level: Share | None = Field(None, description="share of the rating")
    sigma: Share | None = Field(None, description="fluctuation, as a share of the level")
    period_s: Amount | None = Field(None, description="of training: length of an iteration [s]")
    dip: Share | None = Field(None, description="of training: depth of the communication")
    dip_share: Share | None = Field(None, description="of training: its share of an iteration")
    checkpoint_every_s: Amount | None = Field(None, description="of training: from one to the next [s]")
    checkpoint_s: Amount | None = Field(None, description="of training: length of a checkpoint [s]")
    checkpoint_level: Share | None = Field(None, description="of training: draw during one")
    failure_hours: Amount | None = Field(None, description="of training: mean time between failures [h]")
    smoothing: SmoothingTable | None = Field(None, description="of training: power smoothing in the servers")
    tau_s: Amount | None = Field(None, description="of inference: time constant [s]")
    common: Share | None = Field(None, description="of inference: what racks have in common of it")
    daily: Share | None = Field(None, description="of inference: half of the daily curve's height")
    peak_hour: Annotated[Number, Field(ge=0, le=24)] | None = Field(
        None, description="of inference: local hour of its top"
    )
    trace: str | None = Field(None, description="of a recorded load: a CSV file, beside the scenario's")
    format: TraceFormat = Field(TraceFormat.PLAIN, description="of a recorded load: whose format that is")
    speed: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="of a recorded load: its seconds in a second of the run"
    )
    offset_s: Amount | None = Field(None, description="of a recorded load: where in it the run begins [s]")


class EventTable(Table):
    """`[[event]]`: something that happens to the plant."""

    kind: EventKind = Field(description="what")
    at_s: Annotated[Number, Field(ge=0)] = Field(description="when it begins [s]")
    until_s: Annotated[Number, Field(ge=0)] | None = Field(None, description="when it ends [s]")
    subjects: Racks = Field(default_factory=list, description="what it befalls: ids or patterns")
    strength: Number | None = Field(None, description="how much, in the measure of the kind")
    total_kw: Total | None = Field(None, description="what the subjects' racks want together [kW]")
    failover_s: Amount | None = Field(None, description="of a pump: until the other has the flow back [s]")
    fails_over: Truth = Field(True, description="of a pump: whether the other takes over at all")  # noqa: FBT003
    recovery_s: Amount | None = Field(None, description="of a sag: over how long UPS take loads back [s]")
    to: Racks = Field(default_factory=list, description="of a job that moves: where it goes")


class FaultTable(Table):
    """`[[fault]]`: something that goes wrong between the meters and the monitor."""

    kind: FaultKind = Field(description="what")
    from_s: Second = Field(description="when it begins [s]")
    to_s: Second = Field(description="when it is over [s]")
    scope: Racks = Field(default_factory=list, description="assets or gateways, or patterns; all if empty")
    point_type: str = Field("", description="which of their points, all if empty")
    strength: Number | None = Field(None, description="how much, in the measure of the kind")


class BreakTable(Table):
    """`[[break]]`: a time in which the monitor does not listen, or has a wrong clock."""

    kind: BreakKind = Field(description="why")
    from_s: Second = Field(description="when it begins [s]")
    to_s: Second = Field(description="when it is over [s]")
    queue: Annotated[Whole, Field(ge=0)] | None = Field(
        None, description="of a queue that overflows: how many messages the broker keeps"
    )
    by_s: Annotated[Whole, Field(ge=-MOST_S, le=MOST_S)] | None = Field(
        None, description="of a clock that is off: how far it is ahead, below zero for behind [s]"
    )


class CaptionTable(Table):
    """`[[caption]]`: what to tell onlookers."""

    at_s: Second = Field(description="from when [s]")
    text: str = Field(description="what")


class MustTable(Table):
    """`[[must]]`: an alarm that must be raised; no others may be."""

    rule: str = Field(description="the rule, as the alarm names it")
    subject: Racks = Field(description="id of its subject, or a pattern of racks")
    from_s: Second = Field(description="the earliest right moment [s]")
    to_s: Second = Field(description="the latest [s]")
    severity: Literal["", "info", "low", "medium", "high", "critical"] = Field(
        "", description="the worst that it comes to"
    )
    returns_by_s: Second | None = Field(None, description="by when it is over [s]")
    told: Truth = Field(True, description="whether people are told of it")  # noqa: FBT003 - as in the file


class MustNotTable(Table):
    """`[[must_not]]`: alarms that would be the mistake."""

    rule: str = Field("*", description="the rule, * for any")
    subject: str = Field("*", description="id of its subject, * for any")
    why: str = Field(description="what would be wrong with it")


class WaitsTable(Table):
    """`[[waits_for]]`: an alarm of a rule that does not exist yet."""

    rule: str = Field(description="the rule of the catalogue")
    subject: str = Field(description="id of its subject")
    why: str = Field(description="what it will say")
