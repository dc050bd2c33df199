"""The CPU time of a stage: that of the threads that work for it, and of no other."""

from __future__ import annotations

import asyncio
import time

import pytest

from store.cputime import CpuTime, charged_to, work
from store.threads import in_thread

SPENT_S = 0.002


def spend() -> None:
    """Use the processor for a moment."""
    end_s = time.thread_time() + SPENT_S
    while time.thread_time() < end_s:
        pass


def test_work_in_threads_is_charged_to_the_stage_of_its_caller() -> None:
    """Of two tasks each has its own, and a task without one charges nobody."""
    one, other = CpuTime(), CpuTime()

    async def spend_for(stage: CpuTime, times: int) -> None:
        with charged_to(stage):
            for _ in range(times):
                await in_thread(spend)

    async def story() -> None:
        await asyncio.gather(spend_for(one, 1), spend_for(other, 3), in_thread(spend))

    before_s = time.process_time()
    asyncio.run(story())
    whole_s = time.process_time() - before_s

    assert one.seconds >= SPENT_S
    assert other.seconds >= 3 * SPENT_S
    assert one.seconds + other.seconds <= whole_s - SPENT_S


def test_work_on_the_loop_is_charged_where_it_is_measured() -> None:
    """Of work that raises too; what nobody is charged for is not measured."""
    stage = CpuTime()
    with work():
        spend()
    assert stage.seconds == 0

    def fail() -> None:
        with work():
            spend()
            divmod(1, 0)

    with charged_to(stage), pytest.raises(ZeroDivisionError):
        fail()

    assert stage.seconds >= SPENT_S


def test_what_is_taken_over_is_counted_once() -> None:
    """The other one begins again."""
    kept, read = CpuTime(), CpuTime()
    read.add(2.0)
    kept.take_over(read)
    read.add(1.0)
    kept.take_over(read)

    assert (kept.seconds, read.seconds) == (3.0, 0.0)
