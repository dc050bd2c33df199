"""What every rack wants to draw, second by second: jobs on racks, and what people and chance do to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from facility.instants import SECOND_MS
from simulators.model.events import ENDLESS, Event, EventKind
from simulators.model.jobs import Job, Move, Steady, Training
from simulators.model.models import RESTART_S, Model, model_of
from simulators.model.noise import Wander, generator
from simulators.model.state import Bools, Floats, Ints
from simulators.model.wiring import Wiring

RISE: Final = 0.68
"""How far a rack's draw rises in a second at most, as a share of its rating; measured on eight H100."""
IDLE_SIGMA: Final = 0.003
LOAD_KINDS: Final = frozenset(
    {
        EventKind.LOAD_STEP,
        EventKind.RAMP,
        EventKind.JOB_STOP,
        EventKind.JOB_FAILURE,
        EventKind.JOB_MOVE,
        EventKind.CURTAIL,
    }
)
"""What befalls loads."""


@dataclass(slots=True)
class _Placed:
    """A job where it runs now."""

    job: Job
    moves: list[Move]
    racks: Ints
    model: Model | None
    from_s: float


@dataclass(slots=True)
class _Hold:
    """An event that holds racks somewhere, with what it found when it began."""

    event: Event
    racks: Ints
    found: Ints
    goal: Ints
    ends_s: float


