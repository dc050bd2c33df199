"""The dashboard of the whole site: what is drawn, what may be, who is in trouble."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build

from grafana import style
from grafana.frame import alarms_of, dashboard_of, link, open_alarms, to_tenant
from grafana.influxql import EVER, LAST_HOUR, LATELY, NOW, RANGE, RECENT, WHOLE_LATELY, WHOLE_RANGE, complete
from grafana.panels import Column, Influx, Panel, bounds, gauge, words
from grafana.power import LOAD_COLUMNS, LOADS
from grafana.schema import DRAW, DRAW_MINUTE, OF_TENANTS, SITE

OPEN_BY_SEVERITY = (
    f'SELECT count("id") AS "open" FROM ({open_alarms()})'
    f' WHERE "change" != \'returned\' AND {EVER} GROUP BY "severity"'
)


def each_tenant(fields: str, where: str = OF_TENANTS) -> str:
    """Return a query for the last figures of each tenant."""
    return f'SELECT {fields} FROM {DRAW} WHERE {where} AND {NOW} GROUP BY "tenant"'


def total(select: str, fields: str, where: str = OF_TENANTS, having: str = "") -> str:
    """Return a query for one figure made of the last ones of all tenants.

    Args:
        select: What is selected.
        fields: The figures of each tenant.
        where: Which tenants.
        having: What must hold of a tenant's figures.
    """
    condition = f"{having} AND {NOW}" if having else NOW
    return f"SELECT {select} FROM ({each_tenant(fields, where)}) WHERE {condition}"


def over_tenants(select: str, inner: str, fill: str = "null") -> str:
    """Return a query for a line that is made of a line of each tenant with a contract."""
    lines = (
        f"SELECT {inner} FROM {DRAW} WHERE {OF_TENANTS} AND {LATELY}"
        ' GROUP BY time($__interval), "tenant" fill(none)'
    )
    return f"SELECT {select} FROM ({lines}) WHERE {LATELY} GROUP BY time($__interval) fill({fill})"


LEAST_HEADROOM = complete(
    "headroom",
    total(
        'min("mw") AS "headroom", count("mw") - count("limit") AS "missing"',
        'last("headroom_mw") AS "mw", last("limit_mw") AS "limit"',
    ),
    NOW,
)
"""The least headroom; nothing where that of a tenant with a limit is not known."""
AT_MOST = complete(
    "at most",
    over_tenants(
        'sum("mw") AS "at most", count("mw") - count("low") AS "missing"',
        'max("high_mw") AS "mw", min("low_mw") AS "low"',
        "none",
    ),
    LATELY,
    line=True,
)
"""The sum of the upper bounds; nothing where one of them is not known."""

EVERYBODY = "\"tenant\" != ''"

_PUE = 'SELECT "supply_mw" AS "supply", "racks_mw" AS "racks" FROM ' + SITE + ' WHERE "supply_mw" > 0 AND '


PANELS: Final = (
    Panel(
        id=1,
        kind="stat",
        title="Draw",
        description="The best estimate of what all racks draw, the operator's own among them.",
        unit=style.MEGAWATT,
        decimals=3,
        queries=[Influx(total('sum("mw") AS "draw"', 'last("best_mw") AS "mw"', EVERYBODY), alias="$col")],
        size=(4, 4),
    ),
    Panel(
        id=2,
        kind="stat",
        title="Contracted now",
        description="The sum of the limits that are in force at this moment, ramps included.",
        unit=style.MEGAWATT,
        decimals=3,
        queries=[Influx(total('sum("mw") AS "limits"', 'last("limit_mw") AS "mw"'), alias="$col")],
        size=(4, 4),
    ),
    Panel(
        id=3,
        kind="stat",
        title="Drawn of contracted",
        description="What tenants with contracts draw together, as a share of their limits in force.",
        unit=style.SHARE,
        decimals=1,
        steps=style.AGAINST_LIMIT,
        queries=[
            Influx(
                total(
                    'sum("mw") / sum("limit") AS "share"',
                    'last("best_mw") AS "mw", last("limit_mw") AS "limit"',
                    having='"limit" > 0',
                ),
                alias="$col",
            )
        ],
        size=(4, 4),
    ),
    Panel(
        id=4,
        kind="stat",
        title="Least headroom of a tenant",
        description="The limit less the upper bound of the draw, of the tenant with the least of it: negative"
        " where keeping the contract cannot be proved, and not known where the bound of one is not.",
        unit=style.MEGAWATT,
        decimals=3,
        steps=style.HEADROOM,
        none="not known",
        queries=[Influx(LEAST_HEADROOM, alias="$col")],
        size=(4, 4),
    ),
    Panel(
        id=5,
        kind="stat",
        title="Lowest coverage of a tenant",
        description="The share of a tenant's rating that fresh readings cover, of the one with the lowest.",
        unit=style.SHARE,
        decimals=1,
        steps=style.COVERAGE,
        queries=[Influx(total('min("share") AS "coverage"', 'last("coverage") AS "share"'), alias="$col")],
        size=(4, 4),
    ),
    Panel(
        id=6,
        kind="stat",
        title="Open alarms",
        description="Alarms that opened and have not returned, by severity.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        none="none",
        queries=[Influx(OPEN_BY_SEVERITY, alias="$tag_severity")],
        link=("Alarms", link("alarms")),
        size=(4, 4),
    ),
    Panel(
        id=7,
        kind="table",
        title="Tenants in order of trouble",
        description="Each tenant's draw against its limit in force, the nearest to it first.",
        unit=style.MEGAWATT,
        decimals=3,
        sort="share",
        hidden=["Time"],
        columns=[
            words("tenant", "Tenant", to_tenant()),
            gauge("share", "Drawn of limit", style.AGAINST_LIMIT),
            Column(name="draw", title="Draw"),
            Column(name="limit", title="Limit"),
            Column(name="headroom", title="Headroom", steps=style.HEADROOM),
            Column(
                name="coverage",
                title="Coverage",
                unit=style.SHARE,
                steps=style.COVERAGE,
                more={"decimals": 0},
            ),
            Column(name="forecast", title="Block forecast"),
            Column(name="block", title="Block limit"),
        ],
        queries=[
            Influx(
                each_tenant(
                    'last("best_mw") / last("limit_mw") AS "share", last("best_mw") AS "draw",'
                    ' last("limit_mw") AS "limit", last("headroom_mw") AS "headroom",'
                    ' last("coverage") AS "coverage", last("forecast_mw") AS "forecast",'
                    ' last("block_limit_mw") AS "block"'
                ),
                is_table=True,
            )
        ],
        size=(14, 9),
    ),
    Panel(
        id=8,
        kind="table",
        title="Feeds by load",
        description="The highest phase current of every meter in its last minute against its limit, the most"
        " loaded first.",
        unit=style.AMPERE,
        decimals=1,
        sort="load",
        hidden=["Time"],
        columns=LOAD_COLUMNS,
        queries=[Influx(LOADS, is_table=True)],
        size=(10, 9),
    ),
    Panel(
        id=9,
        kind="timeseries",
        title="Draw against what is contracted",
        description="All tenants together, between the bounds of what is certain,"
        " and the sum of"
        " their limits; the last six hours of the range.",
        unit=style.MEGAWATT,
        low=0,
        columns=bounds("contracted"),
        queries=[
            Influx(over_tenants('sum("mw")', 'mean("best_mw") AS "mw"'), "A", alias="draw"),
            Influx(AT_MOST, "B", alias="at most"),
            Influx(over_tenants('sum("mw")', 'min("low_mw") AS "mw"'), "C", alias="at least"),
            Influx(over_tenants('sum("mw")', 'last("limit_mw") AS "mw"'), "D", alias="contracted"),
        ],
        size=(12, 9),
    ),
    Panel(
        id=10,
        kind="timeseries",
        title="Who draws it",
        description="The best estimate of each tenant's draw and of the operator's own, on top of each other;"
        " the last six hours of the range.",
        unit=style.MEGAWATT,
        low=0,
        is_stacked=True,
        queries=[
            Influx(
                f'SELECT mean("best_mw") FROM {DRAW} WHERE {WHOLE_LATELY}'
                ' GROUP BY time($__interval), "tenant" fill(null)',
                alias="$tag_tenant",
            )
        ],
        size=(12, 9),
    ),
    Panel(
        id=12,
        kind="stat",
        title="Sold and deliverable",
        description="What is committed to all tenants once every ramp is over, and what the plant delivers"
        " with one unit lost.",
        unit=style.MEGAWATT,
        decimals=3,
        none="not said",
        queries=[
            Influx(
                f'SELECT last("sold_mw") AS "sold", last("firm_mw") AS "deliverable" FROM {SITE}'
                f" WHERE {RECENT}",
                alias="$col",
            )
        ],
        size=(6, 8),
    ),
    Panel(
        id=13,
        kind="stat",
        title="Interim PUE of an hour",
        description="All that the site's supply meters took over what all racks drew, in the last hour of the"
        " range.",
        unit=style.COUNT,
        decimals=3,
        steps=style.PUE,
        none="no supply meters",
        queries=[
            Influx(
                f'SELECT mean("supply") / mean("racks") AS "PUE" FROM ({_PUE}{LAST_HOUR}) WHERE {LAST_HOUR}',
                alias="$col",
            )
        ],
        size=(4, 8),
    ),
    Panel(
        id=14,
        kind="timeseries",
        title="Interim PUE",
        description="All that the site's supply meters took over what all racks drew, over the whole range.",
        unit=style.COUNT,
        decimals=3,
        low=1,
        none="no supply meters",
        columns=[Column(name="PUE", colour=style.BLUE)],
        queries=[
            Influx(
                f'SELECT mean("supply") / mean("racks") AS "PUE" FROM ({_PUE}{RANGE}) WHERE {RANGE}'
                " GROUP BY time($__interval) fill(null)",
                alias="$col",
            )
        ],
        size=(14, 8),
    ),
    Panel(
        id=11,
        kind="timeseries",
        title="Who draws it, over days and months",
        description="The mean draw of each minute, of each tenant and the operator, on top of each other,"
        " over the whole range.",
        unit=style.MEGAWATT,
        low=0,
        is_stacked=True,
        queries=[
            Influx(
                f'SELECT mean("best_mw") FROM {DRAW_MINUTE} WHERE {WHOLE_RANGE}'
                ' GROUP BY time($__interval), "tenant" fill(null)',
                alias="$tag_tenant",
            )
        ],
        size=(24, 8),
    ),
)
"""Its panels."""


def dashboard() -> build.Dashboard:
    """Return the dashboard."""
    return dashboard_of(
        "site",
        "The whole site: what is drawn, what may be, and who is in trouble.",
        PANELS,
        annotations=[alarms_of("\"change\" = 'opened'")],
    )
