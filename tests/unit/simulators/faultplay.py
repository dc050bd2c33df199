"""One fault at a time: a run without and a run with it, and what must be the same of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from simulators.run import Second, Simulation
from simulators.scenario.scenario import FaultSpec, Scenario
from simulators.wire.faults import Account
from testing.simulators.simulated import BEGIN_MS, a_scenario, lines, run, with_faults

RACK = "P01A-02"
GATEWAY = "GW-P01A"
ROW = ("P01A-01", "P01A-02", "P01A-03", "P01A-04")
WINDOW = (5, 20)

Line = tuple[str, bytes, int, bool]


@cache
def scenario_of(seconds: int = 30, zone: str = "Asia/Kathmandu") -> Scenario:
    """Return the scenario that the faults strike."""
    return a_scenario(seconds=seconds, zone=zone)


@cache
def clean_of(seconds: int = 30) -> tuple[Simulation, list[Second]]:
    """Return its run without a fault."""
    return run(scenario_of(seconds))


@dataclass(frozen=True, slots=True)
class Played:
    """A run with a fault, and the same without.

    Attributes:
        spec: The fault.
        clean: What is said without it.
        said: What is said with it.
        withheld: What was kept from being sent.
        account: What the fault says that it did.
    """

    spec: FaultSpec
    clean: list[Line]
    said: list[Line]
    withheld: list[Line]
    account: Account

    def of(
        self, said: list[Line], part: str, *, to_s: int | None = None, from_s: int | None = None
    ) -> list[Line]:
        """Return the lines of topics with a part, sent in the fault's window or another."""
        begin = BEGIN_MS + (self.spec.from_s if from_s is None else from_s) * 1_000
        end = BEGIN_MS + (self.spec.to_s if to_s is None else to_s) * 1_000
        return [line for line in said if part in line[0] and begin <= line[2] < end]


def play(spec: FaultSpec, *, is_touched: Callable[[str], bool], seconds: int = 30) -> Played:
    """Run without and with a fault; check that it is noted, and that nothing else has changed."""
    _, clean = clean_of(seconds)
    simulation, seconds_with = run(with_faults(scenario_of(seconds), spec))
    topics = simulation.topics
    before = [line for second in clean for line in lines(second.rows, topics)]
    after = [line for second in seconds_with for line in lines(second.rows, topics)]
    withheld = [line for second in seconds_with for line in lines(second.withheld, topics)]
    assert _others(before, is_touched) == _others(after, is_touched), "it touched what is not its own"
    begin = BEGIN_MS + spec.from_s * 1_000
    assert [x for x in before if x[2] < begin] == [x for x in after if x[2] < begin], "it began too early"
    (account,) = simulation.accounts
    assert account.first_ms is not None
    assert account.last_ms is not None
    assert begin <= account.first_ms <= account.last_ms < BEGIN_MS + (spec.to_s + 1) * 1_000
    marked = sum(int((second.rows.faults != 0).sum()) for second in seconds_with)
    held = int((simulation.held.faults != 0).sum())
    assert account.touched == marked + held
    assert account.withheld == len(withheld)
    assert account.touched + account.withheld > 0
    return Played(spec, before, after, withheld, account)


def _others(said: list[Line], is_touched: Callable[[str], bool]) -> list[Line]:
    return [line for line in said if not is_touched(line[0])]


def of_rack(topic: str) -> bool:
    """Tell whether a topic is of the struck rack."""
    return f"/{RACK}/" in topic


def of_power(topic: str) -> bool:
    """Tell whether a topic is that of the values of its power."""
    return f"/Value/Rack/RackPower/titan/P01A/{RACK}/" in topic


def of_row(topic: str) -> bool:
    """Tell whether a topic is of the struck row, as its gateway publishes it."""
    return "/titan/P01A/" in topic and "BMS/v1/PUB/" in topic


def body_of(line: Line) -> dict[str, Any]:
    """Return what a message says."""
    body: dict[str, Any] = json.loads(line[1])
    return body


def values_of(said: list[Line]) -> list[Any]:
    """Return the values of messages."""
    return [body_of(line)["value"] for line in said]
