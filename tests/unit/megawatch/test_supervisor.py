"""A part that fails, ends or hangs begins again; nothing else notices, and it is shown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from facility.backoff import Backoff
from megawatch.run.process import end
from megawatch.run.supervisor import BOUND_S, STEADY_S, Every, State, Supervisor
from store.threads import in_thread
from testing.waiting import PATIENCE_S

AT_ONCE = Backoff(first_s=0.0, longest_s=0.0)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return round(self.at_s * 1_000)

    def monotonic_s(self) -> float:
        """Return the time [s]."""
        return self.at_s


@dataclass
class Weak:
    """A part that does one thing after the other, and then goes on for ever.

    Attributes:
        story: What it does each time that it is begun; what is left out is to run for ever.
        began: How often it was begun.
        rounds: Its progress.
    """

    story: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    began: int = 0
    rounds: int = 0

    async def run(self) -> None:
        """Do what comes next."""
        self.began += 1
        if self.story:
            await self.story.pop(0)()
        else:
            await asyncio.sleep(3_600)


def raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    """Return something that raises."""

    async def fail() -> None:
        raise error

    return fail


async def ending() -> None:
    """End without a fault."""


async def waiting() -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


def a_supervisor(hand: Hand) -> Supervisor:
    """Return a supervisor whose parts begin again at once."""
    return Supervisor(hand, Random(1), backoff=AT_ONCE)  # noqa: S311 - jitter


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (raising(ValueError("a bug")), "ValueError: a bug"),
        (raising(ExceptionGroup("group", [OSError("one")])), "OSError: one"),
        (raising(asyncio.CancelledError()), "it was cancelled"),
        (ending, "it ended"),
    ],
    ids=["raises", "raises a group of one", "is cancelled", "ends"],
)
def test_a_part_that_ends_begins_again_and_the_others_go_on(
    fault: Callable[[], Awaitable[None]], error: str
) -> None:
    """As often as it needs, whatever ended it, and it is shown how often and why."""
    guard, weak, strong = a_supervisor(Hand()), Weak([fault] * 3), Weak()
    guard.add("weak", weak)
    guard.add("strong", strong)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(lambda: weak.began == 4)
        await end(running)

    asyncio.run(story())

    shown = guard.parts["weak"]
    assert (shown.state, shown.restarts, shown.error) == (State.RUNNING, 3, error)
    assert shown.failed_ms == 100_000
    assert (strong.began, guard.parts["strong"].restarts) == (1, 0)
    assert guard.failing == {"weak": f"weak failed: {error}"}


def test_a_fault_is_shown_until_the_part_has_run_for_a_while() -> None:
    """A part that fails each second is one that fails, also in the moment in which it runs."""
    hand = Hand()
    guard, weak = a_supervisor(hand), Weak([raising(ValueError("a bug"))])
    guard.add("history", weak)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(lambda: weak.began == 2)
        await end(running)

    asyncio.run(story())

    assert guard.failing == {"history": "history failed: ValueError: a bug"}
    hand.at_s += STEADY_S
    assert guard.failing == {}
    assert guard.parts["history"].error == "ValueError: a bug"


def test_pauses_grow_while_a_part_fails_and_begin_anew_once_it_ran_well() -> None:
    """A part that fails at once is not begun again a thousand times a second."""
    pauses: list[int] = []

    class Noting(Backoff):
        """A back-off that notes how many failures in a row it is asked for."""

        def pause_s(self, failures: int, random_source: Random, *, asked_s: float | None = None) -> float:
            """Note it, and ask for no pause."""
            pauses.append(failures)
            return super().pause_s(failures, random_source, asked_s=asked_s)

    hand, fail = Hand(), raising(ValueError("a bug"))

    async def fail_later() -> None:
        hand.at_s += STEADY_S
        await fail()

    guard = Supervisor(hand, Random(1), backoff=Noting(first_s=0, longest_s=0))  # noqa: S311 - jitter
    weak = Weak([fail, fail, fail, fail_later, fail])
    guard.add("weak", weak)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(lambda: weak.began == 6)
        await end(running)

    asyncio.run(story())

    assert pauses == [1, 2, 3, 1, 2]


def test_a_part_that_hangs_is_cancelled_and_begins_again() -> None:
    """Not before its bound, and the others are left alone."""
    hand = Hand()
    guard, stuck, lively = a_supervisor(hand), Weak([waiting]), Every(period_s=0, work=ending)
    guard.add("stuck", stuck, bound_s=5)
    guard.add("lively", lively, bound_s=5)

    async def story() -> tuple[int, float]:
        running = asyncio.create_task(guard.run())
        await until(lambda: bool(stuck.began and lively.rounds))
        begin_s = hand.at_s
        while stuck.began == 1 and hand.at_s < 200:
            rounds = lively.rounds
            await until(lambda: lively.rounds > rounds + 2)  # noqa: B023 - called at once
            hand.at_s += 1
            guard.look(hand.at_s)
            if hand.at_s < begin_s + 5:
                assert guard.failing == {}
            await until(lambda: guard.parts["stuck"].state is not State.HANGING)
            await asyncio.sleep(0)
        await end(running)
        return lively.rounds, hand.at_s - begin_s

    rounds, took_s = asyncio.run(story())

    shown = guard.parts["stuck"]
    assert (shown.state, shown.error) == (State.RUNNING, "no progress for 5 s")
    assert 5 <= took_s <= 7
    assert rounds > 10
    assert guard.parts["lively"].restarts == 0


def test_a_part_whose_progress_cannot_be_read_makes_none() -> None:
    """It counts as hanging, and takes no other with it."""

    class Broken(Weak):
        """A part that does not say how far it is."""

        @property
        def rounds(self) -> int:
            """Raise."""
            raise ValueError("a bug")

        @rounds.setter
        def rounds(self, _: int) -> None:
            """Nothing is counted."""

    hand, part = Hand(), Broken()
    guard = a_supervisor(hand)
    guard.add("broken", part, bound_s=3)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(lambda: part.began == 1)
        while part.began == 1 and hand.at_s < 200:
            hand.at_s += 1
            guard.look(hand.at_s)
            await asyncio.sleep(0)
        await until(lambda: part.began == 2)
        await end(running)

    asyncio.run(story())

    assert guard.parts["broken"].error.startswith("no progress for ")


def test_a_thread_that_hangs_is_shown_and_the_part_begins_again_once_it_ends() -> None:
    """A thread cannot be cancelled: what it works with is not used twice at once."""
    hand, may_end, begun = Hand(), threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        assert may_end.wait(60)

    guard, stuck = a_supervisor(hand), Weak([lambda: in_thread(block)])
    guard.add("stuck", stuck, bound_s=5)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(begun.is_set)
        for _ in range(40):
            hand.at_s += 1
            guard.look(hand.at_s)
            await asyncio.sleep(0)
        assert guard.parts["stuck"].state is State.HANGING
        assert stuck.began == 1
        assert guard.failing["stuck"].startswith("stuck hangs: no progress for ")
        may_end.set()
        await until(lambda: stuck.began == 2)
        await end(running)

    asyncio.run(story())

    assert guard.parts["stuck"].restarts == 1


def test_a_machine_that_was_paused_blames_no_part() -> None:
    """Time in which nobody looked counts for no part."""
    hand = Hand()
    guard, part = a_supervisor(hand), Weak()
    guard.add("part", part)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(lambda: part.began == 1)
        for _ in range(5):
            hand.at_s += 10 * BOUND_S
            guard.look(hand.at_s)
        await end(running)

    asyncio.run(story())

    assert guard.failing == {}


def test_what_a_failure_leaves_is_tidied_up_before_the_pause() -> None:
    """It is told what failed; a fault of its own changes nothing."""
    told: list[str] = []
    weak = Weak([raising(ValueError("one")), raising(ValueError("two"))])

    async def tidy(error: str) -> None:
        told.append(error)
        raise RuntimeError("another bug")

    guard = a_supervisor(Hand())
    guard.add("weak", weak, failed=tidy)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(lambda: weak.began == 3)
        await end(running)

    asyncio.run(story())

    assert told == ["ValueError: one", "ValueError: two"]
    assert guard.parts["weak"].error == "ValueError: two"


def test_what_is_cancelled_ends() -> None:
    """A stop is no fault, and waits until every part has ended."""
    guard, ended = a_supervisor(Hand()), []

    async def slow() -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    part = Weak([slow])
    guard.add("part", part)

    async def story() -> None:
        running = asyncio.create_task(guard.run())
        await until(lambda: part.began == 1)
        await end(running)
        assert running.cancelled()

    asyncio.run(story())

    assert ended
    assert guard.failing == {}
