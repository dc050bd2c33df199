"""The shape of each kind of job in time, as shares of a rack's rating."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from facility.instants import DAY_MS, SECOND_MS
from simulators.model.events import ENDLESS
from simulators.model.jobs import Course, Idle, Inference, Job, Recorded, Steady, Storage, Training
from simulators.model.noise import Wander, generator
from simulators.model.state import Floats

JITTER_S: Final = 0.01
"""How far racks of a job are apart in phase: within 20 ms, two standard deviations [s]."""
SPREAD: Final = 0.004
"""Standard deviation of the racks' levels around the job's, and of their noise (our choice)."""
NOISE_TAU_S: Final = 10.0
RESTART_S: Final = (180.0, 900.0)
"""A job that failed starts again after 3 to 15 min (our choice) [s]."""


class Model(Protocol):
    """The shape of one job in time, over as many racks as it has."""

    def at(self, second: int) -> tuple[Floats, Floats]:
        """Return the shares of a second, which follow each other without a gap.

        Args:
            second: Second of the run.

        Returns:
            (n,) means over the second, and (n,) values at its very beginning.
        """


def model_of(job: Job, idle: Floats, seed: int, midnight_ms: int) -> Model:
    """Return the model of a job.

    Args:
        job: Kind of job, with its parameters.
        idle: (n,) draw of its racks at idle, as shares.
        seed: Seed of the run.
        midnight_ms: How long after local midnight the run starts [ms].
    """
    match job:
        case Training():
            return _Training(job, idle, seed)
        case Inference():
            return _Inference(job, idle, seed, midnight_ms)
        case Storage():
            return _Level(job.name, ((0.0, job.level),), job.sigma, len(idle), seed)
        case Course():
            return _Level(job.name, job.points, job.sigma, len(idle), seed)
        case Recorded():
            return _Recorded(job, len(idle), seed)
        case Steady():
            raise TypeError("a steady load has no shape")
        case _:
            return _Idle(job, idle, seed)


class _Idle:
    """On and doing nothing."""

    def __init__(self, job: Idle, idle: Floats, seed: int) -> None:
        self._idle = idle
        self._noise = Wander(seed, f"{job.name}: noise", len(idle), sigma=SPREAD, tau_s=NOISE_TAU_S)

    def at(self, second: int) -> tuple[Floats, Floats]:
        shares = self._idle * (1 + self._noise.step(second))
        return shares, shares


class _Training:
    """Iterations in phase over all racks, checkpoints, and failures."""

    def __init__(self, job: Training, idle: Floats, seed: int) -> None:
        self._job, self._idle = job, idle
        count = len(idle)
        random = generator(seed, f"{job.name}: racks")
        self._lag = np.clip(random.normal(0, JITTER_S, count), -2 * JITTER_S, 2 * JITTER_S)
        self._lag += random.uniform(0, job.period_s)
        self._own = 1 + random.normal(0, SPREAD, count)
        self._after_s = random.uniform(0.5, 1.0) * job.checkpoint_every_s
        self._noise = Wander(seed, f"{job.name}: noise", count, sigma=SPREAD, tau_s=NOISE_TAU_S)
        self._chance = generator(seed, f"{job.name}: failures")
        self._fails_s = self._next_failure(0.0)
        self._up_s = 0.0

    def at(self, second: int) -> tuple[Floats, Floats]:
        job = self._job
        noise = self._own + self._noise.step(second)
        if self._is_down(second):
            return self._idle, self._idle
        if self._is_checkpoint(second):
            shares = np.maximum(job.checkpoint_level * noise, self._idle)
            return shares, shares
        level = np.maximum(job.level * noise, self._idle)
        depth = (level - self._idle) * job.dip
        start = second + self._lag
        mean = level - depth * (self._dips(start + 1) - self._dips(start))
        if job.smoothing is not None:
            # The store in the servers evens out what is shorter than a second.
            mean = np.maximum(mean, job.smoothing.floor)
            return mean, mean
        in_dip = start % job.period_s >= job.period_s * (1 - job.dip_share)
        return mean, level - depth * in_dip

    def _dips(self, until: Floats) -> Floats:
        """Return how long the job has communicated until a moment, each dip at the end of its iteration."""
        period = self._job.period_s
        dip = period * self._job.dip_share
        whole, rest = np.divmod(until, period)
        found: Floats = whole * dip + np.maximum(rest - (period - dip), 0)
        return found

    def _is_checkpoint(self, second: int) -> bool:
        job = self._job
        if job.checkpoint_every_s <= 0:
            return False
        return bool((second - job.starts_s + self._after_s) % job.checkpoint_every_s < job.checkpoint_s)

    def _next_failure(self, after_s: float) -> float:
        hours = self._job.failure_hours
        return ENDLESS if hours is None else after_s + float(self._chance.exponential(hours * 3_600))

    def _is_down(self, second: int) -> bool:
        while second >= self._fails_s:
            self._up_s = self._fails_s + float(self._chance.uniform(*RESTART_S))
            self._fails_s = self._next_failure(self._up_s)
        return second < self._up_s


class _Inference:
    """A mean-reverting load on a daily curve."""

    def __init__(self, job: Inference, idle: Floats, seed: int, midnight_ms: int) -> None:
        self._job, self._idle, self._midnight_ms = job, idle, midnight_ms
        common, own = job.sigma * job.common**0.5, job.sigma * (1 - job.common) ** 0.5
        self._together = Wander(seed, f"{job.name}: together", 1, sigma=common, tau_s=job.tau_s)
        self._apart = Wander(seed, f"{job.name}: apart", len(idle), sigma=own, tau_s=job.tau_s)

    def at(self, second: int) -> tuple[Floats, Floats]:
        job = self._job
        day = (self._midnight_ms + second * SECOND_MS) / DAY_MS - job.peak_hour / 24
        curve = 1 + job.daily * np.cos(2 * np.pi * day)
        noise = 1 + self._together.step(second) + self._apart.step(second)
        shares = np.maximum(job.level * curve * noise, self._idle)
        return shares, shares


class _Level:
    """Straight lines between points, with a slow fluctuation."""

    def __init__(
        self, name: str, points: tuple[tuple[float, float], ...], sigma: float, count: int, seed: int
    ) -> None:
        self._times = [time for time, _ in points]
        self._levels = [level for _, level in points]
        self._count = count
        noise = Wander(seed, f"{name}: noise", count, sigma=sigma, tau_s=NOISE_TAU_S)
        self._noise = noise if sigma else None

    def at(self, second: int) -> tuple[Floats, Floats]:
        shares = np.full(self._count, np.interp(second, self._times, self._levels))
        if self._noise is not None:
            shares *= 1 + self._noise.step(second)
        return shares, shares


class _Recorded:
    """What was recorded, each rack with a column of it."""

    def __init__(self, job: Recorded, count: int, seed: int) -> None:
        self._job = job
        self._columns = np.arange(count) % job.trace.shares.shape[1]
        self._noise = Wander(seed, f"{job.name}: noise", count, sigma=SPREAD, tau_s=NOISE_TAU_S)

    def at(self, second: int) -> tuple[Floats, Floats]:
        job = self._job
        recorded = job.trace.at(job.offset_s + second * job.speed)[self._columns]
        shares = job.level * recorded * (1 + self._noise.step(second))
        return shares, shares
