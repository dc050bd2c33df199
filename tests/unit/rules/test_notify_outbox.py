"""The outbox delivers at least once, in order, under one key, and loses nothing that was refused."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from facility.errors import DeliveryError, Outlook, StoreUnavailable
from rules.notify.memory import MemoryPages
from rules.notify.outbox import Outbox
from rules.notify.webhook import WebhookNotifier
from store.ledger.alarms import Alarm, AlarmChange, Notice, Progress
from store.ledger.ledger import Ledger
from store.threads import in_thread
from testing.builders import T0_MS
from testing.fakes.webhook import Reply, receiver
from testing.rules.telling import attempt, serving
from testing.waiting import until

BUSY = DeliveryError("503 busy", Outlook.PASSES)
GONE = DeliveryError("404 no such page", Outlook.NEEDS_SOMEBODY)
REFUSED = DeliveryError("422 no such field", Outlook.REFUSED)


@dataclass(slots=True)
class RecordingNotifier:
    """A notifier that keeps what it is given, and fails as it is told.

    Attributes:
        script: What it raises at the next deliveries, None where it accepts; afterwards it accepts.
        told: The keys that it was given, in order, accepted or not.
    """

    script: list[Exception | None] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def deliver(self, notice: Notice) -> None:
        """Take a notification, or fail."""
        self.told.append(notice.key)
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error

    async def close(self) -> None:
        """Nothing is held."""


class Said(dict[str, str]):
    """What a page says, as an object that shows whether it is still kept."""


@dataclass(slots=True)
class Hand:
    """A clock that is moved by hand.

    Attributes:
        now_ms: What it shows [ms].
    """

    now_ms: int = T0_MS

    def __call__(self) -> int:
        """Return the time [ms]."""
        return self.now_ms


def a_notice(
    key: str, *, route: str = "pager", due_ms: int = T0_MS, source_ms: int = T0_MS, severity: str = "high"
) -> Notice:
    """Return a notification; the alarm is what stands before the colon of its key."""
    return Notice(
        key=key,
        route=route,
        alarm_id=key.partition(":")[0],
        body={"headline": key, "severity": severity},
        source_ms=source_ms,
        created_ms=T0_MS,
        due_ms=due_ms,
    )


def an_alarm(name: str) -> AlarmChange:
    """Return the opening of an alarm."""
    alarm = Alarm(
        id=name, rule="C2", title="t", subject="acme", severity="high", unit="kW", since_ms=1, opened_ms=1
    )
    return AlarmChange(alarm=alarm, change="opened", at_ms=T0_MS)


def put(ledger: Ledger, *notices: Notice, seq: int = 1) -> None:
    """Save notifications, as the engine's progress does."""
    names = dict.fromkeys(notice.alarm_id for notice in notices)
    changes = [an_alarm(name) for name in names]
    ledger.save(Progress(seq=seq, tick_ms=T0_MS, changes=changes, notices=notices, series={}))


def an_outbox(ledger: Ledger, now_ms: Callable[[], int], **notifiers: RecordingNotifier) -> Outbox:
    """Return an outbox whose jitter is seeded."""
    return Outbox(ledger, notifiers, now_ms=now_ms, random_source=random.Random(1))  # noqa: S311 - jitter


def round_of(outbox: Outbox, ledger: Ledger, hand: Hand, route: str = "pager") -> list[Notice]:
    """Make one attempt of whatever of a route is due."""
    return asyncio.run(attempt(outbox, ledger, hand(), route))


def states(notices: Iterable[Notice]) -> Mapping[str, tuple[str, int]]:
    """Return the state of each notification, and how often it was tried."""
    return {notice.key: (notice.state, notice.attempts) for notice in notices}


def test_what_is_accepted_is_delivered_once(tmp_path: Path) -> None:
    """It is marked, with the time, and not due again."""
    pager, hand = RecordingNotifier(), Hand(T0_MS + 70)
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        outbox = an_outbox(ledger, hand, pager=pager)

        (done,) = round_of(outbox, ledger, hand)

        assert (done.state, done.attempts, done.delivered_ms) == ("delivered", 1, T0_MS + 70)
        assert round_of(outbox, ledger, hand) == []
    assert pager.told == ["a:opened"]


