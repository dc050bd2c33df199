"""The tables of a site file, as they are written: units in the names, dates as the writer gives them.

Each field says what may stand there; the reference page of the site file is made from these texts. A list of
tables holds None where an entry could not be read, so that the others keep their places; TOML has no null.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from facility.contracts import Boundary, Method, Redundancy, Shape
from facility.grid import FIFTY_HZ, PROFILES, Grid, Profile
from facility.site import RUNBOOKS
from facility.sitefile.fields import (
    WHOLE,
    BlockMinutes,
    BrokerAddress,
    ClassError,
    Currency,
    Fee,
    HttpAddress,
    Id,
    Kilowatts,
    Level,
    MailAddress,
    Megawatts,
    Minutes,
    Name,
    Number,
    Percent,
    Racks,
    Seconds,
    Texts,
    Tick,
    Topic,
    Truth,
    WeekHours,
    When,
    Whole,
    Zone,
)


class Table(BaseModel):
    """A table of the site file: frozen, and with no keys but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False, defer_build=True)


class Pace(Protocol):
    """How often the points of a source are published: of a broker, or of an InfluxDB that others fill."""

    @property
    def name(self) -> str:
        """What the source is called in pages and figures."""
        ...

    @property
    def heartbeat_s(self) -> float:
        """How often each publisher's heartbeat comes [s]."""
        ...

    @property
    def repeat_s(self) -> float:
        """How often an unchanged value is repeated [s]."""
        ...

    @property
    def period_s(self) -> float:
        """How often a periodic value comes [s]."""
        ...

    @property
    def jitter_s(self) -> float | None:
        """How much later than that it may come [s]; None for half of it."""
        ...


class SiteTable(Table):
    """`[site]`: what holds for the whole site."""

    name: Name = Field(description="the site's name")
    timezone: Zone = Field("UTC", description="IANA zone in which contracts and blocks begin and end")
    firm_capacity_mw: Megawatts | None = Field(
        None, description="what the plant delivers with one unit lost [MW]"
    )
    supply_meters: list[Id] = Field(
        default_factory=list,
        description="meters that together measure all that the site takes: racks, losses, cooling",
    )
    rack_rating_kw: Kilowatts | None = Field(
        None, description="rating of each rack that no [[rack]] table rates [kW]"
    )
    rack_feeds: Whole = Field(2, ge=1, le=4, description="power feeds of each rack")
    rack_error_percent: ClassError | None = Field(
        None,
        description="class error of each rack's own meter, by which its readings become intervals; 0 where a"
        " contract is measured at it and no class is given [%]",
    )
    meter_tolerance_percent: Percent = Field(
        1.0,
        description="class error assumed for a meter without one, where it is compared with others [%]",
    )
    path_loss_percent: Percent = Field(
        1.5, description="the most that is lost between a parent meter and the racks [%]"
    )
    runbooks: str = Field(
        RUNBOOKS,
        description="where the rules' runbooks are, an address or a folder: a page names the file in it",
    )
    grafana: HttpAddress | None = Field(
        None,
        description="address of the Grafana that has the dashboards: each page links to the one it is about",
    )


