"""A threshold with a hold has the states of the equivalent Prometheus alerting rule, at the same seconds.

promtool evaluates `inlet > 27` with `for` and `keep_firing_for` once a second; the engine judges T1 with the
same on-delay and off-delay and no deadband, on the same readings. Inactive, pending and firing are normal,
pending and active.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from facility.readings import Batch
from rules.alarms.states import ACTIVE, PENDING
from rules.base import Rule
from rules.engine.judging import Judging
from rules.registry import make_rules
from testing.builders import T0_MS
from testing.rules.halls import AT_ONCE, BUS, EVERY_SECOND, Tape, a_site, known_inlet, racks_of

PROMTOOL: Final = shutil.which("promtool")
pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(PROMTOOL is None, reason="no promtool on the PATH: it comes with Debian's prometheus"),
]

SEED: Final = 13
SECONDS: Final = 60
LIMIT_C: Final = 27.0
HOLDS_S: Final = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 3), (5, 0), (5, 5), (3, 10), (10, 2), (10, 10))
"""On-delay and off-delay of each tenth of the series [s]."""
STATES: Final = {PENDING: "pending", ACTIVE: "firing"}


def a_series(chance: random.Random) -> list[float]:
    """Return temperatures [°C]: runs above, below and exactly at the limit, of a second up to many."""
    values: list[float] = []
    while len(values) < SECONDS:
        length = min(1 + int(chance.expovariate(0.3)), 20)
        values += [chance.choice((24.5, 26.9, LIMIT_C, 27.1, 29.0, 31.5))] * length
    return values[:SECONDS]


def name_of(number: int) -> str:
    """Return the id of a rack; it begins with that of its delays."""
    return f"h{number % len(HOLDS_S)}-{number:04d}"


def the_rule() -> Rule:
    """Return T1 with the delays of each tenth of the racks, and no deadband."""
    others = [
        {"assets": [f"h{i}-*"], "on_delay_s": on_s, "off_delay_s": off_s}
        for i, (on_s, off_s) in enumerate(HOLDS_S)
    ]
    parameters = {"recommended_c": LIMIT_C, "agreed_c": 60, "allowable_c": 60, "deadband_c": 0, "for": others}
    faults: list[Any] = []
    (rule,) = (rule for rule in make_rules({"T1": parameters}, faults) if rule.name == "T1")
    assert not faults
    return rule


def judged(series: Sequence[Sequence[float]]) -> list[dict[str, str]]:
    """Return the racks that are pending or firing at each second, by the engine."""
    names = [name_of(number) for number in range(len(series))]
    site = a_site(racks_of(*names))
    engine = Judging(site, {BUS: EVERY_SECOND}, [the_rule()], tick_ms=1_000, lateness_ms=0, patience=AT_ONCE)
    tape = Tape()
    tape.put(T0_MS - 1_000, tuple(known_inlet(number, name) for number, name in enumerate(names)))
    tape.connect(T0_MS - 1_000)
    for entry in tape.entries:
        engine.take(entry)
    columns, found = np.array(series, np.float64), []
    for second in range(SECONDS):
        at = np.full(len(names), T0_MS + 1_000 * second)
        zeros = np.zeros(len(names))
        batch = Batch.of([np.arange(len(names)), at, at, columns[:, second], zeros, zeros])
        engine.take(tape.put(T0_MS + 1_000 * second, batch))
        engine.advance(T0_MS + 1_000 * second)
        (judge,) = engine.judges
        state = judge.bank.save()[0]["state"]
        pairs = zip(judge.bank.subjects, state.tolist(), strict=True)
        found.append({name: STATES[code] for name, code in pairs if code in STATES})
    return found


def alerting_rules() -> dict[str, Any]:
    """Return the equivalent alerting rules."""
    rules = [
        {
            "alert": f"h{i}",
            "expr": f'inlet{{hold="h{i}"}} > {LIMIT_C}',
            "for": f"{on_s}s",
            "keep_firing_for": f"{off_s}s",
        }
        for i, (on_s, off_s) in enumerate(HOLDS_S)
    ]
    return {"groups": [{"name": "inlets", "interval": "1s", "rules": rules}]}


def a_unit_test(series: Sequence[Sequence[float]], states: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Return the unit test by which promtool holds its own states against given ones."""
    inputs = [
        {
            "series": f'inlet{{hold="h{number % len(HOLDS_S)}",rack="{name_of(number)}"}}',
            "values": " ".join(map(str, values)),
        }
        for number, values in enumerate(series)
    ]
    expected = [
        {"expr": "ALERTS", "eval_time": f"{second}s", "exp_samples": list(samples_of(at))}
        for second, at in enumerate(states)
    ]
    test = {"interval": "1s", "input_series": inputs, "promql_expr_test": expected}
    return {"rule_files": ["rules.yml"], "evaluation_interval": "1s", "tests": [test]}


def samples_of(states: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the samples of `ALERTS` that stand for the states of a second."""
    for name, state in states.items():
        hold = name.partition("-")[0]
        labels = f'ALERTS{{alertname="{hold}",alertstate="{state}",hold="{hold}",rack="{name}"}}'
        yield {"labels": labels, "value": 1}


def promtool(folder: Path, series: Sequence[Sequence[float]], states: Sequence[dict[str, str]]) -> str:
    """Return what promtool finds different, "" for nothing."""
    assert PROMTOOL is not None
    # JSON is YAML.
    (folder / "rules.yml").write_text(json.dumps(alerting_rules()), encoding="utf-8")
    (folder / "test.yml").write_text(json.dumps(a_unit_test(series, states)), encoding="utf-8")
    command = [PROMTOOL, "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0 or "FAILED" in said, said
    return "" if done.returncode == 0 else said


def some_series(count: int) -> list[list[float]]:
    """Return random series, always the same."""
    chance = random.Random(SEED)  # noqa: S311 - series of a test
    return [a_series(chance) for _ in range(count)]


def test_states_are_those_of_the_equivalent_alerting_rule(tmp_path: Path) -> None:
    """Of 2,000 random series, at every second; all three states occur with every pair of delays."""
    series = some_series(2_000)
    states = judged(series)

    said = promtool(tmp_path, series, states)

    assert not said, f"seed {SEED}: {said[:2_000]}"
    seen = {(name.partition("-")[0], state) for at in states for name, state in at.items()}
    pending = {f"h{i}" for i, (on_s, _) in enumerate(HOLDS_S) if on_s}
    assert {hold for hold, state in seen if state == "firing"} == {f"h{i}" for i in range(len(HOLDS_S))}
    assert {hold for hold, state in seen if state == "pending"} == pending


def test_promtool_finds_one_state_that_is_wrong(tmp_path: Path) -> None:
    """So that its silence means something."""
    series = some_series(20)
    states = judged(series)
    second = next(i for i, at in enumerate(states) if at)
    del states[second][next(iter(states[second]))]

    assert "FAILED" in promtool(tmp_path, series, states)
