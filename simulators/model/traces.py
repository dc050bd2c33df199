"""Recorded loads: the shape of something that was measured, to stand in place of a model.

Reading takes the lines of a file, not the file. None of the recordings is part of the product; where each
can be had is said where it is read. All are scaled to shares of their own highest value.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from simulators.model.state import Floats

DAY_S = 86_400.0
HOUR_S = 3_600.0
UNEVEN = 0.01
"""How far the steps of a plain recording may differ, as a share (our choice)."""
CLIPPED_AT = 3.0
"""A value this many times the median is a meter's error (our choice; buildings peak at 2.5 times)."""


class TraceError(ValueError):
    """A recording cannot be used; says what was expected and what was found."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A recorded load.

    Attributes:
        name: What it is called.
        step_s: Time between two values [s].
        shares: (K, M) values of M columns, as shares of the highest that each row's fleet or column reached;
            gaps are filled with straight lines.
    """

    name: str
    step_s: float
    shares: Floats

    def __post_init__(self) -> None:
        shape = self.shares.shape
        if self.step_s <= 0 or len(shape) != 2 or not shape[0] or not shape[1]:  # noqa: PLR2004 - two axes
            raise TraceError(
                f"{self.name}: expected a step above 0 s and values, found {self.step_s} {shape}"
            )
        if not np.isfinite(self.shares).all() or self.shares.min() < 0 or self.shares.max() > 1:
            raise TraceError(f"{self.name}: expected shares from 0 to 1, found others")

    @property
    def seconds(self) -> float:
        """How long it is [s]."""
        return self.step_s * len(self.shares)

    def at(self, second: float) -> Floats:
        """Return the values at a second of the recording, on straight lines between what was recorded.

        Past its end the recording begins anew.

        Args:
            second: When [s].

        Returns:
            (M,) shares.
        """
        position = (second / self.step_s) % self.shares.shape[0]
        index = int(position)
        part = position - index
        after = (index + 1) % self.shares.shape[0]
        mixed: Floats = self.shares[index] * (1 - part) + self.shares[after] * part
        return mixed


def trace_of(name: str, step_s: float, values: Floats) -> Trace:
    """Make a trace out of what was recorded.

    Args:
        name: What it is called.
        step_s: Time between two values [s].
        values: (K, M) values, NaN where there is none; columns without any are left out.

    Raises:
        TraceError: Where nothing is left.
    """
    kept = values[:, np.isfinite(values).sum(axis=0) >= 2] if values.size else values  # noqa: PLR2004 - a line
    if not kept.size:
        raise TraceError(f"{name}: expected at least two values, found none")
    places = np.arange(len(kept))
    filled = np.empty_like(kept)
    for column in range(kept.shape[1]):
        known = np.isfinite(kept[:, column])
        filled[:, column] = np.interp(places, places[known], kept[known, column])
    filled = np.maximum(filled, 0)
    top = filled.max()
    if top <= 0:
        raise TraceError(f"{name}: expected values above 0, found none")
    return Trace(name, step_s, filled / top)


def plain_trace(name: str, lines: Iterable[str]) -> Trace:
    """Read one's own recording: a line of names, then seconds at an even step and a column of values a rack.

    Args:
        name: What to call it.
        lines: `seconds,value,...`; a value that is no number is a gap.
    """
    rows = list(_rows(name, lines, 2))
    times = [_number(row[0]) for row in rows]
    step = times[1] - times[0] if len(times) > 1 else 0.0
    for number, (before, after) in enumerate(pairwise(times), 3):
        if not abs(after - before - step) <= step * UNEVEN:
            expected = f"a step of {step:g} s after {before:g} as before" if step > 0 else "rising seconds"
            raise TraceError(f"{name}, line {number}: expected {expected}, found {after:g}")
    width = min((len(row) for row in rows), default=1)
    values = np.array([[_number(text) for text in row[1:width]] for row in rows], np.float64)
    return trace_of(name, step, values.reshape(len(rows), width - 1))