class GridTable(Table):
    """`[grid]`: what the operator of the grid allows the site; the rules about the grid judge by it."""

    profile: Profile = Field(
        Profile.OWN, description="whose limits hold where none is set here; own for none but these"
    )
    nominal_hz: Annotated[Literal[50, 60], WHOLE] = Field(60, description="nominal frequency [Hz]")
    least_hz: Annotated[Number, Field(ge=40, le=60)] | None = Field(
        None, description="lowest frequency that is borne for ever, by default 58.8 of 60, 49 of 50 [Hz]"
    )
    most_hz: Annotated[Number, Field(ge=50, le=70)] | None = Field(
        None, description="highest frequency that is borne for ever, by default 61.2 of 60, 51 of 50 [Hz]"
    )
    ramp_window_s: Annotated[Literal[60, 600], WHOLE] | None = Field(
        None, description="over how long a ramp is taken, by default 60 [s]"
    )
    ramp_up_mw_per_min: Annotated[Number, Field(gt=0, le=100_000)] | None = Field(
        None, description="the fastest rise of the site's load [MW/min]"
    )
    ramp_down_mw_per_min: Annotated[Number, Field(gt=0, le=100_000)] | None = Field(
        None, description="the fastest fall of the site's load [MW/min]"
    )
    variation_window_s: Annotated[Literal[5, 15], WHOLE] | None = Field(
        None, description="over how long a variation is taken, by default 5 [s]"
    )
    variation_mw: Annotated[Number, Field(gt=0, le=100_000)] | None = Field(
        None, description="the largest variation of the site's load within that, peak to peak [MW]"
    )

    def grid(self) -> Grid:
        """Return the limits: those of the profile, with what is set here."""
        base = PROFILES[self.profile]
        if self.nominal_hz == 50:  # noqa: PLR2004 - the other nominal frequency
            base = replace(base, nominal_hz=50, least_hz=FIFTY_HZ[0], most_hz=FIFTY_HZ[1])
        own = self.model_dump(exclude={"profile", "nominal_hz"}, exclude_none=True)
        return replace(base, **own)


NAMES_PUBLISHERS: Final = frozenset({"dsx"})
"""The formats whose publishers a site file can name."""


class BrokerTable(Table):
    """`[[broker]]`: a bus to listen to."""

    url: BrokerAddress = Field(description="where the broker is")
    name: Name = Field("bus", description="what this bus is called in pages and figures")
    format: Literal["dsx", "rack-documents"] = Field("dsx", description="what is spoken on it")
    topics: list[Topic] | None = Field(None, description="topic filters, where not all of the format's")
    publishers: list[Level] | None = Field(
        None,
        description="who publishes on a DSX bus: PUB and the integrations; where not given, those that"
        " describe the site in the first minutes of the first start",
    )
    qos: Annotated[Literal[0, 1], WHOLE] = Field(1, description="the most that is asked of the broker")
    username: str | None = Field(None, description="user name")
    password_file: str | None = Field(None, description="file that holds the password")
    ca_file: str | None = Field(None, description="certificates to trust, where not the system's")
    cert_file: str | None = Field(None, description="our own certificate, where the broker wants one")
    key_file: str | None = Field(None, description="its private key, without a pass phrase")
    client_id: Name | None = Field(
        None, description="client id; by default one that is the installation's own, kept in the data folder"
    )
    keepalive_s: Annotated[Whole, Field(ge=2, le=600)] = Field(
        15, description="how soon a dead connection is noticed, half of it [s]"
    )
    session_expiry_s: Annotated[Whole, Field(ge=60, le=4_294_967_295)] = Field(
        86_400, description="how long the broker keeps what we miss [s]"
    )
    receive_maximum: Annotated[Whole, Field(ge=1, le=65_535)] = Field(
        5_000, description="messages that may be on their way to us unacknowledged"
    )
    queued_messages: Annotated[Whole, Field(ge=1, le=1_000_000_000)] | None = Field(
        None,
        description="messages that the broker keeps for us while we are away, as megawatch doctor measures;"
        " where it is not known, something may be missing after every break",
    )
    heartbeat_s: Seconds = Field(10, description="how often each publisher's heartbeat comes [s]")
    repeat_s: Seconds = Field(100, description="how often an unchanged value is repeated [s]")
    period_s: Seconds = Field(1, description="how often each rack document comes [s]")
    jitter_s: Annotated[Number, Field(ge=0, le=86_400)] | None = Field(
        None, description="how much later than that it may come, by default half of it [s]"
    )


class InfluxTable(Table):
    """`store.influxdb`: an InfluxDB to write to."""

    url: HttpAddress = Field(description="where InfluxDB is")
    org: str = Field("", description="organisation")
    bucket: str = Field("megawatch", description="bucket")
    token_file: str | None = Field(None, description="file that holds a token that may write")


