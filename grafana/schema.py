"""Names of the series in InfluxDB (`store.influx.lineprotocol`), for the dashboards.

Names are written as InfluxQL wants them. A bucket `megawatch/minute` of InfluxDB 2 and a retention policy
`minute` of InfluxDB 1 are both called `"minute"."..."`, so that one query reads either.
"""

from __future__ import annotations

from typing import Final

from facility.names import OPERATOR
from store.influx.lineprotocol import Kept

READING: Final = '"reading"'
"""Readings as they came, a second apart at most: kept for days."""
MINUTE: Final = f'"{Kept.MONTHS}"."reading_1m"'
"""Means over minutes, of every point: kept for months."""
DRAW: Final = '"tenant_draw"'
"""What each tenant draws, every second: kept for days."""
DRAW_MINUTE: Final = f'"{Kept.MONTHS}"."tenant_draw_1m"'
"""Means of what each tenant draws, over minutes: kept for months."""
DRAW_QUARTER: Final = f'"{Kept.YEARS}"."tenant_draw_15m"'
"""The same over quarter-hours: kept for years."""
RACK: Final = f'"{Kept.MONTHS}"."rack_draw_1m"'
"""What each rack draws over minutes, whatever meters it is measured by: kept for months."""
FEED: Final = f'"{Kept.MONTHS}"."feed_draw_1m"'
"""What each node of the power chain carries over minutes, and would carry alone: kept for months."""
SITE: Final = f'"{Kept.MONTHS}"."site_draw_1m"'
"""What the site draws over minutes, has sold and can deliver: kept for months."""
EVENT: Final = f'"{Kept.YEARS}"."alarm_event"'
"""What happened to alarms: kept for years."""
HEALTH: Final = '"pipeline"'
"""How the monitor itself does, every ten seconds: kept for days."""
DEAD: Final = '"dead_letters"'
"""What was refused since the beginning, by reason, every ten seconds: kept for days."""

RAW: Final = (READING, DRAW, HEALTH, DEAD)
"""What has a value every few seconds, so that no panel may read it for longer than `RAW_HOURS`."""
RAW_HOURS: Final = 6

MEASURED: Final = "\"setpoint\" = ''"
"""Holds for measurements and not for set points, which carry this tag."""
OF_TENANTS: Final = f"\"tenant\" != '{OPERATOR}'"
"""Holds for those who have contracts, and not for the operator's own load."""

NAMES: Final = {
    "reading": (("asset", "area", "phase", "point", "quantity", "setpoint"), ("value",)),
    "reading_1m": (
        ("asset", "area", "phase", "point", "quantity"),
        ("mean", "min", "max", "last", "coverage"),
    ),
    "tenant_draw": (
        ("tenant",),
        (
            "low_mw",
            "best_mw",
            "high_mw",
            "limit_mw",
            "headroom_mw",
            "coverage",
            "demand_mw",
            "forecast_mw",
            "block_limit_mw",
        ),
    ),
    "tenant_draw_1m": (("tenant",), ("low_mw", "best_mw", "high_mw", "limit_mw")),
    "tenant_draw_15m": (("tenant",), ("best_mw",)),
    "rack_draw_1m": (("asset", "tenant"), ("mean_kw", "most_kw", "coverage")),
    "feed_draw_1m": (
        ("asset",),
        ("metered_kw", "racks_kw", "limit_amps", "alone_amps"),
    ),
    "site_draw_1m": ((), ("racks_mw", "supply_mw", "sold_mw", "firm_mw")),
    "alarm_event": (("change", "rule", "severity", "subject"), ("id", "value", "limit", "unit", "by")),
    "pipeline": (
        (),
        (
            "received",
            "stored",
            "duplicates",
            "dead_lettered",
            "waiting",
            "undelivered",
            "rules_lag_s",
            "influx_lag_s",
            "influx_lag_entries",
            "canary_delay_s",
            "brokers",
            "brokers_connected",
            "cpu_s",
            "cpu_read_s",
            "cpu_append_s",
            "cpu_judge_s",
            "cpu_ship_s",
            "memory_bytes",
        ),
    ),
    "dead_letters": (("reason",), ("count",)),
}
"""Every measurement that a panel reads, with the tags and fields that it may name: the tests hold the lines
of the writer and the queries of the panels against it."""


def of(quantity: str) -> str:
    """Return the condition that a reading is a measurement of a quantity."""
    return f"\"quantity\" = '{quantity}' AND {MEASURED}"