class Loads:
    """What every rack wants.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        jobs: What runs on it; where two jobs want one rack, the later has it.
        seed: What all chance follows from.
        start_ms: When the run starts [ms].

    Attributes:
        jobs: The jobs, by name.
    """

    def __init__(self, wiring: Wiring, jobs: Sequence[Job], seed: int, start_ms: int) -> None:
        self.jobs = {job.name: job for job in jobs}
        self._wiring, self._seed, self._start_ms = wiring, seed, start_ms
        self._rating = wiring.rack_rating_milliwatts
        self._idle = Wander(seed, "idle", len(wiring.racks), sigma=IDLE_SIGMA, tau_s=30)
        local = datetime.fromtimestamp(start_ms / SECOND_MS, UTC).astimezone(wiring.site.zone)
        offset = local.utcoffset()
        zone_ms = 0 if offset is None else round(offset.total_seconds() * SECOND_MS)
        self._midnight_ms = (start_ms + zone_ms) % 86_400_000
        self._placed = [self._place(job, list(job.moves), job.racks, job.starts_s) for job in jobs]
        self._holds: list[_Hold] = []
        self._before: Ints | None = None

    def racks_of(self, subject: str, second: int) -> Ints:
        """Return the racks that a rack's id, a job's name or a tenant's id stands for, by index.

        Args:
            subject: Id of a rack or a tenant, or name of a job.
            second: At which second of the run.
        """
        if subject in self._wiring.rack_place:
            return np.array([self._wiring.rack_place[subject]], np.int64)  # type: ignore[index]  # ids are strings
        found = [placed.racks for placed in self._placed if placed.job.name == subject]
        if found:
            return found[0]
        return np.array(self._wiring.racks_of(subject, self._start_ms + second * SECOND_MS), np.int64)

    def step(self, second: int, begun: Sequence[Event]) -> tuple[Ints, Ints]:
        """Return what every rack wants in a second.

        Args:
            second: The second of the run, which follows the one before.
            begun: Events on loads that begin in it.

        Returns:
            (R,) mean over the second and (R,) value at its beginning [mW].
        """
        wanted = np.rint(self._rating * self._wiring.rack_idle_fraction * (1 + self._idle.step(second)))
        mean: Ints = wanted.astype(np.int64)
        instant = mean.copy()
        up = np.rint(self._rating * RISE).astype(np.int64)
        down = self._rating.copy()
        exact = np.zeros(len(mean), np.bool_)
        for placed in self._placed:
            self._run(placed, second, mean, instant, up, down, exact)
        if self._before is not None:
            limited = np.clip(mean, self._before - down, self._before + up)
            limited = np.where(exact, mean, limited)
            instant = np.where(limited == mean, instant, limited)
            mean = limited
        for event in begun:
            self._begin(event, second, mean)
        self._apply(second, mean, instant)
        np.clip(mean, 0, self._rating, out=mean)
        np.clip(instant, 0, self._rating, out=instant)
        self._before = mean
        return mean, instant

    # Jobs -----------------------------------------------------------------------------

    def _place(self, job: Job, moves: list[Move], racks: Sequence[str], from_s: float) -> _Placed:
        places = np.array([self._wiring.rack_place[rack] for rack in racks], np.int64)  # type: ignore[index]  # ids are strings
        idle: Floats = self._wiring.rack_idle_fraction[places]
        model = None if isinstance(job, Steady) else model_of(job, idle, self._seed, self._midnight_ms)
        return _Placed(job, moves, places, model, from_s)

    def _run(
        self, placed: _Placed, second: int, mean: Ints, instant: Ints, up: Ints, down: Ints, exact: Bools
    ) -> None:
        job = placed.job
        while placed.moves and placed.moves[0].at_s <= second:
            move = placed.moves.pop(0)
            again = self._place(job, placed.moves, move.racks, move.at_s + move.restart_s)
            placed.racks, placed.model, placed.from_s = again.racks, again.model, again.from_s
        if not placed.from_s <= second < job.ends_s:
            return
        racks = placed.racks
        if placed.model is None:
            mean[racks] = instant[racks] = shared(
                job.total_milliwatts if isinstance(job, Steady) else 0, racks
            )
            exact[racks] = True
            return
        rating = self._rating[racks]
        means, instants = placed.model.at(second)
        mean[racks] = np.rint(rating * means)
        instant[racks] = mean[racks] if instants is means else np.rint(rating * instants)
        if isinstance(job, Training) and job.smoothing is not None:
            up[racks] = round(job.smoothing.up_kw_per_s * 1e6)
            down[racks] = round(job.smoothing.down_kw_per_s * 1e6)

    # Events ---------------------------------------------------------------------------

    def _begin(self, event: Event, second: int, mean: Ints) -> None:
        if event.kind is EventKind.JOB_MOVE:
            for placed in self._placed:
                if placed.job.name in event.subjects:
                    placed.moves = [Move(at_s=second, racks=event.to)]
            return
        found = [self.racks_of(subject, second) for subject in event.subjects]
        racks = np.unique(np.concatenate(found)) if found else np.arange(len(mean))
        if event.total_milliwatts is None:
            goal = np.rint(self._rating[racks] * event.strength).astype(np.int64)
        else:
            goal = shared(event.total_milliwatts, racks)
        ends = event.ends_s
        if event.kind is EventKind.JOB_FAILURE and event.until_s is None:
            purpose = f"failure of {', '.join(event.subjects)}"
            ends = second + round(float(generator(self._seed, purpose, second).uniform(*RESTART_S)))
        if event.kind is EventKind.RAMP:
            ends = ENDLESS
        if event.kind in (EventKind.JOB_STOP, EventKind.JOB_FAILURE):
            goal = np.rint(self._rating[racks] * self._wiring.rack_idle_fraction[racks]).astype(np.int64)
        before = mean if self._before is None else self._before
        self._holds.append(_Hold(event, racks, before[racks].copy(), goal, ends))

    def _apply(self, second: int, mean: Ints, instant: Ints) -> None:
        self._holds = [hold for hold in self._holds if second < hold.ends_s]
        # Caps come last: nothing that is asked for later gets past one.
        for hold in sorted(self._holds, key=lambda h: h.event.kind is EventKind.CURTAIL):
            event, racks = hold.event, hold.racks
            if event.kind is EventKind.CURTAIL:
                mean[racks] = np.minimum(mean[racks], hold.goal)
                instant[racks] = np.minimum(instant[racks], hold.goal)
                continue
            goal = hold.goal
            if event.kind is EventKind.RAMP and event.until_s is not None and second < event.until_s:
                done, whole = second - int(event.at_s), max(1, round(event.until_s - int(event.at_s)))
                goal = hold.found + (hold.goal - hold.found) * done // whole
            mean[racks] = instant[racks] = goal


def shared(total_milliwatts: int, racks: Ints) -> Ints:
    """Share a power evenly over racks, exactly: the first ones get one milliwatt more where it must be.

    Args:
        total_milliwatts: The power [mW].
        racks: (n,) racks; their number alone matters.
    """
    each, over = divmod(total_milliwatts, max(1, len(racks)))
    return each + (np.arange(len(racks)) < over).astype(np.int64)