class SeriesTable(Table):
    """`[[influxdb.series]]`: a field that holds one quantity, and the tag that names its asset."""

    measurement: str = Field(description="the measurement")
    field: str = Field(description="the field, which holds numbers")
    tag: str = Field(description="the tag that holds the id of the asset")
    asset: str = Field(
        "(.+)", description="the tag's whole value, a regular expression whose first group is the asset's id"
    )
    quantity: str = Field(description="the quantity, such as rack.power.active")
    unit: str = Field(description="the unit in which the field is written")
    kind: Name = Field("Rack", description="object type of the assets, such as Rack or PowerMeter")
    power_feed: str = Field("", description="which of an asset's power feeds it is of, where it is of one")
    where: Texts = Field(
        default_factory=dict,
        description="other tags and the value that each must have, where an asset has more than one series",
    )


class FeedTable(Table):
    """`[influxdb]`: an InfluxDB that other software fills, read where `rules.source` is "influxdb"."""

    url: HttpAddress = Field(description="where InfluxDB is")
    org: str = Field("", description="organisation")
    bucket: str = Field(description="bucket, or database and policy of an InfluxDB 1")
    token_file: str | None = Field(None, description="file that holds a token that may read")
    name: Name = Field("influxdb", description="what this source is called in pages and figures")
    poll_s: Annotated[Number, Field(ge=0.25, le=60)] = Field(1, description="how often it is asked [s]")
    delay_s: Annotated[Number, Field(ge=0, le=300)] = Field(
        11,
        description="how much later than its time a line may be stored: the flush interval of its "
        "writer, and a second; every judgement waits for so long [s]",
    )
    period_s: Seconds = Field(1, description="how often each reading comes [s]")
    jitter_s: Annotated[Number, Field(ge=0, le=86_400)] | None = Field(
        None, description="how much later than that it may come, by default half of it [s]"
    )
    repeat_s: Seconds = Field(100, description="after how long without any line a measurement is dead [s]")
    series: list[SeriesTable | None] = Field(default_factory=list, description="what is read from it")

    @property
    def heartbeat_s(self) -> float:
        """How often a heartbeat would come [s]; nothing in a database is one, so that of the DSX bus."""
        return 10.0

    @property
    def lateness_ms(self) -> int:
        """How long a judgement waits for readings on their way [ms]: the delay, and a poll."""
        return round((self.delay_s + self.poll_s) * 1_000)


class StoreTable(Table):
    """`[store]`: where readings are kept."""

    data_dir: str = Field("data", description="folder of the journal, the ledger and the history")
    influxdb: InfluxTable | None = Field(
        None, description="an InfluxDB to write to, instead of Parquet files in the data folder"
    )
    journal_hours: Annotated[Number, Field(gt=0, le=87_600)] = Field(
        48, description="how long the journal is kept [h]"
    )
    journal_gb: Annotated[Number, Field(gt=0, le=1_000_000)] = Field(
        50,
        description="how large it may grow; larger while the history or the rules lack something in it [GB]",
    )
    alarm_days: Annotated[Number, Field(ge=1, le=36_500)] = Field(
        1_100,
        description="how long an alarm that is over is kept, with its pages; longer where the journal is [d]",
    )
    seal_s: Seconds = Field(60, description="how often readings are sealed into Parquet files [s]")


class EngineTable(Table):
    """`[engine]`: the rhythm of judging."""

    tick_ms: Tick = Field(250, description="event time between two judgements; divides 1,000 [ms]")
    lateness_ms: Annotated[Whole, Field(ge=0, le=60_000)] = Field(
        250, description="how long a judgement waits for readings on their way [ms]"
    )
    settle_after_s: Seconds = Field(
        60, description="how long late readings are waited for before blocks close and the past is told [s]"
    )
    wait_for_silent_s: Seconds = Field(
        120, description="how long settling waits for a publisher that says nothing, or a slow clock [s]"
    )
    wait_for_broker_s: Seconds = Field(
        3_600, description="how long settling waits for what a broker may keep while we are away from it [s]"
    )
    snapshot_s: Seconds = Field(30, description="how often the engine's state is saved [s]")


