"""A foreign InfluxDB that a site file names: what is read from it, and what that costs in time."""

from __future__ import annotations

from facility.errors import Fault
from facility.feedrule import FeedRule
from facility.sitefile.tablereader import read_table
from facility.sitefile.tables import EngineTable, FeedTable, SeriesTable


def read_feed(value: object, faults: list[Fault], *, is_wanted: bool) -> FeedTable | None:
    """Read `[influxdb]`, with the faults of each of its series.

    Args:
        value: What stands in the file; None where nothing does.
        faults: Takes what is wrong with it.
        is_wanted: Whether `rules.source` needs it.
    """
    if value is None:
        if is_wanted:
            hint = "or leave rules.source out"
            faults.append(Fault(path="influxdb", expected="a table", found="nothing", hint=hint))
        return None
    before = len(faults)
    feed = read_table(value, FeedTable, "influxdb", faults)
    if feed is None:
        return None
    if not feed.series and len(faults) == before:
        expected = "tables, written [[influxdb.series]]"
        faults.append(Fault(path="influxdb.series", expected=expected, found="none"))
    for i, series in enumerate(feed.series):
        path = f"influxdb.series[{i}]"
        # Where a text could not be read, its table's path stands for it: that was told.
        told = {fault.path for fault in faults}
        faults += [
            Fault(path=f"{path}.{name}", expected=expected, found=found)
            for name, expected, found in (() if series is None else rule_of(series).faults())
            if f"{path}.{name}" not in told
        ]
    return feed


def rule_of(series: SeriesTable) -> FeedRule:
    """Return which points a series is, as it is read."""
    return FeedRule(
        measurement=series.measurement,
        field=series.field,
        tag=series.tag,
        asset=series.asset,
        quantity=series.quantity,
        unit=series.unit,
        kind=series.kind,
        power_feed=series.power_feed,
        where=series.where,
    )


def patient(engine: EngineTable, feed: FeedTable) -> EngineTable:
    """Return the rhythm of judging with the patience that a feed needs."""
    lateness_ms = max(engine.lateness_ms, feed.lateness_ms)
    return engine.model_copy(update={"lateness_ms": lateness_ms})
