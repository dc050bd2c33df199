"""A gateway that polls its racks in rounds, through the whole monitor."""

from __future__ import annotations

from collections.abc import Callable

from facility.instants import MINUTE_MS
from facility.sitefile.reader import SiteFile, read_site
from rules.engine.engine import Step
from testing.builders import T0_MS
from testing.rehearsal.rehearsal import Heard, Rehearsal, as_message

PERIODS_S = (15, 30, 60)
"""How often the rounds are that are played [s]."""
BEGIN_MS = (T0_MS // MINUTE_MS + 1) * MINUTE_MS
"""A demand block begins here."""
RACKS = 20
ROUNDS = 5
DELAY_MS = 40
"""How long a document is on its way [ms]."""
BETWEEN_MS = 250
"""How long the gateway takes for each rack [ms]."""


def poll_in_bursts(period_s: int, told: Callable[[SiteFile, Step], None]) -> Heard:
    """Let a monitor hear some rounds, one each `period_s`; `told` is given the site and every step."""
    file = read_site(_site_text(period_s))
    rehearsal = Rehearsal(file, begin_ms=BEGIN_MS, told=lambda step: told(file, step))
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
    return rehearsal.heard


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
