"""A gateway that polls its racks in rounds says everything at once and then nothing: that is no silence."""

from __future__ import annotations

import pytest

from facility.instants import MINUTE_MS
from facility.sitefile.reader import read_site
from megawatch.scenario.offline import Rehearsal, as_message
from rules.engine.engine import Step
from tests.builders import T0_MS

BEGIN_MS = (T0_MS // MINUTE_MS + 1) * MINUTE_MS
"""A demand block begins here."""
RACKS = 20
ROUNDS = 5
DELAY_MS = 40
"""How long a document is on its way [ms]."""
BETWEEN_MS = 250
"""How long the gateway takes for each rack [ms]."""


@pytest.mark.parametrize("period_s", [15, 30, 60])
def test_polling_in_bursts_is_told_of_by_no_rule(period_s: int) -> None:
    """From documents to pages: none about a rack, its coverage or a common cause, and the draw is known."""
    steps: list[Step] = []
    rehearsal = Rehearsal(read_site(_site_text(period_s)), begin_ms=BEGIN_MS, told=steps.append)
    for turn in range(ROUNDS):
        begin_ms = BEGIN_MS + turn * period_s * 1_000
        stamps_ms = [begin_ms + rack * BETWEEN_MS for rack in range(RACKS)]
        documents = [
            as_message(
                f"megawatch/v1/polled/r{rack:02}",
                f'{{"rack":"r{rack:02}","time":{at_ms},"power_kw":60}}'.encode(),
                at_ms + DELAY_MS,
                qos=1,
                is_retained=False,
            )
            for rack, at_ms in enumerate(stamps_ms)
        ]
        rehearsal.hear(documents, begin_ms + period_s * 1_000)

    assert [alarm.rule for alarm in rehearsal.heard.alarms] == []
    heard_ms = BEGIN_MS + RACKS * BETWEEN_MS
    known = {
        (draw.low_milliwatts, draw.high_milliwatts)
        for step in steps
        if step.at_ms > heard_ms
        for draw in step.draws
        if draw.tenant == "acme"
    }
    assert known == {(1_200 * 10**6, 1_200 * 10**6)}


def _site_text(period_s: int) -> str:
    return f"""
[site]
name = "polled"
rack_rating_kw = 100

[[rack]]
ids = "r{{00..{RACKS - 1}}}"

[[broker]]
url = "mqtt://127.0.0.1"
format = "rack-documents"
period_s = {period_s}

[[tenant]]
id = "acme"
holds = [{{ racks = "r{{00..{RACKS - 1}}}", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.5
limit = {{ method = "block", minutes = 1 }}
"""
