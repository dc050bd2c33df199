"""A scenario on a real broker: everything is taken, nothing is stamped ahead, and the truth is beside it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from megawatch.run.clock import SteadyClock
from megawatch.scenario.destination import Destination
from megawatch.scenario.play import begun_at, play_scenario
from simulators.publish.pace import Pace
from simulators.run import Second
from simulators.scenario.file import open_scenario, read_scenario
from testing.rehearsal.perform import perform
from testing.servers.brokers import Mosquitto
from tests.rehearsals.performances import TICK_MS


@pytest.mark.servers
def test_a_scenario_is_played_to_a_broker(tmp_path: Path) -> None:
    """A minute in two seconds: all messages acknowledged, none of a moment to come, the truth written."""
    scenario = replace(open_scenario("i_grid_sag"), seconds=60)
    clock, ahead = SteadyClock(), list[int]()

    def said(second: Second, _pace: Pace) -> None:
        ahead.append(second.time_ms - clock.now_ms())

    with Mosquitto(tmp_path / "broker") as broker:
        played = asyncio.run(
            play_scenario(
                scenario,
                Destination.of(broker.url),
                clock=clock,
                speed=30,
                folder=tmp_path / "truth",
                said=said,
            )
        )

    assert played.published == played.acknowledged > 1_000
    assert played.undelivered == 0
    assert len(ahead) == 60
    assert max(ahead) <= 0
    with duckdb.connect() as connection:
        (rows,) = connection.execute(
            "SELECT count(*) FROM read_parquet(?)", [str(tmp_path / "truth" / "tenants.parquet")]
        ).fetchall()
    assert rows == (120,)
    head = json.loads((tmp_path / "truth" / "run.jsonl").read_text(encoding="utf-8"))
    assert head["published"] == {
        "published": played.published,
        "acknowledged": played.published,
        "undelivered": 0,
    }


MOVED = """
proves = "That its dates move with it."
begin = 2026-06-01T00:00:00-05:00
seconds = 150

[layout]
racks = 6
racks_per_row = 6
timezone = "America/Chicago"

[[lease]]
id = "acme"
racks = 6
contract = '''
from = 2026-01-01
committed_mw = 0.790
ramp = [
  { from = 2026-01-01, committed_mw = 0.500 },
  { from = 2026-06-01T00:00:30-05:00, committed_mw = 0.790 },
]
limit = { method = "block", minutes = 1 }
---
from = 2026-06-01T05:01:00Z
committed_mw = 0.500
limit = { method = "instantaneous" }
ends = 2026-06-01T00:02:00-05:00
'''

[[load]]
name = "over"
kind = "steady"
racks = "acme"
total_kw = 700
"""


def test_a_scenario_that_begins_at_another_time_is_the_same_scenario() -> None:
    """Ramps, amendments and ends of contracts move with it: the same alarms, at the same seconds."""
    scenario = read_scenario(MOVED)
    moved = begun_at(scenario, scenario.begin_ms + 12_345 * 60_000)

    before, after = (perform(played, tick_ms=TICK_MS, gather_ms=TICK_MS) for played in (scenario, moved))

    alarms = [(a.rule, a.opened_ms - scenario.begin_ms, a.returned_ms) for a in before.heard.alarms]
    assert [(a.rule, a.opened_ms - moved.begin_ms) for a in after.heard.alarms] == [a[:2] for a in alarms]
    assert {rule for rule, *_ in alarms} >= {"C2", "C4"}
    (tenant,), (old,) = moved.site.site.tenants, scenario.site.site.tenants
    assert tenant.contract is not None
    assert old.contract is not None
    assert tenant.contract.ends_ms == (old.contract.ends_ms or 0) + 12_345 * 60_000
