"""The dashboard of one rack: everything of it on one page."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana import style
from grafana.frame import (
    HALL,
    RACK,
    ROW,
    Choice,
    alarms_of,
    dashboard_of,
    its_alarms,
    to_meter,
)
from grafana.influxql import LATELY, RANGE, RECENT, joined, last, matches, options, over_time
from grafana.panels import Column, Influx, Panel, band, words
from grafana.schema import MEASURED, MINUTE, READING, of

_RACK = matches("asset", "rack")
_SUBJECT = matches("subject", "rack")
METERS = Choice(
    name="meter",
    label="Its meters",
    # The bus tells which meter serves which rack, and no series does: meters whose id holds the rack's.
    query=options("asset", READING, '"quantity" = \'meter.power.active\' AND "asset" =~ /${rack:regex}/'),
    has_all=True,
)
_ITS_METERS = '"asset" =~ /^${meter:regex}$/ AND "asset" =~ /${rack:regex}/'


def _line(select: str, quantity: str, ref: str = "A") -> Influx:
    return Influx(over_time(select, MINUTE, f"{of(quantity)} AND {_RACK} AND {RANGE}"), ref, alias="$col")


def _feed(select: str, quantity: str, ref: str = "A", alias: str = "$tag_asset") -> Influx:
    where = f"{of(quantity)} AND {_ITS_METERS} AND {RANGE}"
    return Influx(over_time(select, MINUTE, where, "asset"), ref, alias=alias)


_FEEDS: Final = (
    Column(name="/^(?!limit).*A$/", colour=style.BLUE),
    Column(name="/^(?!limit).*B$/", colour=style.ORANGE),
)
"""Feeds A and B, where meters' ids end with their letter."""


