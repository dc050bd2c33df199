"""The runs whose alarms, pages and series are stored in `tests/data/alarms_before`, one file for each list.

    python -m tests.rehearsals.alarmruns                 says which lists differ, and where they begin to
    python -m tests.rehearsals.alarmruns --rewrite       writes all lists anew, or those that are named
    python -m tests.rehearsals.alarmruns --ticks NAME    prints a list with every tick of its series

A list is written anew where a change of what the monitor says is wanted, and its diff is reviewed with the
change. Where only a digest of a minute differs, `--ticks` before and after shows the tick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from facility.sitefile.reader import read_site
from simulators.scenario.file import open_scenario, shipped
from testing import recording
from testing.builders import T0_MS
from testing.rehearsal.rehearsal import Rehearsal, as_message
from testing.scenarios.reading import FOLDER as SCENARIOS
from testing.scenarios.reading import read
from tests.rehearsals.alarmlist import AlarmList, difference
from tests.rehearsals.bursts import PERIODS_S, poll_in_bursts
from tests.rehearsals.contractplays import case_of, hear, rehearsal_of
from tests.rehearsals.days import live_through
from tests.rehearsals.performances import KNOWN, perform_into, play_into

FOLDER: Final = Path(__file__).parents[1] / "data" / "alarms_before"
DAYS: Final = range(10)
DAY_S: Final = 150
LEFT_OUT: Final = ("C1", "C5", "C10", "Q1", "Q2", "Q3", "Q5")
"""Rules that random days are judged without: they would say much, and other runs are about them."""
CONTRACTS: Final = range(20)
SHIPPED: Final = [name for name in shipped() if name != "day"]
"""A whole day takes longer than a test may; what it is made of is in the others."""
BOUNDARIES: Final = ("rack_input", "tap_meter")
SILENT_S: Final = 150
"""How long the recording's site is silent after it [s]."""

Start = Callable[[str], AlarmList]
"""Begins the list of a run, by its name."""


def paths_of(folder: str) -> list[Path]:
    """Return the files of the scenarios of a rule, in the order of its list."""
    return sorted((SCENARIOS / folder).glob("*.toml"))


def rule_scenarios(folder: str, start: Start) -> list[str]:
    """Return the lines of every scenario of a rule."""
    lines: list[str] = []
    for path in paths_of(folder):
        scenario = read(path)
        found = start(scenario.name)
        play_into(found, scenario)
        lines += found.lines()
    return lines


def shipped_scenario(name: str, start: Start) -> list[str]:
    """Return the lines of a scenario that comes with the product."""
    found = start(name)
    performed = perform_into(found, open_scenario(name, rules=KNOWN))
    return found.lines(performed.heard)


def random_days(start: Start) -> list[str]:
    """Return the lines of some random days."""
    lines: list[str] = []
    for seed in DAYS:
        found = start(f"random day {seed}")
        day = live_through(seed, seconds=DAY_S, unused=LEFT_OUT, told=found.note)
        lines += found.lines(day.heard)
    return lines


def exact_contracts(start: Start) -> list[str]:
    """Return the lines of some random contracts."""
    lines: list[str] = []
    for seed in CONTRACTS:
        found, case = start(f"contract {seed}"), case_of(seed)
        rehearsal = rehearsal_of(case, told=found.note)
        for _ in hear(case, rehearsal):
            pass
        lines += found.lines(rehearsal.heard)
    return lines


def polling_in_bursts(start: Start) -> list[str]:
    """Return the lines of a gateway that polls in bursts."""
    lines: list[str] = []
    for period_s in PERIODS_S:
        found = start(f"polled every {period_s} s")
        lines += found.lines(poll_in_bursts(period_s, told=found.note))
    return lines


def recorded(start: Start) -> list[str]:
    """Return the lines of NVIDIA's recording: both tenants above their contract, then silence."""
    lines: list[str] = []
    for boundary in BOUNDARIES:
        found, file = (
            start(f"recording, at the {boundary}"),
            read_site(RECORDED_SITE.format(boundary=boundary)),
        )
        rehearsal = Rehearsal(file, begin_ms=T0_MS, told=partial(found.note, file))
        described = [
            as_message(message.topic, message.payload, T0_MS, qos=1, is_retained=True)
            for message in recording.metadata()
        ]
        said = [
            as_message(
                message.topic, message.stamped(T0_MS), T0_MS + message.offset_ms, qos=1, is_retained=False
            )
            for message in recording.values()
        ]
        rehearsal.hear([*described, *said], said[-1].received_ms + SILENT_S * 1_000)
        lines += found.lines(rehearsal.heard)
    return lines


RECORDED_SITE: Final = """
[site]
name = "titan"

[[broker]]
url = "mqtt://127.0.0.1"

[[rack]]
ids = "Pod1C-E0[1-6]"
rating_kw = 132

[engine]
tick_ms = 1000

[[tenant]]
id = "four"
holds = [{{ racks = "Pod1C-E0[1-4]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
boundary = "{boundary}"

[[tenant]]
id = "five"
holds = [{{ racks = "Pod1C-E05", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.04
boundary = "tap_meter"
"""

LISTS: Final[dict[str, Callable[[Start], list[str]]]] = {
    **{
        f"rules/{folder.name}": partial(rule_scenarios, folder.name)
        for folder in sorted(SCENARIOS.iterdir())
        if any(folder.glob("*.toml"))
    },
    **{f"shipped/{name}": partial(shipped_scenario, name) for name in SHIPPED},
    "random_days": random_days,
    "exact_contracts": exact_contracts,
    "polling_in_bursts": polling_in_bursts,
    "recording": recorded,
}
"""How each list is made, by its name."""


def stored(name: str) -> list[str]:
    """Return the lines of a list as they are stored, none where it is not."""
    path = path_of(name)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def path_of(name: str) -> Path:
    """Return where a list is stored."""
    return FOLDER / f"{name}.jsonl"


def main(arguments: list[str]) -> int:
    """Compare the lists with what is found now, write them anew, or show one tick by tick."""
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsals.alarmruns")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"all of {', '.join(LISTS)} if none is named"
    )
    parser.add_argument("--rewrite", action="store_true", help="write the lists anew")
    parser.add_argument("--ticks", action="store_true", help="print every tick of the series")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - LISTS.keys())
    if unknown:
        parser.error(f"expected names out of {', '.join(LISTS)}; found {', '.join(unknown)}")
    differing = 0
    for name in chosen.names or LISTS:
        if name == "recording" and not recording.FOLDER.exists():
            sys.stderr.write(f"{name}: left as it is, for the recording is not beside the repository\n")
            continue
        lines = LISTS[name](partial(AlarmList, shows_ticks=chosen.ticks))
        if chosen.ticks:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            continue
        wrong = difference(stored(name), lines)
        if wrong and chosen.rewrite:
            path_of(name).parent.mkdir(parents=True, exist_ok=True)
            path_of(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        if wrong:
            differing += 1
            sys.stdout.write(f"{path_of(name)}\n{wrong}\n")
    return 1 if differing and not chosen.rewrite else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
