"""The dashboard of one tenant: its draw, its limit, its demand blocks."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana import style
from grafana.frame import TENANT, alarms_of, dashboard_of, its_alarms, link, open_alarms, to_rack
from grafana.influxql import EVER, LATELY, NOW, RANGE, RECENT, matches, over_time
from grafana.panels import Column, Influx, Panel, bounds, words
from grafana.schema import DRAW, DRAW_MINUTE, DRAW_QUARTER, RACK

_ITS = matches("tenant", "tenant")
_SUBJECT = matches("subject", "tenant")


def _now(select: str) -> Influx:
    return Influx(f"SELECT {select} FROM {DRAW} WHERE {_ITS} AND {NOW}", alias="$col")


def _line(select: str, ref: str) -> Influx:
    return Influx(over_time(select, DRAW, f"{_ITS} AND {LATELY}"), ref, alias="$col")


def _mean(select: str, ref: str) -> Influx:
    return Influx(over_time(select, DRAW_MINUTE, f"{_ITS} AND {RANGE}"), ref, alias="$col")


PANELS: Final = (
    Panel(
        id=1,
        kind="stat",
        title="Draw",
        description="The best estimate of what the tenant draws.",
        unit=style.MEGAWATT,
        decimals=3,
        queries=[_now('last("best_mw") AS "draw"')],
        size=(4, 4),
    ),
    Panel(
        id=2,
        kind="stat",
        title="Limit in force",
        description="What its contract lets it draw at this moment.",
        unit=style.MEGAWATT,
        decimals=3,
        none="no contract",
        queries=[_now('last("limit_mw") AS "limit"')],
        size=(4, 4),
    ),
    Panel(
        id=3,
        kind="stat",
        title="Drawn of limit",
        description="The best estimate of the draw as a share of the limit in force.",
        unit=style.SHARE,
        decimals=1,
        steps=style.AGAINST_LIMIT,
        none="no contract",
        queries=[_now('last("best_mw") / last("limit_mw") AS "share"')],
        size=(4, 4),
    ),
    Panel(
        id=4,
        kind="stat",
        title="Headroom for certain",
        description="The limit less the upper bound of the draw: negative where keeping it can"
        " not be proved.",
        unit=style.MEGAWATT,
        decimals=3,
        steps=style.HEADROOM,
        none="no contract",
        queries=[_now('last("headroom_mw") AS "headroom"')],
        size=(4, 4),
    ),
    Panel(
        id=5,
        kind="stat",
        title="Coverage",
        description="The share of its rating that fresh readings cover; below 80 % no sum is valid.",
        unit=style.SHARE,
        decimals=1,
        steps=style.COVERAGE,
        queries=[_now('last("coverage") AS "coverage"')],
        size=(4, 4),
    ),
    Panel(
        id=6,
        kind="stat",
        title="Open alarms",
        description="Alarms about this tenant that opened and have not returned, by severity.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        none="none",
        link=("Alarms", link("alarms")),
        queries=[
            Influx(
                f'SELECT count("id") AS "open" FROM ({open_alarms(_SUBJECT)})'
                f' WHERE "change" != \'returned\' AND {EVER} GROUP BY "severity"',
                alias="$tag_severity",
            )
        ],
        size=(4, 4),
    ),
    Panel(
        id=7,
        kind="timeseries",
        title="Draw against the limit",
        description="The draw between the bounds of what is certain, and the limit in force with"
        " its steps and"
        " ramps; the last six hours of the range.",
        unit=style.MEGAWATT,
        low=0,
        columns=bounds("limit", **{"custom.lineInterpolation": "stepAfter"}),
        queries=[
            _line('mean("best_mw") AS "draw"', "A"),
            _line('max("high_mw") AS "at most"', "B"),
            _line('min("low_mw") AS "at least"', "C"),
            _line('last("limit_mw") AS "limit"', "D"),
        ],
        size=(24, 10),
    ),
    Panel(
        id=8,
        kind="timeseries",
        title="Demand block",
        description="The mean of the block so far, its forecast at the end and its limit, beside"
        " the draw itself:"
        " contracts that bind every moment have the draw only; the last six hours of the range.",
        unit=style.MEGAWATT,
        low=0,
        columns=[
            Column(name="draw", colour=style.GREY),
            Column(name="block so far", colour=style.BLUE, more={"custom.lineWidth": 2}),
            Column(
                name="forecast",
                colour=style.ORANGE,
                more={"custom.lineStyle": {"fill": "dash", "dash": [8, 6]}},
            ),
            Column(name="block limit", colour=style.VERMILION, more={"custom.lineWidth": 2}),
        ],
        queries=[
            _line(
                'mean("best_mw") AS "draw", last("demand_mw") AS "block so far",'
                ' last("forecast_mw") AS "forecast", last("block_limit_mw") AS "block limit"',
                "A",
            )
        ],
        size=(16, 9),
    ),
    Panel(
        id=9,
        kind="timeseries",
        title="Coverage",
        description="The share of its rating that fresh readings cover, the lowest of each step;"
        " the last six hours"
        " of the range.",
        unit=style.SHARE,
        low=0,
        steps=style.COVERAGE,
        queries=[_line('min("coverage") AS "coverage"', "A")],
        size=(8, 9),
    ),
    Panel(
        id=11,
        kind="timeseries",
        title="Draw over days and months",
        description="The mean draw of each minute between the means of its bounds, and the limit,"
        " over the whole range.",
        unit=style.MEGAWATT,
        low=0,
        columns=bounds("limit"),
        queries=[
            _mean('mean("best_mw") AS "draw"', "A"),
            _mean('max("high_mw") AS "at most"', "B"),
            _mean('min("low_mw") AS "at least"', "C"),
            _mean('last("limit_mw") AS "limit"', "D"),
        ],
        size=(16, 9),
    ),
    Panel(
        id=12,
        kind="stat",
        title="Highest quarter-hour",
        description="The highest mean of a quarter-hour in the range: over a month, the month's peak.",
        unit=style.MEGAWATT,
        decimals=3,
        queries=[
            Influx(
                f'SELECT max("best_mw") AS "peak" FROM {DRAW_QUARTER} WHERE {_ITS} AND {RANGE}', alias="$col"
            )
        ],
        size=(4, 9),
    ),
    Panel(
        id=13,
        kind="stat",
        title="Minutes over",
        description="In how many minutes of the range the mean draw was above the mean limit.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        none="0",
        queries=[
            Influx(
                f'SELECT count("best_mw") AS "minutes" FROM {DRAW_MINUTE}'
                f' WHERE "best_mw" > "limit_mw" AND {_ITS} AND {RANGE}',
                alias="$col",
            )
        ],
        size=(4, 9),
    ),
    Panel(
        id=14,
        kind="table",
        title="Its racks",
        description="What each rack that it holds draws, over the last whole minute, whatever meters it is"
        " measured by, the most first.",
        unit=style.KILOWATT,
        decimals=1,
        sort="draw",
        hidden=["Time", "tenant"],
        columns=[
            words("asset", "Rack", to_rack()),
            Column(name="draw", title="Draw"),
            Column(name="most", title="Highest second"),
            Column(
                name="coverage", title="Heard", unit=style.SHARE, steps=style.COVERAGE, more={"decimals": 0}
            ),
        ],
        queries=[
            Influx(
                'SELECT last("mean_kw") AS "draw", last("most_kw") AS "most", last("coverage") AS "coverage"'
                f' FROM {RACK} WHERE {_ITS} AND {RECENT} GROUP BY "asset", "tenant"',
                is_table=True,
            )
        ],
        size=(10, 9),
    ),
    its_alarms(10, "tenant", _SUBJECT, (14, 9)),
)
"""Its panels."""


def dashboard() -> build.Dashboard:
    """Return the dashboard."""
    return dashboard_of(
        "tenant",
        "One tenant: its draw with its bounds, its limit, its demand blocks, its alarms.",
        PANELS,
        choices=[TENANT],
        annotations=[alarms_of(_SUBJECT)],
    )
