"""What commands print with `--json`: the shape of each document, for programs that read it.

`docs/json-output.schema.json` is made of these; the tests hold what commands really print against it. A key
may be added; one that is there keeps its meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from rules.alarms.openings import ToldAs

_CLOSED: Final = ConfigDict(extra="forbid")

Time = Annotated[str, Field(description="ISO 8601 with an offset")]
Milliseconds = Annotated[int, Field(description="Unix time [ms]")]


@with_config(_CLOSED)
class Accounting(TypedDict):
    """Where every reading went: received = stored + dead_lettered + duplicates + waiting."""

    received: int
    stored: int
    dead_lettered: int
    dead_lettered_by_reason: dict[str, int]
    letters_dropped: Annotated[int, Field(description="dead letters counted above and kept no longer")]
    duplicates: int
    waiting: int
    metadata: int
    metadata_unchanged: int
    messages: int
    undelivered: NotRequired[Annotated[int, Field(description="notifications that wait")]]


@with_config(_CLOSED)
class Broker(TypedDict):
    """A connection with a broker."""

    name: str
    state: str
    detail: str
    mqtt: str
    connections: int
    stale_acknowledgements: int
    dropped: int
    repeated: Annotated[int, Field(description="messages that came again and were in hand, or safe, already")]
    gaps: Annotated[int, Field(description="breaks after which something may be missing")]
    rate_per_s: Annotated[
        float | None, Field(description="messages a second at the busiest time of the last ten minutes")
    ]
    missed_documents: int
    store_error: Annotated[str, Field(description="why nothing is acknowledged now; empty while all is well")]
    silent_s: Annotated[float, Field(description="how long nothing has arrived [s]")]
    is_silent: Annotated[bool, Field(description="whether that is longer than it may be")]


@with_config(_CLOSED)
class DoubtNow(TypedDict):
    """Why the power of some racks is not known for certain."""

    cause: str
    racks: int


@with_config(_CLOSED)
class TenantNow(TypedDict):
    """A tenant at the last tick."""

    id: str
    name: str
    low_kw: float
    best_kw: Annotated[float | None, Field(description="null where nothing was heard yet")]
    high_kw: Annotated[float | None, Field(description="null where nothing bounds the draw")]
    limit_kw: float | None
    verdict: Annotated[
        str | None,
        Field(description="of the rules C2 and C4: clear, unknown, breach; null without a limit"),
    ]
    is_starting: Annotated[bool, Field(description="something of it was not heard yet and has time to speak")]
    coverage: Annotated[float, Field(ge=0, le=1)]
    meters_agree: bool
    demand_kw: float | None
    forecast_kw: float | None
    block_limit_kw: float | None
    doubts: Annotated[list[DoubtNow], Field(description="why not all of it is known, most racks first")]


@with_config(_CLOSED)
class Openings(TypedDict):
    """How many alarms of a rule opened since the start."""

    rule: str
    telling: Annotated[
        ToldAs,
        Field(description="suppressed: under what says more; damped: by rule Q10"),
    ]
    count: int


@with_config(_CLOSED)
class Rules(TypedDict):
    """How far judging is."""

    tick_ms: Milliseconds
    seq: int
    step_ms: float
    is_recovering: bool
    store_error: str
    snapshot_error: Annotated[str, Field(description="why the state is not saved now; empty while it is")]
    error: Annotated[str, Field(description="why nothing is judged now; empty while all is well")]
    failing: Annotated[dict[str, str], Field(description="what rules raised last, by their names")]
    openings: list[Openings]


@with_config(_CLOSED)
class HistoryNow(TypedDict):
    """How far the history is."""

    sink: str
    seq: int
    error: str
    refused: int


@with_config(_CLOSED)
class RouteNow(TypedDict):
    """How telling does on a route."""

    name: Annotated[str, Field(description="the receiver's host; a path may be a password")]
    waiting: Annotated[int, Field(description="notifications that wait")]
    refused: Annotated[int, Field(description="notifications that its receiver refused for good")]
    failing_since_ms: Annotated[Milliseconds | None, Field(description="null while it accepts")]
    error: Annotated[str, Field(description="what its receiver said last; empty while it accepts")]


@with_config(_CLOSED)
class PartNow(TypedDict):
    """How a part of the monitor does; each is supervised by itself."""

    name: str
    state: Annotated[str, Field(description="running, restarting (after a pause) or hanging")]
    restarts: Annotated[int, Field(description="how often it was begun again since the start")]
    error: Annotated[str, Field(description="what ended it last; empty where nothing did")]
    failed_ms: Annotated[Milliseconds | None, Field(description="when that was")]


@with_config(_CLOSED)
class StageNow(TypedDict):
    """What a stage of the pipeline costs."""

    name: Annotated[str, Field(description="read, append, judge or ship")]
    cpu_s: Annotated[float, Field(description="CPU time since the start [s]")]
    core: Annotated[float | None, Field(description="share of one core over the last minute")]


@with_config(_CLOSED)
class Costs(TypedDict):
    """What a process costs."""

    stages: NotRequired[Annotated[list[StageNow], Field(description="those of all processes that run")]]
    messages_per_s: NotRequired[
        Annotated[float | None, Field(description="messages taken over the last minute [1/s]")]
    ]


@with_config(_CLOSED)
class CanaryNow(TypedDict):
    """How the canary does."""

    began_ms: Annotated[Milliseconds | None, Field(description="when it was overdrawn last")]
    delay_s: Annotated[float | None, Field(description="from then to the acceptance of its page")]
    trouble: Annotated[str, Field(description="why its page does not come through; empty while it does")]


@with_config(_CLOSED)
class ProcessStatus(Costs):
    """What one process of the monitor does, as it writes it; parts that do not run in it are missing."""

    site: str
    at_ms: Milliseconds
    is_running: bool
    undelivered: int
    parts: NotRequired[Annotated[list[PartNow], Field(description="those of all processes that run")]]
    accounting: NotRequired[Accounting]
    brokers: NotRequired[list[Broker]]
    rules: NotRequired[Rules]
    tenants: NotRequired[list[TenantNow]]
    routes: NotRequired[list[RouteNow]]
    canary: NotRequired[CanaryNow]
    history: NotRequired[HistoryNow]
    journal_seq: NotRequired[int]
    journal_stamp_ms: NotRequired[Milliseconds]


@with_config(_CLOSED)
class Status(ProcessStatus):
    """`megawatch status`: parts that run in no process are missing."""

    age_s: float
    trouble: Annotated[str, Field(description="why this is not of now; empty while it is")]
    free_bytes: Annotated[int | None, Field(description="room on the disk of the data folder [bytes]")]
    open_alarms: Annotated[int | None, Field(description="null where the ledger cannot be read")]
    message_us: Annotated[
        dict[str, float],
        Field(
            description="CPU time for a message over the last minute, by stage [µs]; empty where none came"
        ),
    ]


@with_config(_CLOSED)
class AlarmNow(TypedDict):
    """`megawatch ack`, and each item of `megawatch alarms`."""

    id: str
    rule: str
    title: str
    subject: str
    severity: str
    unit: str
    state: Annotated[str, Field(description="in the words of ISA-18.2")]
    since: Time | None
    opened: Time | None
    returned: Time | None
    acknowledged: Time | None
    acknowledged_by: str | None
    suppression: Annotated[str | None, Field(description="id of what keeps it from being told")]
    value: float | None
    limit: float | None
    peak: float | None
    is_told: bool
    needs_acknowledgement: bool


@with_config(_CLOSED)
class WayOfPages(TypedDict):
    """Each item of `megawatch routes`."""

    to: str
    takes: str
    when: str
    test: Annotated[str | None, Field(description="what became of a test page; null where none was sent")]


@with_config(_CLOSED)
class Frequent(TypedDict):
    """An alarm that opened often."""

    rule: str
    subject: str
    alarms: int
    percent: Annotated[float, Field(description="share of all that were told")]


AlarmStats = TypedDict(
    "AlarmStats",
    {
        "from": Time,
        "to": Time,
        "told": int,
        "not_told": Annotated[int, Field(description="under a cause, shelved, out of service, or damped")],
        "damped": Annotated[int, Field(description="held back by rule Q10, in a chatter or a flood")],
        "by_severity": dict[str, int],
        "steady_per_10_min": Annotated[float, Field(description="openings in 10 min, mean")],
        "upset_per_10_min": Annotated[
            float, Field(description="most openings in 10 min of each day, mean over the days")
        ],
        "peak_hour": Annotated[int, Field(description="most openings in an hour")],
        "peak_minute": int,
        "floods": Annotated[int, Field(description="from more than 10 openings in 10 min to fewer than 5")],
        "flood_percent": Annotated[float, Field(description="share of the time in a flood")],
        "most_frequent": list[Frequent],
        "chattering": Annotated[int, Field(description="alarms that opened three times in a minute")],
        "stale": Annotated[int, Field(description="alarms that stood for more than a day")],
        "acknowledged": int,
        "acknowledged_after_s": Annotated[float | None, Field(description="median")],
    },
)
"""`megawatch alarms --stats`."""

SuppressionNow = TypedDict(
    "SuppressionNow",
    {
        "id": str,
        "kind": Annotated[str, Field(description="shelved, suppressed by design or out of service")],
        "alarm": str | None,
        "rules": list[str],
        "subjects": list[str],
        "assets": list[str],
        "from": Time,
        "to": Time | None,
        "by": str,
        "why": str,
        "made": Time,
        "ended": Time | None,
        "ended_by": str | None,
    },
)
"""`megawatch shelve`, `unshelve`, `suppress`, `maintenance`, and each item of `megawatch suppressions`."""


@with_config(_CLOSED)
class Hidden(TypedDict):
    """`--preview`: what a suppression would have hidden."""

    suppression: SuppressionNow
    alarms: Annotated[list[str], Field(description="ids of the alarms that would not have been told")]
    by_rule: dict[str, int]
    critical: Annotated[int, Field(description="how many of them were critical")]


@with_config(_CLOSED)
class WhyChange(TypedDict):
    """Something that happened to an alarm."""

    at: Time
    change: str
    severity: str
    value: float | None
    reason: Annotated[str | None, Field(description="why it ended, where nothing was judged that ended it")]


@with_config(_CLOSED)
class Told(TypedDict):
    """A telling of an alarm on one route, and what became of it."""

    key: str
    route: str
    state: Annotated[str, Field(description="waiting, delivered or refused")]
    attempts: int
    happened: Annotated[Time, Field(description="source time of what it tells")]
    made: Time
    accepted: Time | None
    delay_s: Annotated[float | None, Field(description="from what happened to the acceptance [s]")]
    error: Annotated[str | None, Field(description="what the receiver said last")]


@with_config(_CLOSED)
class Why(TypedDict):
    """`megawatch why`."""

    alarm: AlarmNow
    hold_s: Annotated[float, Field(description="how long the limit was broken before the alarm opened [s]")]
    changes: list[WhyChange]
    told: list[Told]
    silence: Annotated[str | None, Field(description="why nothing was told; null where something was")]
    hidden_by: Annotated[list[str], Field(description="ids of the alarms that hide it")]


@with_config(_CLOSED)
class Letter(TypedDict):
    """A message, or a reading in one, that was refused."""

    received: Time
    reason: str
    topic: str
    detail: Annotated[str, Field(description="what was expected and what was found")]
    length: Annotated[int, Field(description="of the whole payload [bytes]")]
    payload: Annotated[str, Field(description="what is kept of it, as text; bytes that are none are escaped")]
    payload_base64: Annotated[str, Field(description="the same, byte by byte")]


@with_config(_CLOSED)
class DeadLetters(TypedDict):
    """`megawatch deadletters`: the newest first."""

    dead_lettered: Annotated[int, Field(description="all that were ever refused")]
    by_reason: dict[str, int]
    dropped: Annotated[int, Field(description="counted above and kept no longer")]
    letters: list[Letter]


Block = TypedDict(
    "Block",
    {
        "tenant": str,
        "from": Time,
        "to": Time,
        "judged": Annotated[str, Field(description="live: as known when it closed; settled: as it was")],
        "verdict": Annotated[str, Field(description="kept, exceeded, or cannot be verified")],
        "method": Annotated[str, Field(description="the contract's limit method")],
        "version_from": Annotated[Time, Field(description="from when the contract version is in force")],
        "coverage": Annotated[float, Field(description="share covered by readings, 0 to 1")],
        "low_kwh": float,
        "low_kw": float,
        "best_kwh": float,
        "best_kw": float,
        "high_kwh": Annotated[float | None, Field(description="null where there is no bound")],
        "high_kw": Annotated[float | None, Field(description="null where there is no bound")],
        "allowed_kwh": float,
        "allowed_kw": float,
    },
)  # `from` is a word of the language
Block.__pydantic_config__ = _CLOSED  # type: ignore[attr-defined]


@with_config(_CLOSED)
class Row(TypedDict):
    """One value of a series."""

    time: Time
    value: float | None
    quality: str


SeriesAsked = TypedDict(
    "SeriesAsked", {"series": str, "unit": str, "from": Time, "to": Time, "values": list[Row]}
)  # `from` is a word of the language
SeriesAsked.__pydantic_config__ = _CLOSED  # type: ignore[attr-defined]


@with_config(_CLOSED)
class FaultFound(TypedDict):
    """A fault of a site file."""

    path: str
    expected: str
    found: str
    hint: str


@with_config(_CLOSED)
class Reached(TypedDict):
    """What a site file names, and whether it was reached."""

    what: str
    ok: bool
    detail: str


@with_config(_CLOSED)
class Check(TypedDict):
    """`megawatch check`."""

    is_fine: bool
    faults: list[FaultFound]
    warnings: list[str]
    live: list[Reached]


@with_config(_CLOSED)
class Database(TypedDict):
    """A database as it was found."""

    kind: str
    version: str
    takes_writes: bool
    answers_queries: bool | None
    speaks_influxql: bool
    overwrites: bool | None
    retention: str
    buckets: dict[str, str]
    notes: list[str]


@with_config(_CLOSED)
class BrokerHeard(TypedDict):
    """What was heard of a broker."""

    messages: int
    live: Annotated[int, Field(description="those of them that were not retained")]
    seconds: float
    rate_per_s: float


@with_config(_CLOSED)
class BrokerQueue(TypedDict):
    """What a broker kept for a session that was away."""

    published: int
    kept: int
    are_oldest: Annotated[bool | None, Field(description="whether the first were kept; null where all were")]
    unacknowledged: Annotated[int, Field(description="how many it sends before the first is acknowledged")]
    fault: Annotated[str, Field(description="why nothing could be measured; empty where something was")]


@with_config(_CLOSED)
class BrokerMeasured(TypedDict):
    """What a broker does for us, as `doctor` measured it."""

    name: str
    is_fine: bool
    mqtt: Annotated[str, Field(description="the version that it speaks; empty where it was not reached")]
    heard: BrokerHeard | None
    queue: BrokerQueue | None
    queued_messages: Annotated[int | None, Field(description="what the site file says that it keeps")]
    fault: str


@with_config(_CLOSED)
class Doctor(TypedDict):
    """`megawatch doctor`."""

    is_fine: bool
    reached: list[Reached]
    brokers: list[BrokerMeasured]
    database: Database | None


@with_config(_CLOSED)
class LeftOut(TypedDict):
    """A topic that the proposal holds nothing of."""

    topic: str
    reason: str
    detail: str


@with_config(_CLOSED)
class Figures(TypedDict):
    """What was heard of a site, in figures."""

    racks: int
    assets: int
    points: int
    points_with_values: int
    messages: int
    without_metadata: int
    refused: dict[str, int]
    left_out: Annotated[list[LeftOut], Field(description="the first refusal of each topic")]
    racks_without_power: Annotated[list[str], Field(description="described, and no point says their power")]
    publishers: Annotated[list[str], Field(description="who described the site, or publishes on it")]
    other_forms: Annotated[
        dict[str, str], Field(description="forms of the bus that were heard and are not of the contract")
    ]


@with_config(_CLOSED)
class Discovered(Figures):
    """`megawatch discover`."""

    site_file: Annotated[str, Field(description="the proposed site file")]


@with_config(_CLOSED)
class Caption(TypedDict):
    """What happened at a second of the demo."""

    second: float
    time: Time
    caption: str


@with_config(_CLOSED)
class Widest(TypedDict):
    """Bounds at a moment [kW]."""

    time: Time
    low_kw: float
    best_kw: float | None
    high_kw: float
    limit_kw: float


@with_config(_CLOSED)
class DemoTenant(TypedDict):
    """How long each verdict held of a tenant, and its bounds when they were widest."""

    id: str
    seconds: dict[str, int]
    widest: NotRequired[Widest]


@with_config(_CLOSED)
class DemoAlarm(TypedDict):
    """An alarm of the demo."""

    id: str
    rule: str
    title: str
    subject: str
    severity: str
    opened: Time
    closed: Time | None
    value: float | None
    limit: float | None
    peak: float | None
    unit: str
    told: bool


@with_config(_CLOSED)
class Page(TypedDict):
    """A notification of the demo."""

    key: str
    rule: str
    subject: str
    change: str
    severity: str
    headline: str
    state: str
    attempts: int
    source_time: Time
    delay_s: Annotated[float | None, Field(description="from the source time to the receiver's acceptance")]


@with_config(_CLOSED)
class Demo(TypedDict):
    """`megawatch demo`."""

    site: str
    broker: str
    seconds: int
    story: list[Caption]
    tenants: list[DemoTenant]
    accounting: Accounting
    alarms: list[DemoAlarm]
    pages: list[Page]


@with_config(_CLOSED)
class Simulated(TypedDict):
    """`megawatch simulate`."""

    scenario: str
    seed: int
    begin: Time
    seconds: int
    published: Annotated[int, Field(description="messages")]
    acknowledged: int
    undelivered: int
    most_behind_s: Annotated[float, Field(description="how late a second was published at most [s]")]


COMMANDS: Final[dict[str, Any]] = {
    "ack": AlarmNow,
    "alarms": list[AlarmNow] | AlarmStats,
    "blocks": list[Block],
    "check": Check,
    "deadletters": DeadLetters,
    "demo": Demo,
    "doctor": Doctor,
    "discover": Discovered,
    "query": SeriesAsked,
    "maintenance": SuppressionNow | Hidden,
    "routes": list[WayOfPages],
    "shelve": SuppressionNow | Hidden,
    "simulate": Simulated,
    "status": Status,
    "suppress": SuppressionNow | Hidden,
    "suppressions": list[SuppressionNow],
    "unshelve": SuppressionNow,
    "why": Why,
}


def output_schema() -> dict[str, Any]:
    """Return the JSON Schema of the documents, by the command that prints each."""
    made = [(name, "serialization", TypeAdapter(kind)) for name, kind in COMMANDS.items()]
    refs, definitions = TypeAdapter.json_schemas(made)  # type: ignore[arg-type]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What commands of Megawatch print with --json",
        "$defs": definitions["$defs"],
        "properties": {name: refs[name, "serialization"] for name, _, _ in made},
    }
