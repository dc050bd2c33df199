"""Finding a series: from a tenant, a rack or a point as people write it, and a span of time."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from rich.table import Table
from rich.text import Text

from facility.errors import MegawatchError
from facility.instants import explain_local, midnight_ms, to_iso, to_ms
from facility.names import nearest
from facility.points import Point
from facility.quantities import known_or_none
from facility.readings import Quality
from facility.site import Site
from megawatch.cli.outputs import Row
from megawatch.cli.usage import WrongUsage
from store.base import FIGURES, History, Series, computed

GOOD: Final = "good"

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)", re.ASCII)
LONGEST_MS: Final = 3_650 * 86_400_000
"""The longest duration that anybody means [ms] (our choice)."""
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class NotFound(MegawatchError):  # noqa: N818 - says what happened
    """Nothing of that name is known."""

    def __init__(self, expected: str, found: str, hint: str) -> None:
        super().__init__(f"expected {expected}, found '{found}'" + (f"; {hint}" if hint else ""))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        subject: A tenant, an asset, or the key of a point.
        what: A figure of a tenant's draw, or a quantity of an asset; "" for the usual one.
        from_ms: Start, included [ms].
        to_ms: End, not included [ms].
        step_ms: Means over this [ms]; None for every value.
    """

    subject: str
    what: str
    from_ms: int
    to_ms: int
    step_ms: int | None = None


def span_ms(text: str) -> int:
    """Return a duration such as `15m` [ms].

    Raises:
        WrongUsage: Where it is none.
    """
    match = _SPAN.fullmatch(text)
    if match is None or not float(match[1]):
        raise WrongUsage(f"expected a duration such as 90s, 15m, 6h or 2d, found '{text}'")
    found_ms = float(match[1]) * _UNIT_MS[match[2]]
    if found_ms > LONGEST_MS:
        raise WrongUsage(f"expected at most 3650d, found '{text}'")
    return round(found_ms)


def moment_ms(text: str, zone: ZoneInfo) -> int:
    """Return a date or a time, in the site's zone where it has none of its own [ms].

    Raises:
        WrongUsage: Where it is neither.
    """
    try:
        if len(text) == len("2026-01-01"):
            return midnight_ms(date.fromisoformat(text), zone)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(f"expected a date or an ISO 8601 time, found '{text}'") from error
    question = None if found.tzinfo else explain_local(found, zone)
    if question is not None:
        raise WrongUsage("expected {}, found {}".format(*question))
    return to_ms(found if found.tzinfo else found.replace(tzinfo=zone))


def answer(question: Question, site: Site, points: list[Point], history: History) -> Series:
    """Return the series that is asked for.

    Args:
        question: What is asked.
        site: What the site file declares.
        points: Every known point.
        history: Where to look.

    Raises:
        NotFound: Where nothing of that name is known.
    """
    tenants = {tenant.id for tenant in site.tenants} | {"operator"}
    if question.subject in tenants:
        figure = question.what or "best"
        if figure not in FIGURES:
            raise NotFound(f"one of {', '.join(FIGURES)}", figure, nearest(figure, FIGURES))
        drawn = history.draw(question.subject, figure, question.from_ms, question.to_ms)
        return drawn if question.step_ms is None else means(drawn, question.step_ms)
    key = _point(question, points, tenants).key
    if question.step_ms is None:
        return history.readings(key, question.from_ms, question.to_ms)
    from_ms = question.from_ms // question.step_ms * question.step_ms
    return history.means(key, from_ms, question.to_ms, question.step_ms)


def means(series: Series, step_ms: int) -> Series:
    """Return the means of a series that has a value a second, one for each step that has any.

    A step that is not known in part has no mean: a gap must not make it look better than it was.

    Args:
        series: One value a second.
        step_ms: Length of a step [ms].
    """
    starts, first = np.unique(series.time_ms // step_ms * step_ms, return_index=True)
    counts = np.diff(np.append(first, len(series.time_ms)))
    sums = np.add.reduceat(series.value, first) if len(first) else np.empty(0)
    return computed(series.name, series.unit, starts, sums / counts)


def quality_word(quality: int) -> str:
    """Return what a quality code means: `good`, or why a value is not to be trusted."""
    return Quality(quality).name.lower().replace("_", " ")


def _point(question: Question, points: list[Point], tenants: set[str]) -> Point:
    exact = [point for point in points if point.key == question.subject]
    if exact:
        return exact[0]
    mine = [point for point in points if point.asset == question.subject]
    if not mine:
        known = tenants | {point.asset for point in points}
        raise NotFound("a tenant, an asset or a point", question.subject, nearest(question.subject, known))
    if question.what:
        fitting = [point for point in mine if point.quantity == question.what]
        if not fitting:
            names = sorted({point.quantity for point in mine})
            hint = nearest(question.what, names)
            raise NotFound(f"a quantity of {question.subject}: {', '.join(names)}", question.what, hint)
    else:
        fitting = sorted(mine, key=lambda point: (not point.is_boundary, point.key))
    return fitting[0]


def as_rows(series: Series) -> list[Row]:
    """Return a series as rows of plain values."""
    return [
        {
            "time": to_iso(int(time)),
            "value": known_or_none(value),
            "quality": quality_word(quality),
        }
        for time, value, quality in zip(
            series.time_ms.tolist(), series.value.tolist(), series.quality.tolist(), strict=True
        )
    ]


def as_table(series: Series, zone: ZoneInfo) -> Table:
    """Return a series as a table for people.

    Args:
        series: Values in order of time.
        zone: Time zone of the times.
    """
    table = Table("time", box=None, header_style="dim", pad_edge=False)
    table.add_column(Text(f"{series.name} [{series.unit}]"), justify="right")
    table.add_column("quality")
    for row, time_ms in zip(as_rows(series), series.time_ms.tolist(), strict=True):
        value = "" if row["value"] is None else f"{row['value']:,.3f}"
        table.add_row(local_time(time_ms, zone), value, "" if row["quality"] == GOOD else row["quality"])
    return table


def as_csv(series: Series) -> str:
    """Return a series as CSV, with its unit in the heading; numbers only, so nothing in it is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", f"value [{series.unit}]", "quality"])
    for row in as_rows(series):
        writer.writerow([row["time"], "" if row["value"] is None else repr(row["value"]), row["quality"]])
    return out.getvalue()


def local_time(instant_ms: int, zone: ZoneInfo) -> str:
    """Return an instant as people at the site read it."""
    moment = datetime.fromtimestamp(instant_ms / 1_000, UTC).astimezone(zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
