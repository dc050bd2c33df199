"""Reading a site file: all of its faults at once, or the site.

`read_site` takes the text of a `site.toml` and gives a `SiteFile`, or raises one `SiteFileError` that
holds every fault. It opens no other file: where secrets live is said here and read at the rim.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

from facility.errors import Fault, SiteFileError
from facility.names import nearest
from facility.site import Site
from facility.sitefile.builder import Builder
from facility.sitefile.canary import canary_rack, canary_route, canary_tenant
from facility.sitefile.influxdb import patient, read_feed
from facility.sitefile.notes import Located
from facility.sitefile.tablereader import read_table, show
from facility.sitefile.tables import (
    AcknowledgeTable,
    AssetTable,
    BrokerTable,
    CanaryTable,
    EngineTable,
    FeedTable,
    GridTable,
    HeartbeatTable,
    MetricsTable,
    Pace,
    RackTable,
    RouteTable,
    SiteTable,
    SmtpTable,
    StoreTable,
    Table,
    TenantTable,
)

MOST_CHARACTERS = 8_000_000
"""The longest site file that is read: some 20,000 racks written out one by one."""

_TABLES: Final = (
    "site", "store", "engine", "metrics", "heartbeat", "canary", "acknowledge", "smtp", "broker",
    "influxdb", "grid", "rack", "asset", "tenant", "route", "rules",
)  # fmt: skip
SOURCE: Final = "source"
"""The key of `[rules]` that is no rule: what the rules judge."""
OVERRIDES: Final = "for"
"""The key of a rule under which tables stand: other parameters for some of its subjects."""

_TableType = TypeVar("_TableType", bound=Table)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """What a site file says.

    Attributes:
        site: Racks, tenants, contracts and the graph.
        brokers: The `[[broker]]` tables, one for each bus to listen to.
        feed: A foreign InfluxDB that readings are taken from, None for none.
        store: Where readings are kept.
        engine: The rhythm of judging; with a feed it waits for what that holds back.
        metrics: Figures for Prometheus.
        heartbeat: Signs of life for a watchdog outside.
        canary: What proves that pages come through; None where nothing does.
        acknowledge: How acknowledgements come back.
        smtp: The mail server.
        routes: Which notifications go where.
        rules: Parameters of rules, as written, by the rule's name; checked against the rules at the rim.
        warnings: What is allowed and worth a second look, one sentence each.
    """

    site: Site
    brokers: tuple[BrokerTable, ...]
    store: StoreTable
    engine: EngineTable
    metrics: MetricsTable
    heartbeat: HeartbeatTable
    canary: CanaryTable | None
    acknowledge: AcknowledgeTable
    smtp: SmtpTable
    routes: tuple[RouteTable, ...]
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    feed: FeedTable | None = None

    @property
    def sources(self) -> tuple[Pace, ...]:
        """Everything that readings come from: the brokers, and the feed where there is one."""
        return self.brokers if self.feed is None else (*self.brokers, self.feed)


def read_site(text: str, source: str = "site.toml") -> SiteFile:
    """Read a site file.

    Args:
        text: Content of the file, TOML.
        source: What to call the file in faults.

    Raises:
        SiteFileError: Where it has faults; the error holds all of them.
    """
    document = _parse(text, source)
    faults = _unknown_tables(document)
    table = read_table(document.get("site", {}), SiteTable, "site", faults)
    store = read_table(document.get("store", {}), StoreTable, "store", faults)
    engine = read_table(document.get("engine", {}), EngineTable, "engine", faults)
    metrics = read_table(document.get("metrics", {}), MetricsTable, "metrics", faults)
    heartbeat = read_table(document.get("heartbeat", {}), HeartbeatTable, "heartbeat", faults)
    acknowledge = read_table(document.get("acknowledge", {}), AcknowledgeTable, "acknowledge", faults)
    smtp = read_table(document.get("smtp", {}), SmtpTable, "smtp", faults)
    canary = read_table(document["canary"], CanaryTable, "canary", faults) if "canary" in document else None
    grid = read_table(document["grid"], GridTable, "grid", faults) if "grid" in document else None
    brokers = _array(document, "broker", BrokerTable, faults)
    racks = _array(document, "rack", RackTable, faults)
    assets = _array(document, "asset", AssetTable, faults)
    tenants = _array(document, "tenant", TenantTable, faults)
    routes = _array(document, "route", RouteTable, faults)
    if canary is not None:
        racks.append(Located("canary", canary_rack()))
        tenants.append(Located("canary", canary_tenant()))
        routes.append(Located("canary", canary_route(canary)))
    rules = _rules(document.get("rules", {}), faults)
    is_fed = _is_fed(document.get("rules", {}), faults)
    feed = read_feed(document.get("influxdb"), faults, is_wanted=is_fed)
    builder = Builder(faults)
    site = builder.build(table, racks=racks, assets=assets, tenants=tenants, grid=grid)
    builder.check_brokers(brokers)
    builder.check_routes(routes, tenants)
    if feed is not None:
        builder.check_feed(brokers, is_read=is_fed)
    if smtp is not None:
        builder.check_mail(routes, smtp)
    if canary is not None:
        builder.check_canary(canary, brokers)
    if acknowledge is not None:
        builder.check_acknowledge(acknowledge)
    if faults or not (site and store and engine and metrics and heartbeat and acknowledge and smtp):
        raise SiteFileError(source, tuple(faults))
    return SiteFile(
        site=site,
        brokers=tuple(located.table for located in brokers),
        store=store,
        engine=engine if feed is None or not is_fed else patient(engine, feed),
        metrics=metrics,
        heartbeat=heartbeat,
        canary=canary,
        acknowledge=acknowledge,
        smtp=smtp,
        routes=tuple(located.table for located in routes),
        rules=rules,
        warnings=tuple(builder.notes.warnings),
        feed=feed if is_fed else None,
    )


def _parse(text: str, source: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        found = f"{len(text)} characters"
        raise SiteFileError(source, (Fault(path="file", expected=f"at most {MOST_CHARACTERS}", found=found),))
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except RecursionError:
        found = "brackets that are nested too deeply"
    except tomllib.TOMLDecodeError as error:
        found = str(error)
    except (ArithmeticError, ValueError):
        found = "a number or a date that is none"
    raise SiteFileError(source, (Fault(path="file", expected="a TOML document", found=found),))


def _unknown_tables(document: Mapping[str, Any]) -> list[Fault]:
    return [
        Fault(
            path=show(key)[1:-1] or '""',
            expected=f"one of the tables {', '.join(_TABLES)}",
            found=show(key),
            hint=nearest(key, _TABLES),
        )
        for key in document
        if key not in _TABLES
    ]


def _array(
    document: Mapping[str, Any], key: str, model: type[_TableType], faults: list[Fault]
) -> list[Located[_TableType]]:
    value = document.get(key, [])
    if not isinstance(value, list):
        faults.append(Fault(path=key, expected=f"tables, written [[{key}]]", found=show(value)))
        return []
    read = ((f"{key}[{i}]", read_table(v, model, f"{key}[{i}]", faults)) for i, v in enumerate(value))
    return [Located(path, table) for path, table in read if table is not None]


def _rules(value: object, faults: list[Fault]) -> dict[str, dict[str, Any]]:
    """Return the parameters of rules as plain values; which there are, only the rules know."""
    if not isinstance(value, dict):
        faults.append(Fault(path="rules", expected="tables such as [rules.C2]", found=show(value)))
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name, table in value.items():
        if name == SOURCE:
            continue
        path = f"rules.{show(name)[1:-1]}"
        if not isinstance(table, dict):
            faults.append(Fault(path=path, expected="a table of parameters", found=show(table)))
            continue
        found[name] = {key: _plain(entry) for key, entry in table.items()}
        faults += [
            Fault(path=f"{path}.{show(key)[1:-1]}", expected="a single value", found=show(entry))
            for key, entry in table.items()
            if isinstance(entry, (dict, list)) and not (key == OVERRIDES and isinstance(entry, list))
        ]
    return found


def _is_fed(rules: object, faults: list[Fault]) -> bool:
    """Tell whether the rules judge readings from a foreign InfluxDB."""
    source = rules.get(SOURCE, "journal") if isinstance(rules, dict) else "journal"
    if source not in ("journal", "influxdb"):
        hint = nearest(source, ("journal", "influxdb")) if isinstance(source, str) else ""
        expected = "'journal' or 'influxdb'"
        faults.append(Fault(path=f"rules.{SOURCE}", expected=expected, found=show(source), hint=hint))
    return bool(source == "influxdb")


def _plain(value: object) -> object:
    """Return a value without decimals, and the values of a list of tables."""
    if isinstance(value, list):
        return [
            {key: _number(entry) for key, entry in table.items()} if isinstance(table, dict) else table
            for table in value
        ]
    return _number(value)


def _number(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value