def test_what_a_delivered_page_said_is_kept_by_the_ledger_alone() -> None:
    """What became of ten thousand pages is remembered, and not their texts."""
    pager, hand, pages = RecordingNotifier(), Hand(), MemoryPages()
    outbox = Outbox(pages, {"pager": pager}, now_ms=hand, random_source=random.Random(1))  # noqa: S311 - jitter
    said = Said({"headline": "overdraw", "severity": "high"})
    pages.put([replace(a_notice("a:opened"), body=said)])
    text = weakref.ref(said)
    del said

    assert asyncio.run(outbox.receivers["pager"].attempt(pages.waiting[0])).state == "delivered"

    gc.collect()
    assert text() is None


def test_a_failed_attempt_is_repeated_under_the_same_key(tmp_path: Path) -> None:
    """Not before its pause is over, and as often as it needs."""
    pager, hand = RecordingNotifier([BUSY, BUSY, None]), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        outbox = an_outbox(ledger, hand, pager=pager)

        (first,) = round_of(outbox, ledger, hand)
        assert round_of(outbox, ledger, hand) == []
        hand.now_ms = first.due_ms - 1
        assert round_of(outbox, ledger, hand) == []
        hand.now_ms = first.due_ms
        (second,) = round_of(outbox, ledger, hand)
        hand.now_ms = second.due_ms
        (third,) = round_of(outbox, ledger, hand)

    assert (first.state, first.error) == ("waiting", "503 busy")
    assert (third.state, third.attempts, third.error) == ("delivered", 3, "")
    assert pager.told == ["a:opened"] * 3


def test_a_final_refusal_is_kept_and_not_repeated(tmp_path: Path) -> None:
    """It stands in the ledger with what the receiver said."""
    pager, hand = RecordingNotifier([REFUSED]), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        outbox = an_outbox(ledger, hand, pager=pager)
        round_of(outbox, ledger, hand)
        hand.now_ms += 10**9

        assert round_of(outbox, ledger, hand) == []

        (kept,) = ledger.notices()
        assert (kept.state, kept.error, kept.attempts) == ("refused", "422 no such field", 1)
    assert pager.told == ["a:opened"]


@pytest.mark.parametrize("error", [BUSY, GONE, REFUSED, ValueError("a bug")])
def test_nothing_critical_is_ever_final(error: Exception, tmp_path: Path) -> None:
    """Whatever is answered, and for a day: it waits, is tried, and is told in the end."""
    pager, hand = RecordingNotifier([error] * 200), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened", severity="critical"))
        outbox = an_outbox(ledger, hand, pager=pager)
        for _ in range(200):
            (failed,) = round_of(outbox, ledger, hand)
            assert failed.state == "waiting"
            assert failed.due_ms - hand.now_ms <= 300_000
            hand.now_ms = failed.due_ms

        (done,) = round_of(outbox, ledger, hand)

    assert done.state == "delivered"


def test_an_address_that_is_wrong_for_40_s_loses_no_page(tmp_path: Path) -> None:
    """Nor one that is not critical; the route counts as failing until its receiver accepts something."""
    pager, hand = RecordingNotifier([GONE] * 3), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened", severity="low"))
        outbox = an_outbox(ledger, hand, pager=pager)
        seen = []
        while not ledger.notices(state="delivered"):
            (notice,) = round_of(outbox, ledger, hand)
            seen.append((notice.state, outbox.failing.get("pager")))
            hand.now_ms = max(hand.now_ms, notice.due_ms)

    assert [state for state, _ in seen] == ["waiting"] * 3 + ["delivered"]
    assert hand.now_ms - T0_MS < 90_000
    first = seen[0][1]
    assert first is not None
    assert (first.since_ms, first.cause, first.needs_somebody) == (T0_MS, "404 no such page", True)
    assert [failing is None for _, failing in seen] == [False] * 3 + [True]


