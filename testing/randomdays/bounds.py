"""What a monitor says of a draw, tick by tick, held against the truth: no certainty that is false.

A monitor that says nothing false says "at most this" of nothing that could be known to be more, and "at least
this" of nothing that was less. Where the limit lies between what it says and what is so, the sentence is the
worst that it can say: *clear* when it is not, or *over* when it is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from facility.instants import to_iso
from simulators.truth.episodes import Sight
from simulators.truth.terms import SECOND_MS, Agreement, Milliwatts, delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a monitor says of a tenant's draw at a moment.

    Attributes:
        at_ms: The moment, a whole second [ms].
        low: It draws at least this [mW].
        high: It draws at most this [mW], None where there is no bound.
    """

    at_ms: int
    low: int
    high: int | None


def false_certainties(
    tenant: str, agreement: Agreement | None, sight: Sight, said: Iterable[Bounds]
) -> Iterator[str]:
    """Yield where a monitor was certain of what is false, one sentence for each time on end.

    Args:
        tenant: Whose draw it is.
        agreement: Its contract, None where it has none.
        sight: What it drew, and what could be known of it.
        said: What the monitor said, in order of time.
    """
    before = ""
    for bounds in said:
        place = (bounds.at_ms - sight.begin_ms) // SECOND_MS
        if not 0 <= place < len(sight.true):
            continue
        terms = None if agreement is None else agreement.at(bounds.at_ms)
        least, most = (delivered(series[place], terms) for series in (sight.open, sight.recent))
        limit = None if terms is None else terms.allowed(bounds.at_ms)
        what = ""
        if bounds.high is not None and bounds.high < least:
            is_clear = limit is not None and bounds.high <= limit < least
            what = "false clear" if is_clear else "too low"
        elif bounds.low > most:
            is_over = limit is not None and most <= limit < bounds.low
            what = "false overdraw" if is_over else "too high"
        if what and what != before:
            yield f"{what}: {tenant} at {to_iso(bounds.at_ms)[11:]}, {_described(bounds, least, most, limit)}"
        before = what


def _described(bounds: Bounds, least: Milliwatts, most: Milliwatts, limit: Milliwatts | None) -> str:
    high = "anything" if bounds.high is None else f"{bounds.high / 1e6:.3f}"
    held = "" if limit is None else f" of {float(limit) / 1e6:.3f}"
    truth = f"{float(least) / 1e6:.3f} to {float(most) / 1e6:.3f}"
    return f"said {bounds.low / 1e6:.3f} to {high}{held} kW, right {truth}"
