"""A gateway that polls its racks in rounds says everything at once and then nothing: that is no silence."""

from __future__ import annotations

import pytest

from rules.engine.engine import Step
from tests.rehearsals.bursts import BEGIN_MS, BETWEEN_MS, PERIODS_S, RACKS, poll_in_bursts


@pytest.mark.parametrize("period_s", PERIODS_S)
def test_polling_in_bursts_is_told_of_by_no_rule(period_s: int) -> None:
    """From documents to pages: none about a rack, its coverage or a common cause, and the draw is known."""
    steps: list[Step] = []

    heard = poll_in_bursts(period_s, told=lambda _file, step: steps.append(step))

    assert [alarm.rule for alarm in heard.alarms] == []
    heard_ms = BEGIN_MS + RACKS * BETWEEN_MS
    known = {
        (draw.low_milliwatts, draw.high_milliwatts)
        for step in steps
        if step.at_ms > heard_ms
        for draw in step.draws
        if draw.tenant == "acme"
    }
    assert known == {(1_200 * 10**6, 1_200 * 10**6)}