def test_the_gravest_that_waits_is_what_others_hear_of(tmp_path: Path) -> None:
    """Whatever was tried last."""
    pager, hand = RecordingNotifier([GONE] * 3), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        severities = ("critical", "high", "low")
        put(ledger, *(a_notice(f"{severity}:opened", severity=severity) for severity in severities))
        outbox = an_outbox(ledger, hand, pager=pager)
        round_of(outbox, ledger, hand)

    assert pager.told == ["critical:opened", "high:opened", "low:opened"]
    assert outbox.failing["pager"].headline == "critical:opened"


def test_once_a_receiver_accepts_again_everything_that_waits_is_tried_at_once(tmp_path: Path) -> None:
    """Nobody waits for a long pause that was made while it was away."""
    pager, hand = RecordingNotifier([GONE] * 2), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"), a_notice("b:opened"))
        outbox = an_outbox(ledger, hand, pager=pager)
        first, second = sorted(round_of(outbox, ledger, hand), key=lambda notice: notice.due_ms)
        assert first.due_ms < second.due_ms
        hand.now_ms = first.due_ms
        round_of(outbox, ledger, hand)

        assert states(round_of(outbox, ledger, hand)) == {second.key: ("delivered", 2)}


def test_what_comes_after_a_waiting_page_of_an_alarm_waits_too(tmp_path: Path) -> None:
    """Nobody hears that it is over before it began; other alarms do not wait for it."""
    pager, hand = RecordingNotifier([BUSY, None]), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"), a_notice("a:returned"), a_notice("b:opened"))
        outbox = an_outbox(ledger, hand, pager=pager)

        (waiting, _) = round_of(outbox, ledger, hand)
        hand.now_ms = waiting.due_ms
        round_of(outbox, ledger, hand)
        round_of(outbox, ledger, hand)

    assert pager.told == ["a:opened", "b:opened", "a:opened", "a:returned"]


def test_routes_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """A pager that is down holds nobody else's mail."""
    pager, mail, hand = RecordingNotifier([BUSY]), RecordingNotifier(), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"), a_notice("a:opened", route="mail"))
        outbox = an_outbox(ledger, hand, pager=pager, mail=mail)

        round_of(outbox, ledger, hand)
        (mailed,) = round_of(outbox, ledger, hand, "mail")

        assert mailed.state == "delivered"


def test_the_same_change_saved_twice_is_one_page(tmp_path: Path) -> None:
    """After a crash the engine judges ticks again; whoever was told is not told anew."""
    pager, hand = RecordingNotifier(), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        outbox = an_outbox(ledger, hand, pager=pager)
        round_of(outbox, ledger, hand)
        put(ledger, a_notice("a:opened"))

        assert round_of(outbox, ledger, hand) == []

    assert pager.told == ["a:opened"]


def test_a_crash_between_delivery_and_record_repeats_under_the_same_key(tmp_path: Path) -> None:
    """At least once: what was not recorded as delivered is delivered again, recognisably."""
    pager, hand = RecordingNotifier(), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        (lost,) = ledger.due(hand(), "pager")
        asyncio.run(pager.deliver(lost))
    with closing(Ledger(tmp_path)) as ledger:
        (again,) = round_of(an_outbox(ledger, hand, pager=pager), ledger, hand)

    assert again.state == "delivered"
    assert pager.told == ["a:opened"] * 2


def test_a_fault_of_a_notifier_loses_no_page(tmp_path: Path) -> None:
    """Whatever it raises, the page waits for its next attempt."""
    pager, hand = RecordingNotifier([ValueError("a bug")]), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))

        (failed,) = round_of(an_outbox(ledger, hand, pager=pager), ledger, hand)

        assert (failed.state, failed.error) == ("waiting", "ValueError('a bug')")
        assert failed.due_ms > hand()


@dataclass(slots=True)
class FullDisk:
    """A ledger whose disk refuses to keep what became of notifications for some time.

    Attributes:
        ledger: The ledger.
        refusals: How often it refuses.
    """

    ledger: Ledger
    refusals: int

    def due(self, now_ms: int, route: str, most: int) -> Sequence[Notice]:
        """Return what is due."""
        return self.ledger.due(now_ms, route, most)

    def settle(self, notice: Notice) -> None:
        """Refuse, then keep."""
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("ledger", "no space left")
        self.ledger.settle(notice)


