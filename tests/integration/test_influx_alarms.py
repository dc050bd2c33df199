"""What the rules find in an InfluxDB that Telegraf fills is what they find in the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from math import ceil
from pathlib import Path
from typing import Final

import pytest

from collector.influx_poller import InfluxPoller
from facility.instants import HOUR_MS
from facility.points import Cadence
from facility.readings import Quality
from facility.sitefile.influxdb import rule_of
from facility.sitefile.tables import FeedTable, SeriesTable
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from rules.registry import make_rules
from store.influx.feed import InfluxFeed
from store.influx.query import InfluxQuery
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from testing.scenarios.reading import BROKER, FOLDER, Scenario, read
from testing.scenarios.runner import (
    AWAITED_MS,
    PUBLISHER,
    Found,
    ScenarioSource,
    banks_of,
    difference,
    follow,
    run,
)
from testing.servers.databases import GENERATIONS, Influx, influx

pytestmark = pytest.mark.servers

FLUSH_MS: Final = 10_000
"""Telegraf's `flush_interval`, where nobody sets another."""
SCENARIOS: Final = [read(path) for path in sorted(FOLDER.glob("*/*.toml"))]
TELLABLE: Final = (Quality.GOOD, Quality.IMPLAUSIBLE)
"""What a line can tell: that a source doubts a value, or has none, is not in it."""

MOST_STEPS: Final = 130
"""What takes longer runs with `make soak`."""

_NUMBERS = count()


def can_be_fed(scenario: Scenario) -> bool:
    """Tell whether lines hold all that a scenario says: powers, and no doubts, absences or heartbeats."""
    if scenario.lags_ms or any(" " in name for name in scenario.values):
        return False  # Telegraf stamps what it hears, and the lines here are of powers
    return scenario.cadence is Cadence.PERIODIC and all_tellable(scenario)


def all_tellable(scenario: Scenario) -> bool:
    """Tell whether lines can tell every value of a scenario."""
    said = (value for values in scenario.values.values() for value in values if value is not None)
    return all(value.quality in TELLABLE for value in said)


def is_quick(scenario: Scenario) -> bool:
    """Tell whether the suite has the time for a scenario: each of its steps asks a database.

    How lines come bears most on who drew how much and who is silent; of any other rule it is shown that it
    fires and what a gap does.
    """
    rule, _, name = scenario.name.partition("/")
    bears_most = rule.startswith(("c", "q1", "q2", "q3"))
    return scenario.steps <= MOST_STEPS and (bears_most or name in ("fires", "gap"))


FED: Final = [scenario for scenario in SCENARIOS if can_be_fed(scenario)]


@dataclass(slots=True)
class StillClock:
    """A clock that stands."""

    ms: int

    def now_ms(self) -> int:
        """Return when it stands [ms]."""
        return self.ms

    def monotonic_s(self) -> float:
        """Return the same in seconds."""
        return self.ms / 1_000


