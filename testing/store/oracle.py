"""Answers worked out the slow way, to hold the fast ones against."""

from __future__ import annotations

from fractions import Fraction

from facility.readings import Batch, Quality


def means_by_hand(
    batch: Batch, hold_ms: int, span: tuple[int, int], step_ms: int
) -> dict[int, tuple[Fraction, Fraction]]:
    """Return the exact mean and coverage of each step of a span that some good value stood in, by its start.

    Args:
        batch: The readings of one point in order of time, one for each moment.
        hold_ms: How long a value stands [ms].
        span: Start and end [ms].
        step_ms: Length of a step [ms].
    """
    start, end = span
    totals: dict[int, Fraction] = {}
    covered: dict[int, int] = {}
    times = batch.source_ms.tolist()
    for row, (begin, value, quality) in enumerate(
        zip(times, batch.value.tolist(), batch.quality.tolist(), strict=True)
    ):
        if quality != Quality.GOOD:
            continue
        until = min([begin + hold_ms, end, *times[row + 1 : row + 2]])
        at = max(begin, start)
        while at < until:
            step = start + (at - start) // step_ms * step_ms
            stop = min(until, step + step_ms)
            totals[step] = totals.get(step, Fraction(0)) + Fraction(value) * (stop - at)
            covered[step] = covered.get(step, 0) + stop - at
            at = stop
    return {step: (totals[step] / covered[step], Fraction(covered[step], step_ms)) for step in sorted(totals)}
