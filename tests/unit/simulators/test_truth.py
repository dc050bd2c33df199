"""The truth of a run: exact, complete, readable by anybody."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from simulators.model.wiring import wire
from simulators.run import Simulation
from simulators.scenario.file import open_scenario, read_scenario
from simulators.scenario.scenario import Scenario
from simulators.truth.conditions import Conditions
from simulators.truth.silences import silences
from simulators.truth.truth import Truth, plain, write_blocks

TEXT = """
proves = "That the truth is written."
begin = 2026-06-01T12:00:00Z
seconds = 130

[layout]
racks = 8
racks_per_row = 4

[[lease]]
id = "acme"
racks = 4
contract = '''
from = 2026-01-01
committed_mw = 0.4
limit = { method = "block", minutes = 1 }
---
from = 2026-06-01T12:01:30Z
committed_mw = 0.4
boundary = "named_meters"
meters = ["P01A-BUS-A", "P01A-BUS-B"]
'''

[[load]]
name = "job"
kind = "course"
racks = "acme"
kw = [[0, 90], [60, 90], [61, 110]]

[[event]]
kind = "feed_loss"
at_s = 20
until_s = 40
subjects = "A"

[[fault]]
kind = "silent"
from_s = 50
to_s = 70
scope = "GW-P01B"
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenario, Truth, Path]:
    """A run of two minutes, recorded."""
    scenario, folder = read_scenario(TEXT), tmp_path_factory.mktemp("truth")
    wiring = wire(scenario.site.site)
    simulation, conditions = Simulation(scenario, wiring=wiring), Conditions(wiring)
    truth = Truth(scenario, wiring, folder)
    published = 0
    for second in simulation.seconds():
        truth.note(second.state)
        conditions.note(second.state)
        published += len(second.rows)
    found = [*conditions.found, *silences(scenario, simulation.catalogue)]
    truth.close(conditions=found, accounts=simulation.accounts, published={"published": published})
    return scenario, truth, folder


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    """Return the records of a file of JSON lines."""
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def test_tenants_are_the_sums_of_their_racks(recorded: tuple[Scenario, Truth, Path]) -> None:
    """In each second the racks of the truth add up to the tenants of the truth, to the milliwatt."""
    scenario, truth, folder = recorded
    held = {str(rack) for rack in scenario.site.site.tenants[0].racks_at(scenario.begin_ms)}
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT id, milliwatts FROM read_parquet(?) ORDER BY time, id", [str(folder / "racks" / "*")]
        ).fetchall()

    powers = np.array([power for _, power in found]).reshape(130, 8)
    mine = [rack in held for rack, _ in found[:8]]
    assert powers[:90, mine].sum(axis=1).tolist() == truth.series("acme")[:90]
    assert powers[:, [not own for own in mine]].sum(axis=1).tolist() == truth.series("operator")


def test_a_named_meter_is_what_counts_where_the_contract_names_it(
    recorded: tuple[Scenario, Truth, Path],
) -> None:
    """From the amendment on the busways are summed, which carry their own losses and those of the taps."""
    _, truth, folder = recorded
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT sum(milliwatts) FROM read_parquet(?) WHERE id LIKE 'P01A-BUS-%' "
            "GROUP BY time ORDER BY time",
            [str(folder / "nodes" / "*")],
        ).fetchall()

    assert [int(power) for (power,) in found][90:] == truth.series("acme")[90:]
    assert truth.series("acme")[95] > 4 * 110_000_000


def test_what_was_broken_is_in_the_episodes(recorded: tuple[Scenario, Truth, Path]) -> None:
    """The second block closed above its limit; the instant clause after it is broken on."""
    _, _, folder = recorded

    found = [(e["clause"], e["from"], e["to"], e["duty"]) for e in rows(folder, "episodes.jsonl")]

    assert ("demand", "2026-06-01T12:01:00.000Z", "2026-06-01T12:01:30.000Z", "page") in found
    assert ("overdraw", "2026-06-01T12:01:30.000Z", "2026-06-01T12:02:10.000Z", "page") in found


