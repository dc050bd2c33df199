"""The dashboard of the power chain: how loaded each meter is, phase by phase."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana import style
from grafana.frame import Choice, alarms_of, dashboard_of, to_meter
from grafana.influxql import LAST_HOUR, RANGE, RECENT, joined, last, last_minute, matches, options, over_time
from grafana.panels import Column, Influx, Panel, gauge, words
from grafana.schema import FEED, MINUTE, READING, of

_METER = matches("asset", "meter")
METER = Choice(
    name="meter",
    label="Meter",
    query=options("asset", READING, "\"quantity\" = 'current.limit'"),
)

_CURRENTS = (
    last_minute("amps", "max", "current", "asset", "point"),
    last_minute("amps", "max", "current.phase", "asset", "point"),
    last_minute("limit", "last", "current.limit", "asset"),
)
LOAD = joined('max("amps") / max("limit") AS "load"', *_CURRENTS, where='"load" >= 0')
"""The highest line current of every meter that knows its limit, as a share of that limit."""
LOADS = joined(
    'max("amps") / max("limit") AS "load", max("amps") AS "amps", max("limit") AS "limit",'
    ' max("limit") - max("amps") AS "headroom", max("kw") AS "kw"',
    *_CURRENTS,
    last_minute("kw", "mean", "meter.power.active", "asset"),
    where='"load" >= 0',
)
"""The same with what it is made of, and the meter's power."""
LOAD_COLUMNS = (
    words("asset", "Meter", to_meter()),
    gauge("load", "Load", style.LOAD),
    Column(name="headroom", title="Left", unit=style.AMPERE),
    Column(name="amps", title="Highest phase", unit=style.AMPERE),
    Column(name="limit", title="Limit", unit=style.AMPERE),
    Column(name="kw", title="Power", unit=style.KILOWATT),
)

_PHASES = last_minute("amps", "mean", "current.phase", "asset", "phase")
_DEVIATION = '(max("amps") - mean("amps")) / mean("amps") AS "unbalance"'
UNBALANCE = joined(_DEVIATION, _PHASES)
"""The largest deviation of a phase current upwards from the mean of the three, of every meter with phases."""
UNBALANCES = joined(f'{_DEVIATION}, mean("amps") AS "mean"', _PHASES)
"""The same with the mean."""


_OFF_MEAN = (
    '(max("max") - mean("mean")) / mean("mean") AS "rise",'
    ' (mean("mean") - min("min")) / mean("mean") AS "fall"'
)
VOLTAGES = (
    f'SELECT max("rise") AS "above", max("fall") AS "below" FROM (SELECT {_OFF_MEAN} FROM {MINUTE}'
    f' WHERE {of("voltage.ll")} AND {LAST_HOUR} GROUP BY "asset", "point") WHERE {LAST_HOUR}'
)
"""The furthest that voltages went up and down, whatever their level in the power chain."""
_ALONE = (
    'SELECT last("alone_amps") / last("limit_amps") AS "share", last("alone_amps") AS "amps",'
    ' last("limit_amps") - last("alone_amps") AS "left", last("limit_amps") AS "limit",'
    f' last("metered_kw") AS "now", last("racks_kw") AS "alone" FROM {FEED} WHERE {RECENT} GROUP BY "asset"'
)
FAILOVER = f'SELECT * FROM ({_ALONE}) WHERE "share" >= 0 AND {RECENT} GROUP BY "asset"'
"""What every meter that knows its limit would carry were all other feeds of its racks lost. Of a meter that
carries nothing now it is not known."""


def _line(select: str, quantity: str, *by: str, ref: str = "A", alias: str = "$col") -> Influx:
    where = f"{of(quantity)} AND {_METER} AND {RANGE}"
    return Influx(over_time(select, MINUTE, where, *by), ref, alias=alias)


