"""The dashboard of cooling: coolant units, racks that get too little, condensation, leaks."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as models

from grafana import style
from grafana.frame import Choice, alarms_of, dashboard_of, link, to_rack
from grafana.influxql import (
    PG25_KW_PER_LPM_K,
    RANGE,
    RECENT,
    WATER_KW_PER_LPM_K,
    joined,
    last,
    matches,
    options,
    over_time,
)
from grafana.panels import Column, Influx, Panel, words
from grafana.schema import MINUTE, READING, of

_UNIT = matches("asset", "unit")
UNIT = Choice(
    name="unit", label="Coolant unit", query=options("asset", READING, "\"quantity\" = 'coolant.flow'")
)
_SECONDARY = "\"area\" = 'Secondary'"
_SUPPLY = "\"area\" = 'Secondary.Supply'"
_RETURN = "\"area\" = 'Secondary.Return'"
_HEAT = '${coolant:raw} * max("flow") * (max("return") - max("supply"))'

_RACK_FLOW = last("flow", "rack.coolant.flow", "asset")
_RACK_POWER = last("kw", "rack.power.active", "asset")
_SUPPLIES = last("supply", "coolant.supply", "asset")
RATIO = joined('max("flow") / max("kw") AS "ratio"', _RACK_FLOW, _RACK_POWER)
"""The flow for each kilowatt of every rack with coolant."""
RACKS = joined(
    f'max("flow") / max("kw") AS "ratio", {_HEAT} / max("kw") AS "balance", max("flow") AS "flow",'
    ' max("supply") AS "supply", max("return") AS "return", max("return") - max("supply") AS "rise",'
    ' max("kw") AS "kw"',
    _RACK_FLOW,
    _RACK_POWER,
    _SUPPLIES,
    last("return", "coolant.return", "asset"),
    where='"ratio" >= 0',
)
"""The same, and what the coolant carries of its power."""
_LOOP = (
    last("supply", "coolant.temperature", "asset", where=_SUPPLY),
    last("return", "coolant.temperature", "asset", where=_RETURN),
    last("flow", "coolant.flow", "asset", where=_SECONDARY),
)
HEAT = joined(f'{_HEAT} AS "heat"', *_LOOP)
"""The heat that the secondary loop of every coolant unit carries."""
UNITS = joined(
    f'max("supply") AS "supply", max("return") AS "return", max("return") - max("supply") AS "rise",'
    f' max("flow") AS "flow", {_HEAT} AS "heat", max("pressure") AS "pressure"',
    *_LOOP,
    last("pressure", "coolant.pressure.differential", "asset", where=_SECONDARY),
    where='"supply" > -100',
)
"""The same with what it is made of."""
# Magnus' formula with the coefficients of the World Meteorological Organization, 17.62 and 243.12 °C.
_DEW = joined(
    '243.12 * max("g") / (17.62 - max("g")) AS "dew"',
    joined(
        'ln(mean("humid") / 100) + 17.62 * mean("t") / (243.12 + mean("t")) AS "g"',
        last("humid", "humidity", "asset", "area", "point"),
        last("t", "air.temperature", "asset", "area", "point"),
        by=("asset", "area"),
    ),
    by=(),
)
MARGIN = joined('min("supply") - max("dew") AS "margin"', _SUPPLIES, _DEW, by=())
"""The coldest rack supply less the highest dew point of any place with air sensors."""


def _line(select: str, quantity: str, area: str, ref: str = "A") -> Influx:
    where = f"{of(quantity)} AND {_UNIT} AND \"area\" = '{area}' AND {RANGE}"
    return Influx(over_time(select, MINUTE, where), ref, alias="$col")


PANELS: Final = (
    Panel(
        id=1,
        kind="stat",
        title="Leaks",
        description="How many leak sensors see coolant where none should be.",
        unit=style.COUNT,
        steps=style.NONE_IS_WELL,
        queries=[
            Influx(
                f'SELECT sum("wet") AS "leaks" FROM ({last("wet", "leak", "point")}) WHERE {RECENT}',
                alias="$col",
            )
        ],
        size=(5, 4),
    ),
    Panel(
        id=2,
        kind="stat",
        title="Margin to condensation",
        description="The coldest coolant supply of any rack less the highest dew point of any"
        " aisle, by Magnus'"
        " formula: what is left before water condenses.",
        unit=style.KELVIN,
        decimals=1,
        steps=style.MARGIN,
        queries=[Influx(MARGIN, alias="$col")],
        size=(5, 4),
    ),
    Panel(
        id=3,
        kind="stat",
        title="Warmest rack supply",
        description="The warmest coolant that any rack gets.",
        unit=style.CELSIUS,
        decimals=1,
        queries=[
            Influx(
                f'SELECT max("c") AS "supply" FROM ({last("c", "coolant.supply", "asset")}) WHERE {RECENT}',
                alias="$col",
            )
        ],
        size=(4, 4),
    ),
    Panel(
        id=4,
        kind="stat",
        title="Least flow per kilowatt",
        description="The coolant flow of the rack that gets the least of it for each kilowatt that it draws.",
        unit=style.FLOW_PER_POWER,
        decimals=2,
        steps=style.FLOW,
        queries=[Influx(f'SELECT min("ratio") AS "flow" FROM ({RATIO}) WHERE {RECENT}', alias="$col")],
        size=(5, 4),
    ),
    Panel(
        id=5,
        kind="stat",
        title="Heat into coolant",
        description="What the secondary loops of all coolant units carry, by flow and rise of temperature.",
        unit=style.KILOWATT,
        decimals=3,
        queries=[Influx(f'SELECT sum("heat") AS "heat" FROM ({HEAT}) WHERE {RECENT}', alias="$col")],
        size=(5, 4),
    ),
    Panel(
        id=6,
        kind="table",
        title="Coolant units",
        description="The secondary loop of every coolant unit, the one that carries most first.",
        unit=style.CELSIUS,
        decimals=1,
        sort="heat",
        hidden=["Time"],
        columns=[
            words("asset", "Unit", ("Unit", link("cooling", "unit", "${__data.fields.asset:percentencode}"))),
            Column(name="heat", title="Heat", unit=style.KILOWATT),
            Column(name="flow", title="Flow", unit=style.LITRES),
            Column(name="rise", title="Rise", unit=style.KELVIN),
            Column(name="supply", title="Supply"),
            Column(name="return", title="Return"),
            Column(name="pressure", title="Pressure", unit=style.KILOPASCAL),
        ],
        queries=[Influx(UNITS, is_table=True)],
        size=(12, 10),
    ),
    Panel(
        id=7,
        kind="table",
        title="Racks by flow per kilowatt",
        description="Coolant flow against power of every rack, the least first; the balance is"
        " what the coolant"
        " carries of the rack's power.",
        unit=style.CELSIUS,
        decimals=1,
        sort="-ratio",
        hidden=["Time"],
        columns=[
            words("asset", "Rack", to_rack()),
            Column(
                name="ratio",
                title="L/min/kW",
                unit=style.COUNT,
                steps=style.FLOW,
                more={"decimals": 2},
            ),
            Column(
                name="balance",
                title="Heat balance",
                unit=style.SHARE,
                steps=style.BALANCE,
                more={"decimals": 0},
            ),
            Column(name="flow", title="Flow", unit=style.LITRES),
            Column(name="rise", title="Rise", unit=style.KELVIN),
            Column(name="supply", title="Supply"),
            Column(name="return", title="Return"),
            Column(name="kw", title="Power", unit=style.KILOWATT),
        ],
        queries=[Influx(RACKS, is_table=True)],
        size=(12, 10),
    ),
    Panel(
        id=8,
        kind="timeseries",
        title="Temperatures of the unit",
        description="Supply and return of the unit's secondary loop and of the facility's water,"
        " the mean of each minute.",
        unit=style.CELSIUS,
        columns=[
            Column(name="supply", colour=style.BLUE, more={"custom.lineWidth": 2}),
            Column(name="return", colour=style.VERMILION, more={"custom.lineWidth": 2}),
            Column(name="water in", colour=style.SKY),
            Column(name="water out", colour=style.ORANGE),
        ],
        queries=[
            _line('mean("mean") AS "supply"', "coolant.temperature", "Secondary.Supply", "A"),
            _line('mean("mean") AS "return"', "coolant.temperature", "Secondary.Return", "B"),
            _line('mean("mean") AS "water in"', "coolant.temperature", "Primary.Inlet", "C"),
            _line('mean("mean") AS "water out"', "coolant.temperature", "Primary.Outlet", "D"),
        ],
        size=(12, 9),
    ),
    Panel(
        id=9,
        kind="timeseries",
        title="Flow of the unit",
        description="Flow of the unit's secondary loop and of the facility's water, the mean of each minute.",
        unit=style.LITRES,
        low=0,
        columns=[Column(name="secondary", colour=style.BLUE), Column(name="water", colour=style.SKY)],
        queries=[
            _line('mean("mean") AS "secondary"', "coolant.flow", "Secondary", "A"),
            _line('mean("mean") AS "water"', "coolant.flow", "Primary", "B"),
        ],
        size=(12, 9),
    ),
    Panel(
        id=10,
        kind="timeseries",
        title="Pumps of the unit",
        description="The speed of each pump, the mean of each minute.",
        unit=style.PERCENT,
        low=0,
        queries=[
            Influx(
                over_time('mean("mean")', MINUTE, f"{of('pump.speed')} AND {_UNIT} AND {RANGE}", "point"),
                alias="$tag_point",
            )
        ],
        size=(12, 8),
    ),
    Panel(
        id=11,
        kind="timeseries",
        title="Pressure of the unit",
        decimals=1,
        description="Differential pressure of the unit's secondary loop, the mean of each minute.",
        unit=style.KILOPASCAL,
        queries=[_line('mean("mean") AS "pressure"', "coolant.pressure.differential", "Secondary")],
        size=(12, 8),
    ),
)
"""Its panels."""


def dashboard() -> build.Dashboard:
    """Return the dashboard."""
    values = {"25 % glycol": str(PG25_KW_PER_LPM_K), "water": str(WATER_KW_PER_LPM_K)}
    options = [
        models.VariableOption(selected=place == 0, text=text, value=value)
        for place, (text, value) in enumerate(values.items())
    ]
    coolant = (
        build.CustomVariable("coolant")
        .label("Coolant")
        .description("heat that one L/min carries at one kelvin, which heat is computed with")
        .values(", ".join(f"{text} : {value}" for text, value in values.items()))
        # Without these a dashboard that comes from a file has no value until one is chosen.
        .options(options)
        .current(options[0])
    )
    return dashboard_of(
        "cooling",
        "Cooling: coolant units, racks that get too little coolant, leaks, condensation.",
        PANELS,
        choices=[UNIT],
        more=[coolant],
        annotations=[alarms_of(matches("subject", "unit"))],
    )