def test_a_full_disk_ends_no_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page goes out although nobody can write that down, and once: it is written down when the disk can."""
    monkeypatch.setattr("rules.notify.outbox.POLL_S", 0.01)
    pager, hand = RecordingNotifier(), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        full = FullDisk(ledger, refusals=3)
        outbox = an_outbox(full, hand, pager=pager)  # type: ignore[arg-type] # as far as an outbox uses it

        async def story() -> None:
            async with serving(outbox):
                await until(lambda: ledger.notices()[0].state == "delivered", "written down")

        asyncio.run(story())

    assert pager.told == ["a:opened"]


def test_what_is_new_is_delivered_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next look, in an hour, when the engine says that something came."""
    monkeypatch.setattr("rules.notify.outbox.POLL_S", 3_600)
    pager, hand = RecordingNotifier(), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        outbox = an_outbox(ledger, hand, pager=pager)

        async def story() -> None:
            async with serving(outbox):
                await until(lambda: outbox.receivers["pager"].rounds == 1, "it looked once")
                put(ledger, a_notice("a:opened"))
                outbox.wake()
                await until(lambda: bool(pager.told), "it is told")

        asyncio.run(story())


def test_retry_after_decides_when_it_is_due(tmp_path: Path) -> None:
    """What a real receiver asks for ends as the time of the next attempt."""
    hand = Hand()

    async def story(ledger: Ledger) -> Notice:
        async with receiver([Reply(429, {"Retry-After": "40"})]) as fake:
            notifier = WebhookNotifier(fake.url, b"secret", now_ms=hand)
            outbox = Outbox(
                ledger,
                {"pager": notifier},
                now_ms=hand,
                random_source=random.Random(1),  # noqa: S311 - jitter
            )
            (notice,) = ledger.due(hand(), "pager")
            found = await outbox.receivers["pager"].attempt(notice)
            await notifier.close()
            return found

    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        waiting = asyncio.run(story(ledger))

    assert waiting.state == "waiting"
    assert waiting.due_ms == T0_MS + 40_000


def test_states_are_told_for_each_page(tmp_path: Path) -> None:
    """What was delivered, what waits and what was refused stand beside each other."""
    pager, hand = RecordingNotifier([None, BUSY, REFUSED]), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"), a_notice("b:opened"), a_notice("c:opened"))
        round_of(an_outbox(ledger, hand, pager=pager), ledger, hand)

        found = states(ledger.notices())

    assert found == {"a:opened": ("delivered", 1), "b:opened": ("waiting", 1), "c:opened": ("refused", 1)}


# Many pages at once ------------------------------------------------------------------------


def flood(ledger: Ledger, count: int, *, critical_from: int, route: str = "pager") -> None:
    """Save pages, one a second, each of an alarm of its own; the last ones are critical."""
    notices = [
        a_notice(
            f"{i:04}:opened",
            route=route,
            source_ms=T0_MS + i,
            severity="critical" if i >= critical_from else "high" if i % 2 else "low",
        )
        for i in range(count)
    ]
    put(ledger, *notices)


def test_the_gravest_go_first(tmp_path: Path) -> None:
    """Not in the order of time; among equals the oldest first."""
    with closing(Ledger(tmp_path)) as ledger:
        flood(ledger, 8, critical_from=6)

        order = [notice.alarm_id for notice in ledger.due(T0_MS + 1_000, "pager")]

    assert order == ["0006", "0007", "0001", "0003", "0005", "0000", "0002", "0004"]