@pytest.fixture(scope="module", params=GENERATIONS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """Run an InfluxDB for the tests of this module; each scenario has measurements of its own."""
    with influx(str(request.param), tmp_path_factory.mktemp("influxd")) as found:
        yield found


class Telegraf:
    """Stores what a scenario says as Telegraf's MQTT consumer does: late, and many lines at once.

    Args:
        scenario: The scenario.
        source: When each step is.
    """

    def __init__(self, scenario: Scenario, source: ScenarioSource) -> None:
        self._prefix = f"mqtt_consumer_{next(_NUMBERS)}"
        self._meters = {str(asset.id): asset.kind for asset in scenario.file.site.assets}
        self._streams = scenario.streams
        self._lines = [
            (source.at_ms(number), self._line(name, value.number, source.at_ms(number)))
            for name, said in scenario.values.items()
            for number, value in enumerate(said)
            if value is not None and value.number is not None
        ]
        self._names = list(scenario.values)

    def renamed(self, subject: str) -> str:
        """Return what a subject of the scenario is called here: a publisher is a measurement."""
        own = f"{BROKER}:"
        return subject.replace(own, f"{own}{self._prefix}_") if subject.startswith(own) else subject

    def presence(self, at_ms: int) -> str:
        """Return a line of every series, of a moment [ms] before all others."""
        return "\n".join(self._line(name, 0.0, at_ms) for name in self._names)

    def series(self) -> list[SeriesTable]:
        """Return how its series are to be read."""
        found = {self._place(name): self._table(name) for name in self._names}
        return list(found.values())

    def flushed(self, after_ms: int, now_ms: int) -> str:
        """Return the lines that it writes after a moment, until another [ms]."""
        lines = [
            line for at_ms, line in self._lines if after_ms < ceil(at_ms / FLUSH_MS) * FLUSH_MS <= now_ms
        ]
        return "\n".join(lines)

    def _place(self, name: str) -> tuple[str, str]:
        asset, _, feed = name.partition(".")
        gateway = self._streams.get(name, PUBLISHER).rpartition(":")[2]
        return f"{self._prefix}_{gateway}", "meter_w" if asset in self._meters else f"power{feed}_w"

    def _table(self, name: str) -> SeriesTable:
        (measurement, field), (asset, _, feed) = self._place(name), name.partition(".")
        quantity = "meter.power.active" if asset in self._meters else "rack.power.active"
        said = {"measurement": measurement, "field": field, "tag": "topic", "asset": "hall/([^/]+)/power"}
        kind = self._meters.get(asset, "Rack")
        return SeriesTable.model_validate(
            said | {"quantity": quantity, "unit": "W", "kind": kind, "power_feed": feed}
        )

    def _line(self, name: str, kilowatts: float, at_ms: int) -> str:
        (measurement, field), asset = self._place(name), name.partition(".")[0]
        watts = round(kilowatts * 1e6) / 1e3
        return f"{measurement},host=collector-1,topic=hall/{asset}/power {field}={watts!r} {at_ms}"


def fed(scenario: Scenario, database: Influx, folder: Path) -> tuple[Found, Telegraf]:
    """Let Telegraf store what a scenario says, and judge what is read: every tick, as it would be live."""
    source = ScenarioSource(scenario)
    telegraf = Telegraf(scenario, source)
    said: Mapping[str, object] = {"url": database.server.url, "bucket": "readings", "name": BROKER}
    table = FeedTable.model_validate(said).model_copy(update={"series": telegraf.series()})
    engine = Judging(
        scenario.file.site,
        {BROKER: source.timing},
        make_rules(scenario.file.rules, []),
        tick_ms=scenario.step_ms,
        lateness_ms=table.lateness_ms,
        # Lines come as late as the feed waits for them.
        patience=Patience(grace_ms=table.lateness_ms, silent_ms=0, away_ms=0),
    )
    expected = [(rule, telegraf.renamed(subject)) for rule, subject in scenario.expect]
    banks, found = banks_of(engine), Found(dict.fromkeys(expected, ""), [], {})
    query = InfluxQuery(database.table(), lambda: database.reader)
    clock = StillClock(source.at_ms(-1))
    with closing(query), closing(Journal(folder)) as journal, closing(Ledger(folder)) as ledger:
        feed = InfluxFeed(query, [rule_of(series) for series in telegraf.series()], BROKER, {})
        # The journal knows every series from before, though nothing that it said.
        long_ago_ms = source.at_ms(0) - HOUR_MS
        database.write(telegraf.presence(long_ago_ms))
        known = feed.past(long_ago_ms, long_ago_ms + 1).known
        journal.append(Intake(known=known), source.at_ms(-1) - AWAITED_MS)
        feeder = InfluxPoller(table, feed, scenario.file.site, journal, ledger, clock=clock, since_ms=0)
        journal.append(feeder.opening(), source.at_ms(-1))
        before_ms = source.at_ms(-1) - 1
        for number in range(-1, scenario.steps):
            now_ms = source.at_ms(number) + (table.lateness_ms if number >= 0 else 0)
            if lines := telegraf.flushed(before_ms, now_ms):
                database.write(lines)
            before_ms = now_ms
            for intake in feeder.step(now_ms):
                journal.append(intake, now_ms)
            steps = [step for entry in journal.read(engine.seq) for step in engine.take(entry)]
            steps += engine.advance(now_ms)
            if number < 0:
                for each in engine.engines.values():
                    each.began_ms -= AWAITED_MS
            if number >= 0:
                follow(found, banks, [change for step in steps for change in step.changes], number)
    found.subjects = {rule: bank.subjects for rule, bank in banks.items()}
    return found, telegraf


@pytest.mark.parametrize(
    "scenario",
    [pytest.param(each, id=each.name, marks=[] if is_quick(each) else [pytest.mark.soak]) for each in FED],
)
def test_the_same_alarms(scenario: Scenario, database: Influx, tmp_path: Path) -> None:
    """Every alarm takes the path that the scenario says, and people hear what they hear from the journal."""
    found, telegraf = fed(scenario, database, tmp_path)

    def renamed(told: Sequence[str]) -> tuple[str, ...]:
        return tuple(" ".join(map(telegraf.renamed, line.split(" "))) for line in told)

    expect = {(rule, telegraf.renamed(subject)): path for (rule, subject), path in scenario.expect.items()}
    told = None if scenario.told is None else renamed(scenario.told)
    wrong = difference(replace(scenario, expect=expect, told=told), found)
    assert not wrong, f"\n{wrong}"
    assert sorted(found.told) == sorted(renamed(run(scenario).told))


def test_nearly_every_scenario_is_fed() -> None:
    """What is left out is about what no line holds: heartbeats, clocks, values that their source doubts.

    Nor do the lines here hold what is no power, such as currents and flows.
    """
    others = {scenario.name for scenario in SCENARIOS if any(" " in name for name in scenario.values)}
    others |= {scenario.name for scenario in SCENARIOS if not all_tellable(scenario)}
    left = {scenario.name for scenario in SCENARIOS if scenario not in FED} - others

    about = {
        "q1_rack_silent/on_change",
        "q1_rack_silent/on_change_at_the_limit",
        "q1_rack_silent/publisher_gone",
        "q1_rack_silent/not_to_be_trusted",
        "q1_rack_silent/long_not_to_be_trusted",
        "q3_common_silence/a_dead_gateway",
        "q3_common_silence/a_feed_each",
    }
    assert {name for name in left if not name.startswith("q6_clock_off/")} <= about
    assert len(FED) >= 0.8 * (len(SCENARIOS) - len(others))