PANELS: Final = (
    Panel(
        id=1,
        kind="stat",
        title="Power",
        description="The last power that the rack's own meter showed.",
        unit=style.KILOWATT,
        decimals=1,
        queries=[Influx(last("power", "rack.power.active", "asset", where=_RACK), alias="power")],
        size=(5, 4),
    ),
    Panel(
        id=2,
        kind="stat",
        title="Last heard",
        description="When the rack's power was last heard.",
        unit=style.SINCE,
        shows="Time",
        queries=[
            Influx(
                f'SELECT last("value") AS "power" FROM {READING} WHERE {of("rack.power.active")} AND {_RACK}'
                f" AND {LATELY}",
                is_table=True,
            )
        ],
        size=(5, 4),
    ),
    Panel(
        id=3,
        kind="stat",
        title="Most loaded of its meters",
        description="The highest phase current of the meters that feed it, as a share of that meter's limit.",
        unit=style.SHARE,
        decimals=1,
        steps=style.LOAD,
        queries=[
            Influx(
                joined(
                    'max("load") AS "load"',
                    joined(
                        'max("amps") / max("limit") AS "load"',
                        last("amps", "current", "asset", "point", where=_ITS_METERS),
                        last("amps", "current.phase", "asset", "point", where=_ITS_METERS),
                        last("limit", "current.limit", "asset", where=_ITS_METERS),
                    ),
                    by=(),
                ),
                alias="$col",
            )
        ],
        size=(5, 4),
    ),
    Panel(
        id=4,
        kind="stat",
        title="Flow per kilowatt",
        description="Coolant flow for each kilowatt that the rack draws.",
        unit=style.FLOW_PER_POWER,
        decimals=2,
        steps=style.FLOW,
        none="no coolant",
        queries=[
            Influx(
                joined(
                    'max("flow") / max("kw") AS "flow"',
                    last("flow", "rack.coolant.flow", "asset", where=_RACK),
                    last("kw", "rack.power.active", "asset", where=_RACK),
                ),
                alias="$col",
            )
        ],
        size=(5, 4),
    ),
    Panel(
        id=5,
        kind="stat",
        title="Leak",
        description="How many of the rack's leak sensors see coolant.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        none="no sensor",
        queries=[
            Influx(
                f'SELECT sum("wet") AS "leaks" FROM ({last("wet", "leak", "point", where=_RACK)})'
                f" WHERE {RECENT}",
                alias="$col",
            )
        ],
        size=(4, 4),
    ),
    Panel(
        id=6,
        kind="timeseries",
        title="Power of the rack",
        description="The mean of each minute, between its lowest and its highest second.",
        unit=style.KILOWATT,
        low=0,
        columns=[
            *band("highest", "lowest"),
            Column(name="mean", colour=style.BLUE, more={"custom.lineWidth": 2}),
        ],
        queries=[
            _line('max("max") AS "highest"', "rack.power.active", "A"),
            _line('min("min") AS "lowest"', "rack.power.active", "B"),
            _line('mean("mean") AS "mean"', "rack.power.active", "C"),
        ],
        size=(12, 9),
    ),
    Panel(
        id=7,
        kind="timeseries",
        title="Power by feed",
        description="Active power of the meters that feed it, the mean of each minute.",
        unit=style.KILOWATT,
        low=0,
        columns=_FEEDS,
        queries=[_feed('mean("mean")', "meter.power.active")],
        size=(12, 9),
    ),
    Panel(
        id=8,
        kind="timeseries",
        title="Current by feed",
        description="The highest current of each minute of the meters that feed it, and their limits.",
        unit=style.AMPERE,
        low=0,
        columns=[Column(name="/^limit of/", colour=style.VERMILION), *_FEEDS],
        queries=[
            _feed('max("max")', "current"),
            _feed('last("last")', "current.limit", "B", "limit of $tag_asset"),
        ],
        size=(12, 9),
    ),
    Panel(
        id=9,
        kind="timeseries",
        title="Voltage by feed",
        decimals=1,
        description="The lowest voltage of each minute of the meters that feed it.",
        unit=style.VOLT,
        columns=_FEEDS,
        queries=[_feed('min("min")', "voltage.ll")],
        size=(12, 9),
    ),
    Panel(
        id=10,
        kind="timeseries",
        title="Coolant temperatures",
        description="Supply and return of the rack's coolant, the mean of each minute.",
        unit=style.CELSIUS,
        columns=[Column(name="supply", colour=style.BLUE), Column(name="return", colour=style.VERMILION)],
        queries=[
            _line('mean("mean") AS "supply"', "coolant.supply", "A"),
            _line('mean("mean") AS "return"', "coolant.return", "B"),
        ],
        size=(12, 8),
    ),
    Panel(
        id=11,
        kind="timeseries",
        title="Coolant flow",
        description="The rack's coolant flow, the mean and the lowest of each minute.",
        unit=style.LITRES,
        low=0,
        columns=[Column(name="mean", colour=style.BLUE), Column(name="lowest", colour=style.SKY)],
        queries=[_line('mean("mean") AS "mean", min("min") AS "lowest"', "rack.coolant.flow")],
        size=(12, 8),
    ),
    Panel(
        id=12,
        kind="table",
        title="Every point of the rack and its meters",
        description="The last value of each, in its canonical unit, and when it was measured.",
        unit=style.COUNT,
        sort="quantity",
        columns=[
            words("asset", "Asset", to_meter()),
            words("quantity", "Quantity"),
            words("area", "Area"),
            Column(name="value", title="Value", unit=style.COUNT, more={"decimals": 2}),
            Column(name="Time", title="Measured", unit=style.WHEN),
            words("point", "Point"),
        ],
        queries=[
            Influx(
                f'SELECT last("value") AS "value" FROM {READING} WHERE "asset" =~'
                f" /${{rack:regex}}/ AND {MEASURED}"
                f' AND {LATELY} GROUP BY "asset", "quantity", "area", "point"',
                is_table=True,
            )
        ],
        size=(14, 10),
    ),
    its_alarms(13, "rack", _SUBJECT, (10, 10)),
)
"""Its panels."""


def dashboard() -> build.Dashboard:
    """Return the dashboard."""
    return dashboard_of(
        "rack",
        "Everything of one rack: power by feed, currents, coolant, every point, its alarms.",
        PANELS,
        choices=[HALL, ROW, RACK, METERS],
        annotations=[alarms_of(_SUBJECT)],
    )
