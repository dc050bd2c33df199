"""The dashboard of the monitor itself: whether every reading arrives, in time, and what it costs."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana import style
from grafana.frame import dashboard_of
from grafana.influxql import LATELY, RECENT, over_time
from grafana.panels import Column, Influx, Panel
from grafana.schema import DEAD, HEALTH


def _now(select: str) -> Influx:
    return Influx(f"SELECT {select} FROM {HEALTH} WHERE {RECENT}", alias="$col")


def _line(select: str) -> Influx:
    return Influx(over_time(select, HEALTH, LATELY), alias="$col")


def _rate(field: str, name: str = "") -> str:
    return f'non_negative_derivative(last("{field}"), 1s) AS "{name or field}"'


_UNACCOUNTED = " - ".join(
    f'last("{name}")' for name in ("received", "stored", "dead_lettered", "duplicates", "waiting")
)


PANELS: Final = (
    Panel(
        id=1,
        kind="stat",
        title="Readings lost",
        description="What was received and is neither stored, refused, a duplicate nor waiting:"
        " anything but zero is"
        " a fault of the monitor.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        queries=[_now(f'{_UNACCOUNTED} AS "lost"')],
        size=(5, 4),
    ),
    Panel(
        id=2,
        kind="stat",
        title="Rules behind",
        description="How far the judgement of rules is behind the clock.",
        unit=style.SECONDS,
        decimals=1,
        steps=style.LAG,
        queries=[_now('last("rules_lag_s") AS "rules"')],
        size=(5, 4),
    ),
    Panel(
        id=3,
        kind="stat",
        title="Database behind",
        description="How far what is in the database is behind what was received.",
        unit=style.SECONDS,
        decimals=1,
        steps=style.LAG,
        queries=[_now('last("influx_lag_s") AS "database"')],
        size=(5, 4),
    ),
    Panel(
        id=4,
        kind="stat",
        title="Brokers not connected",
        description="How many brokers of the site file the monitor is not connected to.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        queries=[_now('last("brokers") - last("brokers_connected") AS "away"')],
        size=(5, 4),
    ),
    Panel(
        id=5,
        kind="stat",
        title="Pages not delivered",
        description="How many notifications wait in the outbox.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        queries=[_now('last("undelivered") AS "waiting"')],
        size=(4, 4),
    ),
    Panel(
        id=6,
        kind="timeseries",
        title="Readings a second",
        description="Readings received, stored, refused and found to be duplicates, each second.",
        unit=style.PER_SECOND,
        low=0,
        columns=[
            Column(name="received", colour=style.BLUE, more={"custom.lineWidth": 2}),
            Column(name="stored", colour=style.SKY),
            Column(name="refused", colour=style.VERMILION),
            Column(name="duplicates", colour=style.ORANGE),
        ],
        queries=[
            _line(
                f"{_rate('received')}, {_rate('stored')}, {_rate('dead_lettered', 'refused')},"
                f" {_rate('duplicates')}"
            )
        ],
        size=(12, 9),
    ),
    Panel(
        id=7,
        kind="timeseries",
        title="Behind",
        description="How far rules and database are behind, and how long the canary's page took; the most of"
        " each step.",
        unit=style.SECONDS,
        low=0,
        steps=style.LAG,
        columns=[
            Column(name="rules", colour=style.BLUE),
            Column(name="database", colour=style.ORANGE),
            Column(name="page of the canary", colour=style.SKY),
        ],
        queries=[
            _line(
                'max("rules_lag_s") AS "rules", max("influx_lag_s") AS "database",'
                ' max("canary_delay_s") AS "page of the canary"'
            )
        ],
        size=(12, 9),
    ),
    Panel(
        id=8,
        kind="timeseries",
        title="Refused, by reason",
        description="Messages and readings that were refused, each second, by the reason.",
        unit=style.PER_SECOND,
        low=0,
        none="nothing was ever refused",
        queries=[
            Influx(
                over_time('non_negative_derivative(last("count"), 1s)', DEAD, LATELY, "reason"),
                alias="$tag_reason",
            )
        ],
        size=(12, 9),
    ),
    Panel(
        id=9,
        kind="timeseries",
        title="Waiting",
        description="Readings received and not yet stored, entries that the database has not got"
        " yet, and pages not"
        " delivered.",
        unit=style.COUNT,
        low=0,
        decimals=0,
        columns=[
            Column(name="readings", colour=style.BLUE),
            Column(name="for the database", colour=style.ORANGE),
            Column(name="pages", colour=style.VERMILION),
        ],
        queries=[
            _line(
                'max("waiting") AS "readings", max("influx_lag_entries") AS "for the database",'
                ' max("undelivered") AS "pages"'
            )
        ],
        size=(12, 9),
    ),
    Panel(
        id=10,
        kind="timeseries",
        title="Processor",
        description="The share of one core that the monitor uses, and its stages: reading and decoding, the"
        " journal, judging, shipping.",
        unit=style.SHARE,
        low=0,
        steps=style.CLOCK,
        columns=[
            Column(name="all", colour=style.BLUE, more={"custom.lineWidth": 2}),
            Column(name="read", colour=style.SKY),
            Column(name="append", colour=style.GREEN),
            Column(name="judge", colour=style.ORANGE),
            Column(name="ship", colour=style.VERMILION),
        ],
        queries=[
            _line(
                f"{_rate('cpu_s', 'all')}, {_rate('cpu_read_s', 'read')}, {_rate('cpu_append_s', 'append')},"
                f" {_rate('cpu_judge_s', 'judge')}, {_rate('cpu_ship_s', 'ship')}"
            )
        ],
        size=(12, 8),
    ),
    Panel(
        id=11,
        kind="timeseries",
        title="Memory",
        description="The memory that the monitor holds.",
        unit=style.BYTES,
        low=0,
        queries=[_line('max("memory_bytes") AS "memory"')],
        size=(12, 8),
    ),
)
"""Its panels."""


def dashboard() -> build.Dashboard:
    """Return the dashboard."""
    return dashboard_of(
        "pipeline",
        "The monitor itself: readings in and stored, how far behind, what was refused, what it costs.",
        PANELS,
    )
