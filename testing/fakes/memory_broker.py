"""A broker in memory: it keeps what is not acknowledged, and sends it again to whoever connects next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from collector.health import Health, State
from collector.mqtt.inbox import Inbox
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Message, Messages
from store.cputime import CpuTime


@dataclass(slots=True)
class MemoryBroker:
    """A broker with one persistent session.

    Attributes:
        kept: What was published and not acknowledged, by its number: topic and payload.
        acknowledged: The numbers of what was acknowledged.
        sessions: How often somebody connected.
        before_arrival: Is awaited whenever the session waits for what comes.
    """

    kept: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    sessions: int = 0
    before_arrival: Callable[[], Awaitable[None]] | None = None
    _session: MemorySession | None = None
    _published: int = 0

    def publish(self, topic: str, payload: bytes) -> int:
        """Publish at least once; return the number of the message."""
        self._published += 1
        self.kept[self._published] = topic, payload
        if self._session is not None:
            self._session.bring(self._published)
        return self._published

    def connect(self, session: MemorySession | None) -> None:
        """Send everything that is kept to a session; None where there is none any more."""
        self._session = session
        if session is not None:
            self.sessions += 1
            for number in self.kept:
                session.bring(number)


class MemorySession:
    """A session with a broker in memory, as a collector uses one.

    Args:
        name: The broker's name.
        broker: What keeps the messages from session to session.
        now_ms: The clock [ms].
    """

    def __init__(self, name: str, broker: MemoryBroker, now_ms: Callable[[], int]) -> None:
        self.name = name
        self.health = Health(version=5)
        self.reading = CpuTime()
        self._broker = broker
        self._now_ms = now_ms
        self._inbox = Inbox()
        self._answer: int | None = None

    def bring(self, number: int) -> None:
        """Put a message of the broker into the inbox."""
        topic, payload = self._broker.kept[number]
        self._inbox.put(Messages.of([Message(topic, payload, self._now_ms())], [number]))

    async def run(self) -> None:
        """Stay connected until cancelled."""
        is_first = not self._broker.sessions
        change = ConnectionChange.RENEWED if is_first else ConnectionChange.RESUMED
        self._inbox.put(ConnectionEvent(change, self._now_ms(), "connected"))
        self._broker.connect(self)
        self.health.state, self.health.connections = State.CONNECTED, 1
        try:
            await asyncio.Event().wait()
        finally:
            self._broker.connect(None)

    async def arrived(self, timeout_s: float) -> bool:
        """Wait until something is in the inbox; return whether something is."""
        if self._broker.before_arrival is not None:
            await self._broker.before_arrival()
        return await self._inbox.arrived(timeout_s)

    def take(self, most: int) -> list[Item]:
        """Take what is in the inbox; an event of the connection comes alone."""
        return self._inbox.take(most)

    @property
    def waiting(self) -> int:
        """How many messages and events are in the inbox."""
        return self._inbox.waiting

    def acknowledge(self, messages: Messages) -> None:
        """Acknowledge messages: the broker keeps them no longer."""
        for number in messages.number.tolist():
            self._broker.kept.pop(number, None)
            self._broker.acknowledged.add(number)

    def ask(self) -> None:
        """Ask for a sign of life; the answer is there at once."""
        self._answer = 0

    def answered(self) -> int | None:
        """Return how many messages came between the last question and its answer, once; else None."""
        answer, self._answer = self._answer, None
        return answer

    async def forget(self) -> None:
        """Nothing is forgotten."""
