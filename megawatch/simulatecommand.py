"""`megawatch simulate`: a scenario by its name, with progress, rate and what is happening."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from facility.instants import to_iso
from megawatch.clock import SteadyClock
from megawatch.playscenario import play_scenario
from rules.base import CANNOT_VERIFY
from rules.registry import RULES
from simulators.publish.pace import Pace
from simulators.publish.publisher import Change
from simulators.run import Second
from simulators.scenario.file import open_scenario
from simulators.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a scenario is to be played; None leaves it as its file says.

    Attributes:
        broker: Where.
        seconds: For how long [s]; nothing new happens beyond the end of a scenario.
        truth: The folder to write the truth to; None for nowhere.
        seed: What all chance follows from.
        qos: Quality of service of values.
        speed: How many times as fast as real time.
    """

    broker: str
    seconds: float | None = None
    truth: Path | None = None
    seed: int | None = None
    qos: int | None = None
    speed: float = 1.0


async def simulate(name: str, wish: Wish) -> dict[str, Any]:
    """Play a scenario to a broker until it ends or is interrupted.

    Args:
        name: A scenario that comes with the product, or a file.
        wish: How.

    Returns:
        What became of it.

    Raises:
        SiteFileError: Where there is no such scenario, or it has faults.
        MegawatchError: Where the address is none, or the broker does not take it.
    """
    known = [rule for made in RULES for rule in (made.name, f"{made.name}-{CANNOT_VERIFY}")]
    scenario = open_scenario(name, rules=known)
    scenario = replace(
        scenario,
        seconds=scenario.seconds if wish.seconds is None else round(wish.seconds),
        seed=scenario.seed if wish.seed is None else wish.seed,
        qos=scenario.qos if wish.qos is None else wish.qos,
    )
    with _progress() as progress:
        watcher = _Watcher(scenario, progress)
        played = await play_scenario(
            scenario,
            wish.broker,
            clock=SteadyClock(),
            speed=wish.speed,
            folder=wish.truth,
            said=watcher.said,
            told=watcher.told,
        )
    return {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "begin": to_iso(played.begin_ms),
        "seconds": played.pace.seconds,
        "published": played.published,
        "acknowledged": played.acknowledged,
        "undelivered": played.undelivered,
        "most_behind_s": round(played.pace.most_behind_ms / 1_000, 3),
    }


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.fields[clock]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[rate]:>8,.0f} messages/s  {task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


class _Watcher:
    """Shows how far a run is, how fast it publishes, and what is happening in it."""

    def __init__(self, scenario: Scenario, progress: Progress) -> None:
        self._scenario = scenario
        self._progress = progress
        self._task: TaskID = progress.add_task("", total=scenario.seconds, clock="0 s", rate=0.0)

    def said(self, second: Second, pace: Pace) -> None:
        """Note a second that was published."""
        self._progress.update(
            self._task,
            completed=second.second + 1,
            clock=f"{second.second + 1} s",
            rate=len(second.rows),
            description=self._happening(second.second, pace),
        )

    def told(self, change: Change) -> None:
        """Note that the broker went away or came back."""
        what = (
            f"the broker is away, the run waits: {change.cause}" if change.is_lost else "the broker is back"
        )
        self._progress.console.print(what, style="bold red" if change.is_lost else "green")

    def _happening(self, second: int, pace: Pace) -> str:
        scenario = self._scenario
        caption = [text for at_s, text in sorted(scenario.captions.items()) if at_s <= second][-1:]
        events = [f"{e.kind} {' '.join(e.subjects)}".strip() for e in scenario.events if e.is_on(second)]
        faults = [f"{f.kind} {' '.join(f.scope[:3])}" for f in scenario.faults if f.from_s <= second < f.to_s]
        late = [f"{pace.behind_ms / 1_000:.1f} s behind"] if pace.behind_ms > 1_000 else []  # noqa: PLR2004 - a second
        return "; ".join([*caption, *events[:3], *faults[:3], *late])
