"""Supervision: every part runs by itself; one that fails, ends or hangs is shown, told, and begun again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from random import Random
from typing import Final, Protocol

import structlog

from facility.backoff import Backoff
from facility.instants import Clock
from megawatch.run.process import end

BACKOFF: Final = Backoff(first_s=1.0, longest_s=60.0, least=0.5)
"""Pauses before a part that failed begins again."""
STEADY_S: Final = 60.0
"""A part that has run for so long is well again: its next failure counts as the first (our choice)."""
CHECK_S: Final = 1.0
"""How often it is looked whether each part goes on."""
BOUND_S: Final = 60.0
"""A part without progress for so long hangs, where it says nothing else (our choice)."""

_log = structlog.get_logger(__name__)


class State(StrEnum):
    """What a part is doing."""

    RUNNING = "running"
    RESTARTING = "restarting"  # it ended, and begins again after a pause
    HANGING = "hanging"  # it was cancelled for want of progress, and has not ended yet


class Runs(Protocol):
    """Something that runs until it is cancelled."""

    @property
    def rounds(self) -> object:
        """What changes while it goes on: a count of its rounds, or several."""
        ...

    async def run(self) -> None:
        """Run until cancelled."""
        ...


@dataclass(slots=True, kw_only=True)
class Every:
    """Does a piece of work from time to time.

    Attributes:
        period_s: How long it rests in between [s].
        work: What is run each time.
        rounds: How often it began.
    """

    period_s: float
    work: Callable[[], Awaitable[None]]
    rounds: int = 0

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self.rounds += 1
            await self.work()
            await asyncio.sleep(self.period_s)


@dataclass(slots=True, kw_only=True)
class Supervised:
    """A part under supervision.

    Attributes:
        name: What people call it.
        runs: What is run.
        bound_s: For how long it may make no progress [s].
        failed: Tidies up after a failure, before the pause; it is given what ended the part.
        state: What it is doing.
        restarts: How often it was begun again.
        error: What ended it last, "" where nothing did.
        failed_ms: When that was [ms]; None where nothing ended it.
        began_s: When it began last, of the monotonic clock [s].
    """

    name: str
    runs: Runs
    bound_s: float = BOUND_S
    failed: Callable[[str], Awaitable[None]] | None = None
    state: State = State.RUNNING
    restarts: int = 0
    error: str = ""
    failed_ms: int | None = None
    began_s: float = 0.0
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _seen: object = field(default=None, init=False)
    _idle_s: float = field(default=0.0, init=False)
    _cancelled_s: float = field(default=0.0, init=False)

    @property
    def trouble(self) -> str:
        """What is or was wrong with it, as people read it."""
        return f"{self.name} {'hangs' if self.state is State.HANGING else 'failed'}: {self.error}"

    async def once(self, work: Callable[[], Awaitable[None]]) -> str:
        """Run its work to the end, whatever that is.

        Args:
            work: What is run each time.

        Returns:
            What ended it.
        """
        self._seen, self._idle_s, self._cancelled_s = None, 0.0, 0.0
        task = self._task = asyncio.ensure_future(work())
        task.set_name(self.name)
        try:
            await asyncio.wait({task})
        finally:
            while not task.done():  # we are cancelled ourselves, perhaps more than once
                with suppress(asyncio.CancelledError):
                    await end(task)
        if self._cancelled_s:
            return self.error
        if task.cancelled():
            return "it was cancelled"
        error = task.exception()
        if error is None:
            return "it ended"
        _log.error("a part failed", part=self.name, exc_info=error)
        return words(error)

    def look(self, passed_s: float) -> None:
        """Look whether it goes on; where it does not, cancel it.

        Args:
            passed_s: The time since the last look [s].
        """
        if self._task is None or self._task.done():
            return
        try:
            rounds = self.runs.rounds
        except Exception:  # noqa: BLE001 - whose progress cannot be read makes none
            rounds = self._seen
        if rounds != self._seen and not self._cancelled_s:
            self._seen, self._idle_s = rounds, 0.0
            return
        self._idle_s += passed_s
        if self._idle_s < self.bound_s:
            return
        self.error = f"no progress for {self._idle_s:.0f} s"
        self.state = State.HANGING
        if self._idle_s - self._cancelled_s >= self.bound_s:
            _log.error("a part hangs, and is cancelled", part=self.name, error=self.error)
            self._cancelled_s = self._idle_s
            self._task.cancel()


class Supervisor:
    """Runs parts until it is cancelled.

    Args:
        clock: Gives wall time [ms] and monotonic time [s].
        random_source: Where the jitter of pauses comes from.
        backoff: Pauses before a part begins again.

    Attributes:
        parts: What is supervised, by its name.
        backoff: Pauses before a part begins again.
    """

    def __init__(self, clock: Clock, random_source: Random, *, backoff: Backoff = BACKOFF) -> None:
        self._clock = clock
        self._random = random_source
        self.backoff = backoff
        self._looked_s = clock.monotonic_s()
        self.parts: dict[str, Supervised] = {}

    def add(
        self,
        name: str,
        runs: Runs,
        *,
        bound_s: float = BOUND_S,
        failed: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Put a part under supervision; to be called before `run`.

        Args:
            name: What people call it.
            runs: What is run.
            bound_s: For how long it may make no progress [s].
            failed: Tidies up after a failure, before the pause; it is given what ended the part.
        """
        self.parts[name] = Supervised(name=name, runs=runs, bound_s=bound_s, failed=failed)

    @property
    def failing(self) -> dict[str, str]:
        """What is wrong with parts now, or was lately, by their names."""
        since_s = self._clock.monotonic_s() - STEADY_S
        return {
            name: part.trouble
            for name, part in self.parts.items()
            if part.state is not State.RUNNING or (part.error and part.began_s > since_s)
        }

    async def run(self) -> None:
        """Run all parts, and look after them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in self.parts.values():
                group.create_task(self._keep(part), name=part.name)
            while True:
                self.look(self._clock.monotonic_s())
                await asyncio.sleep(CHECK_S)

    def look(self, now_s: float) -> None:
        """Look whether each part goes on.

        Time in which we did not look either (a machine that was paused, a loop that was held up) counts for
        no part.

        Args:
            now_s: The time, of the monotonic clock [s].
        """
        passed_s = min(now_s - self._looked_s, 2 * CHECK_S)
        self._looked_s = now_s
        for part in self.parts.values():
            part.look(passed_s)

    async def _keep(self, part: Supervised) -> None:
        """Run a part, and begin it anew whenever it ends."""
        failures = 0
        while True:
            part.state, part.began_s = State.RUNNING, self._clock.monotonic_s()
            error = await part.once(part.runs.run)
            if self._clock.monotonic_s() - part.began_s >= STEADY_S:
                failures = 0
            failures += 1
            part.state, part.error, part.failed_ms = State.RESTARTING, error, self._clock.now_ms()
            pause_s = self.backoff.pause_s(failures, self._random)
            _log.warning("a part begins again", part=part.name, error=error, pause_s=round(pause_s, 1))
            if part.failed is not None:
                await part.once(partial(part.failed, error))
            await asyncio.sleep(pause_s)
            part.restarts += 1


def words(error: BaseException) -> str:
    """Return what was raised as people read it; of a group with one in it, that one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
