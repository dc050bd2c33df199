"""A session with a broker that is slow, hangs up, or gives our place to somebody else."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from collector.health import State
from collector.mqtt import connection, inflow, session
from collector.mqtt.address import Address
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Messages
from collector.mqtt.session import Session
from facility.backoff import Backoff
from megawatch.run.process import end
from testing.fakes.mqtt_broker import PINGREQ, SUBSCRIBE, Client, a_broker
from testing.waiting import until

SHORTEST_BYTES = 9
"""A packet of these tests, at least [bytes]."""

Behaviour = Callable[[Client, int], Awaitable[None]]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for hundredths of a second where a monitor waits for seconds."""
    monkeypatch.setattr(connection, "CONNECT_S", 0.2)
    monkeypatch.setattr(connection, "CHECK_S", 0.02)
    monkeypatch.setattr(session, "BACKOFF", Backoff(first_s=0.001, longest_s=0.001))


def a_session_with(
    port: int,
    *,
    receive_maximum: int = 5_000,
    keepalive_s: int = 15,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Session:
    """Return a session with whatever listens on a port."""
    address = Address(
        host="127.0.0.1",
        port=port,
        client_id="us",
        receive_maximum=receive_maximum,
        keepalive_s=keepalive_s,
    )
    return Session(
        "bus",
        address,
        [("t", 1)],
        now_ms=lambda: time.monotonic_ns() // 1_000_000,
        monotonic_s=monotonic_s,
        random_source=random.Random(1),  # noqa: S311 - jitter
    )


@asynccontextmanager
async def a_session(
    behave: Behaviour, *, monotonic_s: Callable[[], float] = time.monotonic, **more: int
) -> AsyncIterator[tuple[Session, list[Client]]]:
    """Run a session with a broker that behaves as a test wants; yield it and the clients that came."""
    async with a_broker(behave) as broker:
        made = a_session_with(broker.port, monotonic_s=monotonic_s, **more)
        running = asyncio.create_task(made.run())
        try:
            yield made, broker.clients
        finally:
            await end(running)


def all_items(made: Session) -> list[Item]:
    """Take everything that came."""
    found: list[Item] = []
    while items := made.take(1_000):
        found += items
    return found


def payloads(items: Sequence[Item]) -> list[bytes]:
    """Return the payloads of the messages among items."""
    return [message.payload for item in items if isinstance(item, Messages) for message in item]


def test_an_answer_may_take_as_long_as_something_arrives_before_it() -> None:
    """A broker with much to send confirms a subscription late; to begin anew would bring it all again."""

    async def slow(client: Client, _place: int) -> None:
        asked = asyncio.Event()
        bodies: list[bytes] = []

        def note(body: bytes) -> None:
            bodies.append(body)
            asked.set()

        await client.introduced()
        client.accept(session_present=True)
        client.serve_aside(note)
        await asked.wait()
        for number in range(1, 21):  # for twice as long as it would wait in silence
            client.publish(number, b"%d" % number)
            await asyncio.sleep(0.02)
        client.confirm(bodies[0])
        await asyncio.Event().wait()

    async def story() -> None:
        async with a_session(slow) as (made, clients):
            await until(lambda: made.health.state is State.CONNECTED, "connected")
            assert len(clients) == 1
            assert payloads(all_items(made)) == [b"%d" % number for number in range(1, 21)]

    asyncio.run(story())


def test_a_standstill_of_ours_is_said_before_what_came_meanwhile() -> None:
    """What waits in the socket then is read as one: nothing but the order tells that it is old."""
    now_s = [0.0]

    async def two(client: Client, _place: int) -> None:
        await client.introduced()
        client.accept()
        client.serve_aside()
        client.publish(1, b"before")
        await asyncio.Event().wait()

    async def story() -> None:
        async with a_session(two, monotonic_s=lambda: now_s[0]) as (made, clients):
            await until(
                lambda: made.waiting == 2 and made.health.state is State.CONNECTED, "the first message"
            )
            now_s[0] += 10
            clients[0].publish(2, b"after")
            await until(lambda: made.waiting == 4, "the second")
            _, before, paused, after = all_items(made)
            assert payloads([before, after]) == [b"before", b"after"]
            assert isinstance(paused, ConnectionEvent)
            assert paused.change is ConnectionChange.PAUSED
            assert paused.detail == "this process stood still for 10.0 s"

    asyncio.run(story())


def test_a_broker_that_neither_answers_nor_sends_is_left() -> None:
    """Silence is bounded, and is told."""

    async def silent(client: Client, place: int) -> None:
        await client.introduced()
        client.accept()
        await client.serve(None if place else lambda _body: None)

    async def story() -> None:
        async with a_session(silent) as (made, clients):
            await until(lambda: len(clients) == 2 and made.health.state is State.CONNECTED, "connected")
            events = [item for item in all_items(made) if isinstance(item, ConnectionEvent)]
            assert [e.change for e in events][:2] == [ConnectionChange.RENEWED, ConnectionChange.LOST]

    asyncio.run(story())


def test_what_comes_again_after_a_break_is_handed_on_once() -> None:
    """In hand or safe: it is acknowledged over the connection that brought it again, and not stored anew."""

    async def breaking(client: Client, place: int) -> None:
        await client.introduced()
        client.accept(session_present=place > 0)
        client.serve_aside()
        for number in range(1, 9):
            client.publish(number, b"%d" % number, again=place > 0)
        if place < 3:
            await heard[place].wait()
            client.reset()
        else:
            client.publish(9, b"new")
            await asyncio.Event().wait()

    heard = [asyncio.Event() for _ in range(3)]

    async def story() -> None:
        first: list[Messages] = []
        async with a_session(breaking) as (made, clients):

            def is_heard() -> bool:
                first.extend(item for item in all_items(made) if isinstance(item, Messages))
                return len(payloads(first)) == 8

            await until(is_heard, "the first connection is heard")
            heard[0].set()
            await until(lambda: made.health.repeated == 8, "the second one is")
            heard[1].set()
            await until(lambda: made.health.repeated == 16, "the third one is")
            heard[2].set()
            await until(
                lambda: len(clients) == 4 and made.waiting > 0, "the last connection brings something"
            )
            assert not clients[3].acknowledged
            for messages in first:
                made.acknowledge(messages)
            await until(lambda: clients[3].acknowledged == list(range(1, 9)), "acknowledged")
            await asyncio.sleep(0.05)
            assert payloads(first) == [b"%d" % number for number in range(1, 9)]
            assert payloads(all_items(made)) == [b"new"]
            assert made.health.repeated == 24

    asyncio.run(story())


def test_a_broker_that_sends_more_than_was_asked_for_is_not_read_further() -> None:
    """What waits is bounded, whatever a broker sends; nothing is lost, and it is not called dead."""
    count = 20_000

    async def flooding(client: Client, _place: int) -> None:
        await client.introduced()
        client.accept()
        client.serve_aside()
        for number in range(count):
            client.publish(number % 65_535 + 1, b"%d" % number)
            if number % 500 == 0:
                await client.writer.drain()
        await asyncio.Event().wait()

    async def story() -> None:
        async with a_session(flooding, receive_maximum=100, keepalive_s=1) as (made, clients):
            taken: list[bytes] = []
            most = 0
            await until(lambda: made.waiting > 200, "much is waiting")
            await asyncio.sleep(2.5)  # for longer than a connection may be quiet
            while len(taken) < count:
                most = max(most, made.waiting)
                items = made.take(100)
                taken += payloads(items)
                for item in items:
                    if isinstance(item, Messages):
                        made.acknowledge(item)
                await asyncio.sleep(0)
            assert taken == [b"%d" % number for number in range(count)]
            assert most <= inflow.BUFFER_BYTES // SHORTEST_BYTES + 201
            assert len(clients) == 1

    asyncio.run(story())


def test_an_answer_counts_what_the_broker_holds_back() -> None:
    """What is sent at most once is never kept, so that it says nothing of what is."""

    async def chatting(client: Client, _place: int) -> None:
        await client.introduced()
        client.accept()
        while True:
            kind, body = await client.packet()
            if kind == SUBSCRIBE:
                client.confirm(body)
            elif kind == PINGREQ:
                for _ in range(10):
                    client.mention(b"live")
                client.publish(1, b"kept")
                client.answer()

    async def story() -> None:
        async with a_session(chatting) as (made, _clients):
            await until(lambda: made.health.state is State.CONNECTED, "connected")
            assert made.answered() is None
            made.ask()
            answers: list[int] = []

            def has_answer() -> bool:
                answer = made.answered()
                if answer is not None:
                    answers.append(answer)
                return bool(answers)

            await until(has_answer, "an answer")
            assert answers == [1]
            assert made.answered() is None

    asyncio.run(story())


def test_another_client_with_our_name_is_told_and_not_fought(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known by how the broker hangs up right after it let us in; what it kept for us went elsewhere."""
    monkeypatch.setattr(session, "CONTESTED_S", 0.5)

    async def giving_away(client: Client, place: int) -> None:
        await client.introduced()
        client.accept(session_present=place > 0)
        asked = asyncio.Event()

        def grant(body: bytes) -> None:
            client.confirm(body)
            asked.set()

        client.serve_aside(grant)
        await asked.wait()
        if place >= 4:
            await asyncio.Event().wait()

    async def story() -> None:
        async with a_session(giving_away) as (made, clients):
            await until(lambda: made.health.contested, "contested")
            assert made.health.state is State.REFUSED
            assert "another client seems to connect as 'us'" in made.health.detail
            await until(lambda: len(clients) == 5 and made.health.state is State.CONNECTED, "connected")
            events = [item for item in all_items(made) if isinstance(item, ConnectionEvent)]
            resumed = [event for event in events if event.change is ConnectionChange.RESUMED]
            assert "another client" in resumed[-1].doubt
            assert resumed[0].doubt == ""
            assert "another client" in made.health.trouble
            await until(lambda: not made.health.trouble, "no trouble")
            assert not made.health.contested

    asyncio.run(story())


@pytest.mark.parametrize("is_reset", [True, False], ids=["reset", "closed"])
def test_a_load_balancer_that_accepts_and_closes_is_waited_for(is_reset: bool) -> None:  # noqa: FBT001 - a parameter
    """Told in words, nothing is raised meanwhile, and a broker that is there again is spoken to in MQTT 5."""
    oddities: list[str] = []

    async def nothing_behind(client: Client, place: int) -> None:
        if place < 40:
            if is_reset:
                client.reset()
            return
        await client.introduced()
        if client.version == 5:
            client.accept()
            await client.serve()

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, what: oddities.append(str(what)))
        told: set[str] = set()
        async with a_session(nothing_behind) as (made, clients):

            def is_in() -> bool:
                told.add(made.health.detail)
                return made.health.state is State.CONNECTED

            await until(is_in, "let in")
            assert made.health.version == 5
            assert len(clients) >= 40
            assert not oddities
        told = {text.partition(": ")[2] for text in told} - {""}
        assert told == {"the broker hung up without an answer"}

    asyncio.run(story())


def test_a_broker_that_did_not_run_is_remembered() -> None:
    """What it held for us may be gone with it, and whoever publishes had nobody to say it to."""

    async def story() -> None:
        async def let_in(client: Client, _place: int) -> None:
            await client.introduced()
            client.accept(session_present=True)
            await client.serve()

        async with a_broker(let_in) as broker:
            port = broker.port
        made = a_session_with(port)
        running = asyncio.create_task(made.run())
        await until(lambda: "refused" in made.health.detail, "refused")
        async with a_broker(let_in, port):
            await until(lambda: made.health.state is State.CONNECTED, "connected")
            await end(running)
        event = next(item for item in all_items(made) if isinstance(item, ConnectionEvent))
        assert (event.change, event.doubt) == (ConnectionChange.RESUMED, "the broker did not run for a time")

    asyncio.run(story())