def test_a_flood_is_delivered_side_by_side_and_critical_pages_first(tmp_path: Path) -> None:
    """A receiver that takes 50 ms for a page has several in hand; the critical ones are among the first."""
    hand = Hand(T0_MS + 10_000)

    async def story(ledger: Ledger) -> tuple[list[str], int]:
        async with receiver(takes_s=0.05) as fake:
            notifier = WebhookNotifier(fake.url, b"secret", now_ms=hand)
            outbox = Outbox(
                ledger,
                {"pager": notifier},
                now_ms=hand,
                random_source=random.Random(1),  # noqa: S311 - jitter
            )
            async with serving(outbox):
                await until(lambda: not ledger.waiting(), "all is written down")
            await notifier.close()
            return [came.headers["idempotency-key"] for came in fake.deliveries], fake.most_at_once

    with closing(Ledger(tmp_path)) as ledger:
        flood(ledger, 60, critical_from=58)
        came, at_once = asyncio.run(story(ledger))

    assert len(came) == len(set(came)) == 60
    assert {"0058:opened", "0059:opened"} <= set(came[:8])
    assert 2 <= at_once <= 8


@dataclass(slots=True)
class StuckNotifier:
    """A notifier that answers no page but critical ones.

    Attributes:
        told: What it was given, in order.
        lets: The alarm whose pages it answers as well.
    """

    told: list[Notice] = field(default_factory=list)
    lets: str = ""

    async def deliver(self, notice: Notice) -> None:
        """Take a critical page, hang on any other."""
        self.told.append(notice)
        if notice.body["severity"] != "critical" and notice.alarm_id != self.lets:
            await asyncio.sleep(3_600)

    async def close(self) -> None:
        """Nothing is held."""


def test_a_receiver_that_hangs_on_others_does_not_hold_up_a_critical_page(tmp_path: Path) -> None:
    """Some of what may be on its way at once is kept for critical pages."""
    hand, stuck = Hand(T0_MS + 10_000), StuckNotifier()

    async def story(ledger: Ledger) -> None:
        outbox = Outbox(
            ledger,
            {"pager": stuck},
            now_ms=hand,
            random_source=random.Random(1),  # noqa: S311 - jitter
        )
        async with serving(outbox):
            await until(lambda: len(stuck.told) == 6, "six are under way")
            put(ledger, a_notice("worst:opened", severity="critical"), seq=2)
            outbox.wake()
            await until(lambda: any(n.state == "delivered" for n in ledger.notices()), "one is delivered")

    with closing(Ledger(tmp_path)) as ledger:
        flood(ledger, 50, critical_from=50)
        asyncio.run(story(ledger))

    assert [notice.key for notice in stuck.told[6:]] == ["worst:opened"]


def test_what_a_critical_page_waits_for_is_as_urgent(tmp_path: Path) -> None:
    """An alarm worsens while others flood the receiver: its first page goes before them, in order."""
    hand, stuck = Hand(T0_MS + 10_000), StuckNotifier(lets="worst")

    async def story(ledger: Ledger) -> None:
        outbox = Outbox(
            ledger,
            {"pager": stuck},
            now_ms=hand,
            random_source=random.Random(1),  # noqa: S311 - jitter
        )
        async with serving(outbox):
            await until(lambda: len(stuck.told) == 6, "six are under way")
            put(ledger, a_notice("worst:a-opened"), a_notice("worst:worsened", severity="critical"), seq=2)
            outbox.wake()
            await until(lambda: len(ledger.notices(state="delivered")) == 2, "both are delivered")

    with closing(Ledger(tmp_path)) as ledger:
        flood(ledger, 50, critical_from=50)
        asyncio.run(story(ledger))

    assert [notice.key for notice in stuck.told[6:]] == ["worst:a-opened", "worst:worsened"]