def building_trace(name: str, lines: Iterable[str]) -> Trace:
    """Read an hourly meter of the Cambridge building archive (MIT; Zenodo 10.5281/zenodo.10708693).

    Its publisher writes 0 for a missing reading and leaves errors of meters in, up to ten times the mean;
    both become gaps.

    Args:
        name: What to call it.
        lines: `datetime,equipment load [kWh]`.
    """
    values = np.array([_number(row[1]) for row in _rows(name, lines, 2)], np.float64)
    present = values[values > 0]
    if present.size:
        values = np.where((values <= 0) | (values > CLIPPED_AT * np.median(present)), np.nan, values)
    return trace_of(name, HOUR_S, values.reshape(-1, 1))


def gpu_trace(name: str, lines: Iterable[str]) -> Trace:
    """Read hourly GPU power of a Cornell BioHPC server (dc_workload_pipeline, MIT).

    Hours that are missing, such as that of the spring's change of the clock, are gaps.

    Args:
        name: What to call it.
        lines: `name,timestamp,powerave,...`, oldest first.
    """
    rows = list(_rows(name, lines, 3))
    times = [_time(name, row[1]) for row in rows]
    if not times:
        raise TraceError(f"{name}: expected hourly values, found none")
    hours = [round((time - times[0]).total_seconds() / HOUR_S) for time in times]
    values = np.full((max(hours) + 1, 1), np.nan)
    for hour, row in zip(hours, rows, strict=True):
        values[max(hour, 0), 0] = _number(row[2])
    return trace_of(name, HOUR_S, values)


def node_trace(name: str, lines: Iterable[str], *, nodes_per_rack: int = 20) -> Trace:
    """Read daily node power of Marconi100 (m100-silicon-binning, MIT; data CC BY 4.0), one column a rack.

    Args:
        name: What to call it.
        lines: `node,day,total_power_mean,...`.
        nodes_per_rack: How many successive nodes make a rack.
    """
    days: dict[str, dict[int, list[float]]] = {}
    nodes: dict[int, set[int]] = {}
    for row in _rows(name, lines, 3):
        node = _node(name, row[0])
        nodes.setdefault(node // nodes_per_rack, set()).add(node)
        power = _number(row[2])
        if np.isfinite(power):
            days.setdefault(row[1], {}).setdefault(node // nodes_per_rack, []).append(power)
    numbers = sorted({rack for found in days.values() for rack in found})
    values = np.full((len(days), len(numbers)), np.nan)
    for place, day in enumerate(sorted(days)):
        for rack, powers in days[day].items():
            # A node that was not read that day drew about what the others did.
            values[place, numbers.index(rack)] = sum(powers) / len(powers) * len(nodes[rack])
    return trace_of(name, DAY_S, values)


def _node(name: str, text: str) -> int:
    if not text.isdecimal():
        raise TraceError(f"{name}: expected a node's number in the first column, found {text[:40]!r}")
    return int(text)


def server_trace(name: str, lines: Iterable[str], *, sensor: str = "Sys Power") -> Trace:
    """Read minutes of server power of Harvard FAS Research Computing (hpc_sustainability_dataset, MIT).

    Only the sensor of the whole server is taken: shared enclosures' come once for each server in them.

    Args:
        name: What to call it.
        lines: `host,timestamp_utc,sensor,value,unit,status`.
        sensor: Which sensor.
    """
    found: dict[str, dict[int, float]] = {}
    for row in _rows(name, lines, 4):
        if row[2] == sensor:
            minute = int(_time(name, row[1].replace(" UTC", "+00:00")).timestamp() // 60)
            found.setdefault(row[0], {})[minute] = _number(row[3])
    minutes = sorted({minute for host in found.values() for minute in host})
    if not minutes:
        raise TraceError(f"{name}: expected values of {sensor!r}, found none")
    span = range(minutes[0], minutes[-1] + 1)
    values = np.array([[found[host].get(m, np.nan) for host in sorted(found)] for m in span], np.float64)
    return trace_of(name, 60.0, values)


def _rows(name: str, lines: Iterable[str], columns: int) -> Iterable[list[str]]:
    reader = csv.reader(lines)
    next(reader, None)
    for number, row in enumerate(reader, 2):
        if len(row) < columns:
            raise TraceError(f"{name}, line {number}: expected {columns} columns or more, found {len(row)}")
        yield row


def _time(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise TraceError(f"{name}: expected a time in the second column, found {text[:40]!r}") from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
