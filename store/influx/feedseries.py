"""The series of a foreign InfluxDB that are read, and what is told where they cannot be believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from facility.feedrule import FeedRule
from facility.readings import FloatArray, IntArray

Source = tuple[int, tuple[tuple[str, str], ...]]
"""A series: by which rule it was found, and its tags."""
Subject = tuple[str, str, str]
"""What a point is about: asset, quantity and power feed."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is new of one series.

    Attributes:
        source: The series, by its measurement, field and tags.
        subject: What it is about.
        number: Number of its point in the register.
        time_ms: When, shape (n,), int64 [ms].
        value: What was stored, shape (n,), float64 [canonical unit].
        others: What was stored and is no number: when [ms], and a text or a truth value.
    """

    source: Source
    subject: Subject
    number: int
    time_ms: IntArray
    value: FloatArray
    others: Sequence[tuple[int, str | bool]]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a database holds of the points of a site, for `check` and `doctor`.

    Attributes:
        series: How many series were stored lately.
        assets: Of how many assets.
        newest_ms: When the newest reading was [ms]; None without any.
        faults: What keeps them from being judged, a sentence each.
    """

    series: int
    assets: int
    newest_ms: int | None
    faults: tuple[str, ...]


def no_number(rules: Sequence[FeedRule], source: Source, cell: object) -> str:
    """Return what to say of a text or a truth value where a number is expected.

    Args:
        rules: All rules.
        source: The series in which it stands.
        cell: The text, or the truth value.
    """
    rule, tags = rules[source[0]], dict(source[1])
    what = "the truth value" if isinstance(cell, bool) else "the text"
    place = f"{rule.measurement}.{rule.field} of {tags[rule.tag]!a}"
    return f"expected a number in {place}, found {what} {json.dumps(cell)[:80]}"


def contradiction(rules: Sequence[FeedRule], subject: Subject, sources: Sequence[Source]) -> str:
    """Return what to say where several series say what one point is: which they are, and what to do.

    Args:
        rules: All rules.
        subject: What the point is about.
        sources: The series, at least two.
    """
    asset, quantity, _ = subject
    used = (rules[place] for place, _ in sources)
    places = ", ".join(dict.fromkeys(f"{rule.measurement}.{rule.field}" for rule in used))
    common = set(sources[0][1]).intersection(*(tags for _, tags in sources))
    apart = (
        ", ".join(f"{tag}={value}" for tag, value in tags if (tag, value) not in common)
        for _, tags in sources
    )
    listed = "; ".join(sorted(filter(None, apart))[:4])[:200]
    return (
        f"expected one series of {quantity} of {asset}, found {len(sources)} of {places}"
        + (f" ({listed})" if listed else "")
        + ": name one with where = { tag = 'value' }, or store their sum"
    )