def test_a_notifier_that_never_ends_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that hangs in it cannot be cancelled: its page is tried again, and the others go on."""
    monkeypatch.setattr("rules.notify.outbox.ATTEMPT_S", 0.05)
    hand, may_end = Hand(), threading.Event()

    @dataclass(slots=True)
    class Blocked(RecordingNotifier):
        """A notifier whose thread hangs at the first page."""

        async def deliver(self, notice: Notice) -> None:
            """Hang, or take a notification."""
            if notice.key == "a:opened":
                await in_thread(may_end.wait)
            self.told.append(notice.key)

    async def story(ledger: Ledger) -> list[Notice]:
        try:
            return await attempt(an_outbox(ledger, hand, pager=Blocked()), ledger, hand(), "pager")
        finally:
            may_end.set()

    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"), a_notice("b:opened"))
        stuck, done = asyncio.run(story(ledger))

    assert (stuck.state, stuck.error) == ("waiting", "no answer within 0 s")
    assert done.state == "delivered"


@dataclass(slots=True)
class SlowLedger:
    """A ledger that writes nothing down until it may.

    Attributes:
        ledger: The ledger.
        may_write: Set once it may.
    """

    ledger: Ledger
    may_write: threading.Event = field(default_factory=threading.Event)

    def due(self, now_ms: int, route: str, most: int) -> Sequence[Notice]:
        """Return what is due."""
        return self.ledger.due(now_ms, route, most)

    def settle(self, notice: Notice) -> None:
        """Keep, once it may."""
        assert self.may_write.wait(60)
        self.ledger.settle(notice)

    def hasten(self, route: str, now_ms: int) -> None:
        """Let everything be tried now."""
        self.ledger.hasten(route, now_ms)


def test_a_page_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes out once, and what became of it is written down in order when the disk answers again."""
    monkeypatch.setattr("rules.notify.outbox.RECORD_S", 0.01)
    pager, hand = RecordingNotifier(), Hand()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        slow = SlowLedger(ledger)
        outbox = Outbox(slow, {"pager": pager}, now_ms=hand, random_source=random.Random(1))  # noqa: S311 - jitter

        async def story() -> None:
            async with serving(outbox):
                try:
                    await until(lambda: bool(pager.told), "it is told")
                    assert ledger.notices()[0].state == "waiting"
                finally:
                    slow.may_write.set()
                await until(lambda: ledger.notices()[0].state == "delivered", "it is written down")

        asyncio.run(story())
        assert ledger.notices()[0].attempts == 1

    assert pager.told == ["a:opened"]


def test_the_outbox_may_be_woken_from_any_thread(tmp_path: Path) -> None:
    """The engine judges in a thread of its own: what it says passes through the loop, checked by it."""
    pager, hand = RecordingNotifier(), Hand()

    async def story(ledger: Ledger, outbox: Outbox) -> None:
        asyncio.get_running_loop().set_debug(True)  # asyncio then refuses what comes from another thread
        async with serving(outbox):
            for i in range(20):
                await asyncio.sleep(0)
                put(ledger, a_notice(f"{i}:opened"), seq=i)
                await asyncio.to_thread(outbox.wake)
                await until(lambda: len(pager.told) > i, "it is told")  # noqa: B023 - called at once

    with closing(Ledger(tmp_path)) as ledger:
        outbox = an_outbox(ledger, hand, pager=pager)
        outbox.wake()  # before it runs nothing has to be said: it begins by looking
        asyncio.run(story(ledger, outbox))

    assert len(pager.told) == 20


@dataclass(slots=True)
class BrokenLedger:
    """A ledger that fails in a way that nobody foresaw, for some time.

    Attributes:
        ledger: The ledger.
        faults: How often it fails.
    """

    ledger: Ledger
    faults: int

    def fail(self) -> None:
        """Fail, as often as it is to."""
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a fault")

    def due(self, now_ms: int, route: str, most: int) -> Sequence[Notice]:
        """Fail, or return what is due."""
        self.fail()
        return self.ledger.due(now_ms, route, most)

    def settle(self, notice: Notice) -> None:
        """Fail, or keep."""
        self.fail()
        self.ledger.settle(notice)


def test_no_fault_of_the_ledger_ends_the_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises: the page is told once, and written down when that can be done."""
    monkeypatch.setattr("rules.notify.outbox.POLL_S", 0.01)
    pager, hand = RecordingNotifier(), Hand()

    async def story(ledger: Ledger, outbox: Outbox) -> None:
        async with serving(outbox) as running:
            await until(lambda: not ledger.waiting(), "all is written down")
            assert not running[0].done()

    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, a_notice("a:opened"))
        broken = BrokenLedger(ledger, faults=5)
        outbox = an_outbox(broken, hand, pager=pager)  # type: ignore[arg-type] # as far as it is used
        asyncio.run(story(ledger, outbox))

    assert pager.told == ["a:opened"]