def test_the_demand_of_each_block_is_the_mean_of_its_seconds(recorded: tuple[Scenario, Truth, Path]) -> None:
    """Two blocks: a whole minute, and the half of one in which the demand clause still holds."""
    scenario, truth, folder = recorded
    drawn = truth.series("acme")
    first, second = sum(drawn[:60]) / 60, sum(drawn[60:90]) / 30
    with duckdb.connect() as connection:
        found = connection.execute(
            'SELECT epoch_ms("from"), epoch_ms("to"), id, milliwatts, allowed_milliwatts '
            "FROM read_parquet(?)",
            [str(folder / "demand.parquet")],
        ).fetchall()

    starts = [(row[0] - scenario.begin_ms, row[1] - scenario.begin_ms, row[2]) for row in found]
    assert starts == [(0, 60_000, "acme"), (60_000, 90_000, "acme")]
    assert [row[3] for row in found] == pytest.approx([first, second], rel=1e-15)
    assert [row[4] for row in found] == [400_000_000, 400_000_000]
    assert first < 400_000_000 < second
    lines = [
        (e["from_ms"], e["to_ms"], e["tenant"], e["demand"], e["allowed"])
        for e in rows(folder, "demand.jsonl")
    ]
    assert lines == found


def test_a_run_without_demand_clauses_has_an_empty_table(tmp_path: Path) -> None:
    """The columns are there all the same, for those who query over many runs."""
    write_blocks(tmp_path / "demand.parquet", [])

    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(tmp_path / "demand.parquet")])
        assert [column[0] for column in found.description or ()] == [
            "from",
            "to",
            "id",
            "milliwatts",
            "allowed_milliwatts",
        ]
        assert found.fetchall() == []


def test_conditions_have_beginning_and_end(recorded: tuple[Scenario, Truth, Path]) -> None:
    """The dead feed is in the truth from the second it died to the second it came back."""
    _, _, folder = recorded

    dead = {c["subject"]: (c["from"], c["to"]) for c in rows(folder, "conditions.jsonl") if c["rule"] == "E4"}

    assert dead["P01A-01-TAP-A"] == ("2026-06-01T12:00:20.000Z", "2026-06-01T12:00:40.000Z")
    assert not any(str(subject).endswith("TAP-B") for subject in dead)


def test_silence_is_told_of_racks_tenants_and_gateways() -> None:
    """A gateway and two meters, for a while at once: each has its times, and so have racks and tenants."""
    scenario = read_scenario(f"""{TEXT}
[[fault]]
kind = "mute"
from_s = 60
to_s = 999
scope = "P01A-0[12]"
""")
    found = silences(scenario, Simulation(scenario).catalogue)

    times = {
        (c.rule, c.subject): (
            (c.from_ms - scenario.begin_ms) // 1_000,
            None if c.to_ms is None else (c.to_ms - scenario.begin_ms) // 1_000,
            c.worst,
        )
        for c in found
    }
    assert len(times) == len(found)
    assert times == {
        **{("Q1", f"P01B-0{n}"): (50, 70, 0.0) for n in range(1, 5)},
        ("Q3", "GW-P01B"): (50, 70, 0.0),
        ("Q1", "P01A-01"): (60, None, 0.0),
        ("Q1", "P01A-02"): (60, None, 0.0),
        ("Q2", "acme"): (60, None, 0.5),
    }


def test_faults_and_the_run_itself_are_told(recorded: tuple[Scenario, Truth, Path]) -> None:
    """What was asked for, what it did, how much was published; and the site that all of it is about."""
    scenario, _, folder = recorded

    (fault,) = rows(folder, "faults.jsonl")
    (head,) = rows(folder, "run.jsonl")

    assert fault["spec"]["kind"] == "silent"  # type: ignore[index]  # a document
    assert int(str(fault["withheld"])) > 0
    assert head["scenario"] == scenario.name
    assert int(str(head["published"]["published"])) > 0  # type: ignore[index]  # a document
    assert (folder / "site.toml").read_text(encoding="utf-8") == scenario.site_text


def test_the_same_seed_is_the_same_truth() -> None:
    """Two runs of a scenario draw the same, to the milliwatt."""
    scenario = open_scenario("c_swing_within_a_second")
    series = []
    for _ in range(2):
        wiring = wire(scenario.site.site)
        simulation, truth = Simulation(scenario, wiring=wiring), Truth(scenario, wiring)
        for _ in range(20):
            truth.note(simulation.step().state)
        series.append(truth.series("acme"))

    assert series[0] == series[1]
    assert len(set(series[0])) > 1


def test_records_become_plain_documents() -> None:
    """Fractions become numbers, endless times nothing, and each time stands as text beside its figure."""
    scenario = open_scenario("d_feed_lost")

    document = plain(scenario.events[0])

    assert json.loads(json.dumps(document)) == document
    assert document["kind"] == "feed_loss"