class MetricsTable(Table):
    """`[metrics]`: figures for Prometheus, on loopback."""

    port: Annotated[Whole, Field(ge=0, le=65_532)] = Field(
        0,
        description="port of /metrics; 0 for none; with `--only`, the next three are those of the writer, the"
        " rules and the notifier",
    )


class SmtpTable(Table):
    """`[smtp]`: the mail server that pages are sent by."""

    host: str = Field("", description="its name")
    port: Annotated[Whole, Field(ge=1, le=65_535)] = Field(587, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection is kept secret"
    )
    username: str = Field("", description="who logs in; nobody where nothing is said")
    password_file: str | None = Field(None, description="file that holds the password")
    sender: MailAddress | None = Field(None, description="address that messages come from")


class HeartbeatTable(Table):
    """`[heartbeat]`: signs of life for a watchdog outside, while the monitor can judge and tell."""

    url_file: str | None = Field(None, description="file that holds the watchdog's address, a secret")
    every_s: Annotated[Number, Field(ge=1, le=3_600)] = Field(
        30, description="how often a sign is sent; the watchdog should wait for three [s]"
    )
    proxy: HttpAddress | None = Field(None, description="proxy on the way there")


class AcknowledgeTable(Table):
    """`[acknowledge]`: how acknowledgements come back, besides `megawatch ack`."""

    port: Annotated[Whole, Field(ge=0, le=65_535)] = Field(
        0, description="port on loopback of the signed links and of PagerDuty's webhook; 0 for neither"
    )
    url: HttpAddress | None = Field(
        None, description="address under which people reach that port; each page has a link then"
    )
    secret_file: str | None = Field(None, description="file that holds what signs the links")
    pagerduty_secret_file: str | None = Field(
        None, description="file that holds the secret of PagerDuty's webhook, which is sent to `/pagerduty`"
    )


class Rated(Table):
    """What an asset is rated, where a rule judges it."""

    rated_a: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="current that its circuit may carry, of a rack each feed [A]"
    )
    rated_kva: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="apparent power that it is rated for: of a UPS, a transformer, a generator [kVA]"
    )
    rated_kw: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="active power that it is rated for: of a UPS or a generator [kW]"
    )
    nominal_v: Annotated[Number, Field(gt=0, le=52_000)] | None = Field(
        None, description="nominal voltage from line to line [V]"
    )
    trip_ir_a: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="current setting Ir of its breaker's long-time unit, where it is not rated_a [A]"
    )
    trip_tr_s: Annotated[Number, Field(gt=0, le=600)] | None = Field(
        None, description="long-time delay tr of its breaker at six times Ir, where it trips by I²t [s]"
    )
    trip_pickup: Annotated[Number, Field(ge=1, le=1.5)] | None = Field(
        None,
        description="the multiple of Ir at which its breaker trips in the end, where it has a thermal image"
        " beside trip_tr_s",
    )
    rated_lpm: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="coolant flow that it is designed for [L/min]"
    )


class RackTable(Rated):
    """`[[rack]]`: racks that are alike."""

    ids: Racks = Field(description="which racks: ids or patterns such as 'A-{01..24}'")
    rating_kw: Kilowatts | None = Field(None, description="the most that each can draw [kW]")
    floor_percent: Percent = Field(
        0.0,
        description="the least that each draws, as a share of the rating, where that is proved [%]",
    )
    feeds: Annotated[Whole, Field(ge=1, le=4)] | None = Field(None, description="power feeds of each")
    error_percent: ClassError | None = Field(None, description="class error of each one's own meter [%]")
    live: Truth | None = Field(
        None, description="whether they are in operation; false for racks that must draw nothing"
    )


class RatedAsset(Rated):
    """What an asset of the plant is rated, where a rule judges it."""

    filter_clean_kpa: Annotated[Number, Field(gt=0, le=500)] | None = Field(
        None, description="pressure difference over its filter when that is clean, at design flow [kPa]"
    )
    pumps_needed: Annotated[Whole, Field(ge=1, le=100)] | None = Field(
        None, description="coolant pumps that it needs at full load; one more makes it redundant"
    )
    block_percent: Annotated[Number, Field(gt=0, le=100)] | None = Field(
        None,
        description="share of its rating that it may carry so that the other blocks can take its load: 75 in"
        " 4N3R, 66.7 in 3N2 [%]",
    )


