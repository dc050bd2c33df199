"""Queries in InfluxQL, the dialect that InfluxDB 1, 2 and 3 share.

Variables are always written with their format (`${rack:regex}`), so that every Grafana fills them alike;
without one, the InfluxDB data source guesses from the slashes of a query whether it stands in a pattern.
"""

from __future__ import annotations

from typing import Final

from grafana.schema import MINUTE, RAW_HOURS, READING, of

RECENT: Final = "time > ${__to}ms - 5m AND time <= ${__to}ms"
"""The last five minutes of the range. A value that does not change is repeated every 100 s (DSX bus)."""
NOW: Final = "time > ${__to}ms - 30s AND time <= ${__to}ms"
"""The end of the range, for what has a value every second: what is older is not known now."""
LATELY: Final = f"$timeFilter AND time > ${{__to}}ms - {RAW_HOURS}h"
"""The range, and no more than its last six hours: for what has a value every second."""
RANGE: Final = "$timeFilter"
"""The whole range: for means and events."""
LAST_HOUR: Final = "time > ${__to}ms - 1h AND time <= ${__to}ms"
"""The last hour of the range."""
WHOLE_LATELY: Final = f"$timeFilter AND time > ${{__to}}ms - {RAW_HOURS}h AND time <= ${{__to}}ms - 15s"
"""The last six hours without the step that is not full yet: areas that stand on each other would fall to zero
there."""
WHOLE_RANGE: Final = "$timeFilter AND time <= ${__to}ms - 3m"
"""The whole range without the minutes whose means are not stored yet, for the same reason."""
EVER: Final = "time > ${__to}ms - 400d AND time <= ${__to}ms"
"""Up to the end of the range: what opened long ago may still be open."""

PG25_KW_PER_LPM_K: Final = 0.0659
"""Heat that one L/min of 25 % propylene glycol in water carries at one kelvin [kW]: 1.014 kg/L times
3.90 kJ/(kg K) at 40 °C, over 60 s."""

WATER_KW_PER_LPM_K: Final = 0.0691
"""The same of water: 0.992 kg/L times 4.18 kJ/(kg K) at 40 °C, over 60 s."""


def matches(tag: str, variable: str) -> str:
    """Return the condition that a tag is one of the chosen values of a variable."""
    return f'"{tag}" =~ /^${{{variable}:regex}}$/'


def last(name: str, quantity: str, *by: str, where: str = "") -> str:
    """Return a query for the last value of a quantity, one for each of some tags.

    Args:
        name: What the value is called in the query around it.
        quantity: Name of the quantity, as `facility.quantities` has it.
        by: The tags.
        where: A further condition.
    """
    conditions = " AND ".join(part for part in (of(quantity), where, RECENT) if part)
    return f'SELECT last("value") AS "{name}" FROM {READING} WHERE {conditions} GROUP BY {tags(*by)}'


def last_minute(name: str, field: str, quantity: str, *by: str) -> str:
    """Return a query for a figure of the last minute of a quantity, one for each of some tags.

    Over all meters of a site this reads a hundredth of what `last` does.

    Args:
        name: What it is called in the query around it.
        field: Which figure of the minute: `mean`, `min`, `max` or `last`.
        quantity: Name of the quantity, as `facility.quantities` has it.
        by: The tags.
    """
    where = f"{of(quantity)} AND {RECENT}"
    return f'SELECT last("{field}") AS "{name}" FROM {MINUTE} WHERE {where} GROUP BY {tags(*by)}'


def joined(select: str, *queries: str, by: tuple[str, ...] = ("asset",), where: str = "") -> str:
    """Return a query over several, whose values meet where these tags are the same.

    Args:
        select: What is selected.
        queries: Queries in InfluxQL.
        by: The tags; none for one value over all.
        where: What must hold of what is found; what has no value there is left out.
    """
    sources = ", ".join(f"({query})" for query in queries)
    group = f" GROUP BY {tags(*by)}" if by else ""
    found = f"SELECT {select} FROM {sources} WHERE {RECENT}{group}"
    return f"SELECT * FROM ({found}) WHERE {where} AND {RECENT}{group}" if where else found


def complete(name: str, query: str, where: str, *, line: bool = False) -> str:
    """Return a query for what another finds, where nothing of it is missing.

    A bound over all is none where one of them has no bound.

    Args:
        name: What is looked for.
        query: The query, which also tells how many are `"missing"`, less than 0 where any is.
        where: The condition of time.
        line: Whether it is a line over time, instead of one figure.
    """
    steps = " GROUP BY time($__interval) fill(null)" if line else ""
    select = f'last("{name}") AS "{name}"' if line else f'"{name}"'
    return f'SELECT {select} FROM ({query}) WHERE "missing" >= 0 AND {where}{steps}'


def tags(*names: str) -> str:
    """Return tags as a list of names."""
    return ", ".join(f'"{name}"' for name in names)


def over_time(select: str, source: str, where: str, *by: str, fill: str = "null") -> str:
    """Return a query for a line over time, one for each of some tags.

    Args:
        select: What is selected.
        source: The measurement.
        where: The conditions, with that of time.
        by: The tags.
        fill: What stands where there is nothing.
    """
    group = f", {tags(*by)}" if by else ""
    return f"SELECT {select} FROM {source} WHERE {where} GROUP BY time($__interval){group} fill({fill})"


def options(tag: str, source: str, where: str = "") -> str:
    """Return a query for the values that a tag has."""
    condition = f" WHERE {where}" if where else ""
    return f'SHOW TAG VALUES FROM {source} WITH KEY = "{tag}"{condition}'
