"""The CPU time of a stage of the pipeline, measured around batches by the clock of the thread that works.

Work beside the event loop (`in_thread`) is charged to the stage that its caller works for. What the event
loop itself and the transports beneath do is no stage's: the stages sum to less than the process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock


class CpuTime:
    """The CPU time of a stage.

    Attributes:
        seconds: What it took so far [s].
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = Lock()

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Add what the calling thread works within; nothing may be awaited there."""
        began_s = time.thread_time()
        try:
            yield
        finally:
            self.add(time.thread_time() - began_s)

    def add(self, seconds: float) -> None:
        """Add CPU time [s]."""
        with self._lock:
            self.seconds += seconds

    def take_over(self, other: CpuTime) -> None:
        """Add what another one has measured, which begins again at nothing."""
        with other._lock:
            taken, other.seconds = other.seconds, 0.0
        self.add(taken)


_charged: ContextVar[CpuTime | None] = ContextVar("charged", default=None)


@contextmanager
def charged_to(stage: CpuTime) -> Iterator[None]:
    """Charge a stage for what the calling task lets threads do within, and for what it measures as `work`."""
    token = _charged.set(stage)
    try:
        yield
    finally:
        _charged.reset(token)


@contextmanager
def work() -> Iterator[None]:
    """Measure what the calling thread works within, for the stage that is charged; nothing where none is."""
    stage = _charged.get()
    if stage is None:
        yield
        return
    with stage.measure():
        yield