class AssetTable(RatedAsset):
    """`[[asset]]`: a node of the graph that the bus does not tell."""

    id: Id = Field(description="the identity that the bus uses for it, where it has one")
    kind: Id = Field(description="object type, such as PowerMeter, Transformer, CDU or Room")
    name: str = Field("", description="what people call it")
    serves: list[str] = Field(default_factory=list, description="ids or patterns that it serves")
    error_percent: Percent | None = Field(
        None, description="class error of a meter; 100 for one that is not to be believed at all [%]"
    )


class HoldingTable(Table):
    """An entry of `tenant.holds`."""

    racks: Racks = Field(description="which racks: ids or patterns")
    starts: When = Field(alias="from", description="from when, a date or an instant")
    ends: When | None = Field(None, alias="to", description="until when, exclusive")


class LevelTable(Table):
    """An entry of `tenant.contract.ramp`."""

    starts: When = Field(alias="from", description="when the level is reached")
    committed_mw: Megawatts = Field(description="what may be drawn from then on [MW]")
    shape: Shape = Field(Shape.STEP, description="at once, or evenly from the level before")


class LimitTable(Table):
    """`tenant.contract.limit`: how the draw is judged."""

    method: Method = Field(Method.INSTANTANEOUS, description="which figure of the draw binds")
    minutes: BlockMinutes = Field(
        Decimal(15), description="length of a demand block, which divides a day [min]"
    )
    subinterval_minutes: Minutes = Field(
        Decimal(5), description="how far a rolling block slides: whole seconds that divide it [min]"
    )
    percentile: Percent = Field(95, description="which percentile binds [%]")
    sustain_s: Annotated[Number, Field(ge=0, le=86_400)] = Field(
        0, description="how long a draw stays above before it counts [s]"
    )
    warn_percent: Annotated[Number, Field(gt=0, le=100)] = Field(
        95, description="share of the limit at which the desk is warned [%]"
    )
    critical_percent: Annotated[Number, Field(ge=100, le=1_000)] = Field(
        120, description="share of the limit above which an overdraw is critical [%]"
    )
    tolerance_percent: Annotated[Number, Field(ge=0, le=10)] = Field(
        0, description="meter error that is granted before a breach [%]"
    )


class ContractTable(Table):
    """`[[tenant.contract]]`: a version, in force from its date."""

    starts: When = Field(alias="from", description="from when this version is in force")
    committed_mw: Megawatts = Field(description="what may be drawn once every ramp is over [MW]")
    ramp: list[LevelTable | None] = Field(
        default_factory=list,
        description="the way to the commitment; or, where its first level comes later than the version and "
        "all are higher, the way up from it",
    )
    limit: LimitTable = Field(
        default_factory=lambda: LimitTable.model_validate({}), description="how it is judged"
    )
    boundary: Boundary = Field(Boundary.RACK_INPUT, description="which points are summed")
    meters: list[Id] = Field(default_factory=list, description="meters of the boundary 'named_meters'")
    burst_mw: Megawatts = Field(Decimal(0), description="what may be drawn on top for a time [MW]")
    burst_minutes_per_month: Whole = Field(0, ge=0, le=44_640, description="for how long [min]")
    minimum_mw: Megawatts = Field(Decimal(0), description="what is paid for in any case [MW]")
    loss_factor: Annotated[Number, Field(ge=0.9, le=1.1)] = Field(
        1.0, description="power at the delivery point for one unit at the boundary"
    )
    rack_cap_kw: Kilowatts | None = Field(None, description="the most that one rack may draw [kW]")
    redundancy: Redundancy | None = Field(None, description="the scheme that is sold")
    ramp_rate_mw_per_min: Megawatts | None = Field(
        None, description="the fastest agreed change, up or down [MW/min]"
    )
    cure_hours: Annotated[Number, Field(ge=0, le=87_600)] = Field(
        24, description="time to put an overdraw right after notice [h]"
    )
    ends: When | None = Field(None, description="the last day, or the instant of the end")
    notice_days: Whole = Field(90, ge=0, le=36_525, description="days of notice to end it")
    notice_given: When | None = Field(None, description="when notice was given: a day counts from its end")
    monthly_fee: Fee | None = Field(None, description="what it costs a month")
    currency: Currency = Field("USD", description="ISO 4217 code")


