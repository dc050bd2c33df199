"""The histories, one entry each: where the readings of a site go, and are read from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facility.invariants import present
from facility.points import Point
from facility.sitefile.tables import InfluxTable, StoreTable
from store.base import INFLUX, PARQUET, History, Sink
from store.means.means import hold_ms

# What belongs to one history is imported when it is built: a program without it need not have its libraries.


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the readings of a site are kept.

    Attributes:
        store: What the site file says of it.
        data: The data folder.
        token: Gives the token of a database, anew whenever the one before was refused.
        hold: Tells how long a value stands for its point [ms].
    """

    store: StoreTable
    data: Path
    token: Callable[[], str]
    hold: Callable[[Point], int] = hold_ms

    @property
    def influxdb(self) -> InfluxTable:
        """The database that the site file names."""
        return present(self.store.influxdb, "a table [store.influxdb]")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryKind:
    """A kind of history.

    Attributes:
        is_named: Tells whether a site file names one.
        sink: Builds what writes to it.
        history: Opens it for questions.
        check: Asks it whether it takes what is written, and raises `StoreUnavailable` where it does not;
            None where nothing has to be reached.
    """

    is_named: Callable[[StoreTable], bool]
    sink: Callable[[Place], Sink]
    history: Callable[[Place], History]
    check: Callable[[Place], Awaitable[None]] | None = None


def _influx_sink(place: Place) -> Sink:
    from store.influx.sink import InfluxSink  # noqa: PLC0415 - see above

    return InfluxSink(place.influxdb, place.token, hold=place.hold)


def _influx_history(place: Place) -> History:
    from store.influx.history import InfluxHistory  # noqa: PLC0415 - see above

    return InfluxHistory(place.influxdb, place.token)


async def _check_influx(place: Place) -> None:
    from store.influx.sink import InfluxSink  # noqa: PLC0415 - see above

    sink = InfluxSink(place.influxdb, place.token, hold=place.hold)
    try:
        await sink.check()
    finally:
        await sink.close()


def _parquet_sink(place: Place) -> Sink:
    from store.history.sealing import ParquetSink  # noqa: PLC0415 - see above

    return ParquetSink(place.data)


def _parquet_history(place: Place) -> History:
    from store.history.reader import ParquetHistory  # noqa: PLC0415 - see above

    return ParquetHistory(place.data, place.hold)


HISTORIES: Final[dict[str, HistoryKind]] = {
    INFLUX: HistoryKind(
        is_named=lambda store: store.influxdb is not None,
        sink=_influx_sink,
        history=_influx_history,
        check=_check_influx,
    ),
    PARQUET: HistoryKind(is_named=lambda _: False, sink=_parquet_sink, history=_parquet_history),
}
"""By what their cursors are called; Parquet files are the history of a site file that names none."""


def history_name(store: StoreTable) -> str:
    """Return the name of the history that a site file names."""
    return next((name for name, kind in HISTORIES.items() if kind.is_named(store)), PARQUET)


def history_of(store: StoreTable) -> HistoryKind:
    """Return the history that a site file names."""
    return HISTORIES[history_name(store)]
