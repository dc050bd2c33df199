"""`megawatch simulate`: a scenario by its name, with progress, rate and what is happening."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from facility.instants import Clock, to_iso
from megawatch.cli.outputs import Simulated
from megawatch.run.clock import SteadyClock
from megawatch.scenario.destination import Destination
from megawatch.scenario.play import play_scenario
from rules.base import CANNOT_VERIFY
from rules.registry import RULES
from simulators.publish.pace import Pace
from simulators.publish.publisher import Change
from simulators.run import Second
from simulators.scenario.file import open_scenario
from simulators.scenario.scenario import Scenario

RECENT_MS: Final = 3_000
"""Over how long the rate is a mean [ms]."""
LINE_MS: Final = 60_000
"""How often a line is written where there is no terminal [ms]."""
LATE_MS: Final = 1_000
"""How far behind its clock a run must be to say so [ms]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a scenario is to be played; None leaves it as its file says.

    Attributes:
        broker: Broker and credentials.
        connections: Connections to it, which share the topics.
        seconds: For how long [s]; nothing new happens beyond the end of a scenario.
        truth: The folder to write the truth to; None for nowhere.
        seed: What all chance follows from.
        qos: Quality of service of values.
        speed: How many times as fast as real time.
    """

    broker: Destination
    connections: int = 1
    seconds: float | None = None
    truth: Path | None = None
    seed: int | None = None
    qos: int | None = None
    speed: float = 1.0


async def simulate(name: str, wish: Wish) -> Simulated:
    """Play a scenario to a broker until it ends or is interrupted.

    Args:
        name: A scenario that comes with the product, or a file.
        wish: How to play it.

    Returns:
        What became of it.

    Raises:
        SiteFileError: Where there is no such scenario, or it has faults.
        MegawatchError: Where the broker does not take it.
    """
    known = [rule for made in RULES for rule in (made.name, f"{made.name}-{CANNOT_VERIFY}")]
    scenario = open_scenario(name, rules=known)
    scenario = replace(
        scenario,
        seconds=scenario.seconds if wish.seconds is None else round(wish.seconds),
        seed=scenario.seed if wish.seed is None else wish.seed,
        qos=scenario.qos if wish.qos is None else wish.qos,
    )
    clock = SteadyClock()
    with _progress() as progress:
        watcher = _Watcher(scenario, progress, clock)
        played = await play_scenario(
            scenario,
            wish.broker,
            clock=clock,
            speed=wish.speed,
            connections=wish.connections,
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
        TextColumn("{task.fields[place]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


class _Watcher:
    """Shows how far a run is, how fast it publishes, and what is happening in it.

    Where standard error is no terminal, it says so in lines: whenever something else happens, and every
    minute.
    """

    def __init__(self, scenario: Scenario, progress: Progress, clock: Clock) -> None:
        self._scenario = scenario
        self._progress = progress
        self._clock = clock
        self._task: TaskID = progress.add_task("", total=scenario.seconds, place="0 s")
        self._recent: deque[tuple[int, int]] = deque()
        self._away: set[int] = set()
        self._second = 0
        self._told = ""
        self._told_ms = 0

    def said(self, second: Second, pace: Pace) -> None:
        """Note a second that was published."""
        now_ms = self._clock.now_ms()
        self._recent.append((now_ms, len(second.rows)))
        while len(self._recent) > 2 and now_ms - self._recent[0][0] > RECENT_MS:  # noqa: PLR2004 - one second has no rate
            self._recent.popleft()
        self._second = second.second
        self._show(self._happening(second.second), pace)

    def told(self, change: Change) -> None:
        """Note that the broker went away or came back: once, over however many connections."""
        before = bool(self._away)
        if change.is_lost:
            self._away.add(change.connection)
        else:
            self._away.discard(change.connection)
        self._recent.clear()
        if before == bool(self._away):
            return
        what = f"the broker is away, the run waits: {change.cause}" if self._away else "the broker is back"
        style = "bold red" if self._away else "green"
        self._progress.console.print(what, style=style, markup=False, soft_wrap=True)
        if self._away:
            self._progress.update(self._task, description="waits for the broker")

    def _rate(self) -> str:
        """Return how many messages a second were published of late, where that is known."""
        span_ms = self._recent[-1][0] - self._recent[0][0] if self._recent else 0
        if span_ms <= 0:
            return ""
        rate = sum(count for _, count in list(self._recent)[1:]) / span_ms * 1_000
        return f"{rate:>8,.0f} messages/s  "

    def _show(self, happening: str, pace: Pace) -> None:
        place = f"{self._second + 1} of {self._scenario.seconds} s"
        late = f"; {pace.behind_ms / 1_000:.1f} s behind" if pace.behind_ms > LATE_MS else ""
        text = f"{self._rate()}{happening}{late}"
        self._progress.update(self._task, completed=self._second + 1, place=place, description=escape(text))
        now_ms = self._clock.now_ms()
        if self._progress.disable and (happening != self._told or now_ms - self._told_ms >= LINE_MS):
            line = f"{place}: {text.strip()}".removesuffix(": ")
            self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
            self._told, self._told_ms = happening, now_ms

    def _happening(self, second: int) -> str:
        scenario = self._scenario
        caption = [text for at_s, text in sorted(scenario.captions.items()) if at_s <= second][-1:]
        events = [f"{e.kind} {' '.join(e.subjects)}".strip() for e in scenario.events if e.is_on(second)]
        faults = [f"{f.kind} {' '.join(f.scope[:3])}" for f in scenario.faults if f.from_s <= second < f.to_s]
        return "; ".join([*caption, *events[:3], *faults[:3]])