PANELS: Final = (
    Panel(
        id=1,
        kind="stat",
        title="Most loaded meter",
        description="The highest phase current of any meter in its last minute, as a share of its limit.",
        unit=style.SHARE,
        decimals=1,
        steps=style.LOAD,
        queries=[Influx(f'SELECT max("load") AS "load" FROM ({LOAD}) WHERE {RECENT}', alias="$col")],
        size=(6, 4),
    ),
    Panel(
        id=2,
        kind="stat",
        title="Largest unbalance of currents",
        description="The largest deviation of a phase current from the mean of its meter's three,"
        " as a share of it.",
        unit=style.SHARE,
        decimals=1,
        steps=style.UNBALANCE,
        queries=[
            Influx(f'SELECT max("unbalance") AS "unbalance" FROM ({UNBALANCE}) WHERE {RECENT}', alias="$col")
        ],
        size=(6, 4),
    ),
    Panel(
        id=3,
        kind="stat",
        title="Frequency",
        description="The lowest and the highest frequency that any meter shows.",
        unit=style.HERTZ,
        decimals=2,
        queries=[
            Influx(
                'SELECT min("hz") AS "lowest", max("hz") AS "highest" FROM'
                f" ({last('hz', 'frequency', 'asset')})"
                f" WHERE {RECENT}",
                alias="$col",
            )
        ],
        size=(6, 4),
    ),
    Panel(
        id=4,
        kind="stat",
        title="Voltage off its mean",
        description="How far any meter's line-to-line voltage rose above its own mean of the last hour of the"
        " range, and fell below it.",
        unit=style.SHARE,
        decimals=1,
        steps=style.VOLTAGE,
        queries=[Influx(VOLTAGES, alias="$col")],
        size=(6, 4),
    ),
    Panel(
        id=5,
        kind="table",
        title="Meters by load",
        description="The highest phase current of every meter in its last minute against its limit: the first"
        " is the one whose breaker would trip first.",
        unit=style.AMPERE,
        decimals=1,
        sort="load",
        hidden=["Time"],
        columns=LOAD_COLUMNS,
        queries=[Influx(LOADS, is_table=True)],
        size=(14, 11),
    ),
    Panel(
        id=6,
        kind="table",
        title="Unbalance of currents",
        description="How far a phase current deviates from the mean of its meter's three, the"
        " furthest first.",
        unit=style.SHARE,
        decimals=1,
        sort="unbalance",
        hidden=["Time"],
        columns=[
            words("asset", "Meter", to_meter()),
            Column(name="unbalance", title="Unbalance", steps=style.UNBALANCE),
            Column(name="mean", title="Mean of phases", unit=style.AMPERE),
        ],
        queries=[Influx(UNBALANCES, is_table=True)],
        size=(10, 11),
    ),
    Panel(
        id=11,
        kind="table",
        title="If the other feed were lost",
        description="What each meter would carry if its racks drew everything from it, the one nearest to its"
        " limit first.",
        unit=style.AMPERE,
        decimals=1,
        sort="share",
        hidden=["Time"],
        columns=[
            words("asset", "Meter", to_meter()),
            gauge("share", "Load alone", style.LOAD),
            Column(name="left", title="Left", steps=style.HEADROOM),
            Column(name="amps", title="Highest phase alone"),
            Column(name="limit", title="Limit"),
            Column(name="now", title="Carries now", unit=style.KILOWATT),
            Column(name="alone", title="Its racks draw", unit=style.KILOWATT),
        ],
        queries=[Influx(FAILOVER, is_table=True)],
        size=(24, 10),
    ),
    Panel(
        id=7,
        kind="timeseries",
        title="Currents of the meter",
        description="The highest current of each minute, by phase where there are phases, and the"
        " meter's limit.",
        unit=style.AMPERE,
        low=0,
        columns=[Column(name="limit", colour=style.VERMILION, more={"custom.lineWidth": 2})],
        queries=[
            _line('max("max")', "current.phase", "phase", alias="phase $tag_phase"),
            _line('max("max") AS "highest"', "current", ref="B"),
            _line('last("last") AS "limit"', "current.limit", ref="C"),
        ],
        size=(12, 9),
    ),
    Panel(
        id=8,
        kind="timeseries",
        title="Power of the meter",
        description="Active power, the mean and the highest of each minute, beside what all its racks draw"
        " from whatever feed.",
        unit=style.KILOWATT,
        columns=[
            Column(name="mean", colour=style.BLUE),
            Column(name="highest", colour=style.SKY),
            Column(name="its racks", colour=style.GREY),
        ],
        queries=[
            _line('mean("mean") AS "mean", max("max") AS "highest"', "meter.power.active"),
            Influx(
                over_time('mean("racks_kw") AS "its racks"', FEED, f"{_METER} AND {RANGE}"), "B", alias="$col"
            ),
        ],
        size=(12, 9),
    ),
    Panel(
        id=9,
        kind="timeseries",
        title="Voltage of the meter",
        decimals=1,
        description="Line-to-line voltage, the lowest and the highest of each minute.",
        unit=style.VOLT,
        columns=[Column(name="lowest", colour=style.BLUE), Column(name="highest", colour=style.SKY)],
        queries=[_line('min("min") AS "lowest", max("max") AS "highest"', "voltage.ll")],
        size=(12, 8),
    ),
    Panel(
        id=10,
        kind="timeseries",
        title="How much of it was heard",
        description="The share of each minute in which the meter's power was known.",
        unit=style.SHARE,
        low=0,
        steps=style.COVERAGE,
        queries=[_line('min("coverage") AS "coverage"', "meter.power.active")],
        size=(12, 8),
    ),
)
"""Its panels."""


def dashboard() -> build.Dashboard:
    """Return the dashboard."""
    return dashboard_of(
        "power",
        "The power chain: load of every meter against its limit, phases, unbalance, voltage.",
        PANELS,
        choices=[METER],
        annotations=[alarms_of(matches("subject", "meter"))],
    )