class TenantTable(Table):
    """`[[tenant]]`: who is sold power."""

    id: Name = Field(description="the identity")
    name: str = Field("", description="what people call it")
    holds: list[HoldingTable | None] = Field(default_factory=list, description="what it holds and when")
    contract: list[ContractTable | None] = Field(default_factory=list, description="what it may draw")


class TargetTable(Table):
    """`route.to`: where a notification goes."""

    webhook: HttpAddress | None = Field(None, description="a receiver of signed JSON")
    secret_file: str | None = Field(None, description="file that holds the webhook's signing key")
    pagerduty: str | None = Field(
        None, description="file that holds the integration key of a PagerDuty service (Events API v2)"
    )
    pagerduty_api: HttpAddress = Field(
        "https://events.pagerduty.com",
        description="where PagerDuty is: https://events.eu.pagerduty.com in Europe",
    )
    alertmanager: list[HttpAddress] | None = Field(
        None, description="every replica of an Alertmanager (API v2)"
    )
    email: list[MailAddress] | None = Field(
        None, description="addresses of people; `[smtp]` says by which server"
    )
    slack: str | None = Field(None, description="file that holds the address of a Slack incoming webhook")
    teams: str | None = Field(None, description="file that holds the address of a Microsoft Teams workflow")
    apprise: str | None = Field(
        None, description="file that holds the address of a service by Apprise; needs the extra `apprise`"
    )
    proxy: HttpAddress | None = Field(
        None, description="proxy between the monitor and the receiver; the environment names none"
    )
    console: Truth = Field(False, description="the terminal of the monitor")  # noqa: FBT003


RECEIVERS: Final = ("webhook", "pagerduty", "alertmanager", "email", "slack", "teams", "apprise", "console")
"""The keys of `route.to` that each lead to a receiver."""


class RouteTable(Table):
    """`[[route]]`: which notifications go where."""

    to: TargetTable = Field(description="where they go")
    severity: list[Literal["critical", "high", "medium", "low", "info"]] | None = Field(
        None, description="of these severities"
    )
    desk: list[Literal["P1", "P2", "T", "C", "D"]] | None = Field(
        None, description="for these desks: pagers P1 and P2, tickets, contracts, data"
    )
    rule: list[str] | None = Field(None, description="of these rules")
    tenant: list[Name] | None = Field(
        None, description="about these tenants, or what keeps their alarms from being told"
    )
    asset: list[str] | None = Field(
        None, description="about these assets, or what they serve with power or cooling; patterns are allowed"
    )
    hours: list[WeekHours] | None = Field(
        None,
        description="only within these hours of the site's zone, such as `Mon-Fri 08:00-18:00`; what still"
        " stands and was not acknowledged is told when they begin",
    )
    unacknowledged_s: Annotated[Number, Field(ge=0, le=7 * 86_400)] = Field(
        0,
        description="only what was not acknowledged for so long after it was first told: an escalation [s]",
    )
    repeat_s: Annotated[Number, Field(ge=0, le=7 * 86_400)] = Field(
        0,
        description="told again after so long, until it is acknowledged or over; 0 for not [s]",
    )


class CanaryTable(Table):
    """`[canary]`: a contract of one watt that the monitor overdraws itself, to prove the way of a page."""

    to: TargetTable = Field(
        description="where its page goes, and no other: a receiver that does not page people"
    )
    broker: Name | None = Field(
        None, description="name of the broker that it is published at; else the first"
    )
    every_s: Annotated[Number, Field(ge=300, le=86_400)] = Field(
        600, description="how often it is overdrawn [s]"
    )
