"""A session with a broker: it connects, stays connected, and hands on what comes, in order.

Messages and what happens to the connection go into one inbox; the service takes from it, appends to the
journal, and then acknowledges. What the broker sends at least once is held back by the receive maximum while
we do not acknowledge. What it sends at most once can not be held back: beyond a bound the oldest is dropped,
and that is an event like a broken connection.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from collector.address import Address
from collector.message import ConnectionChange, ConnectionEvent, Item, Message
from collector.mqtt import Connection, Lost, Refused, forget
from facility.errors import MegawatchError

MOST_WAITING: Final = 200_000
"""Messages that may wait in memory: 10 s of a 300 MW site, some 100 MB."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
"""Pauses between attempts to connect double from the first to the longest, each drawn evenly from zero."""
MOST_DOUBLINGS: Final = 10
SILENT_ATTEMPTS: Final = 2
"""A broker that hangs up on MQTT 5 so often, without a word, is tried with 3.1.1, and then with 5 again."""

_log = structlog.get_logger(__name__)


def pause_s(attempt: int, random_source: random.Random) -> float:
    """Return how long to wait before the next attempt to connect [s].

    Args:
        attempt: How many attempts in a row have failed.
        random_source: Where the jitter comes from.
    """
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt, MOST_DOUBLINGS))
    return random_source.uniform(0, longest)


class State(StrEnum):
    """What a session is doing."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"


class SessionTaken(MegawatchError):  # noqa: N818 - says what happened
    """Another client took our place: two monitors have one client id."""

    def __init__(self, broker: str, client_id: str) -> None:
        super().__init__(
            f"{broker}: another client connected as '{client_id}'; give each monitor a client_id of its own"
        )


@dataclass(slots=True)
class Health:
    """How a session is doing.

    Attributes:
        state: What it is doing.
        detail: What was last seen, for people.
        version: The version of MQTT that is spoken: 5, or 4 for 3.1.1.
        connections: How often a connection was made.
        stale: Acknowledgements that came too late for their connection and were thrown away.
        dropped: Messages of quality of service 0 that were dropped because too many waited.
    """

    state: State = State.CONNECTING
    detail: str = ""
    version: int = 5
    connections: int = 0
    stale: int = 0
    dropped: int = 0


class Session:
    """A session with one broker.

    Args:
        name: The broker's name.
        address: Where and as whom.
        topics: Topic filters, each with the quality of service to ask for.
        now_ms: The clock [ms].
        random_source: Where the jitter of pauses comes from.
        asked_again: Gives the address anew after the broker refused the password, which may have changed.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        topics: Iterable[tuple[str, int]],
        *,
        now_ms: Callable[[], int],
        random_source: random.Random,
        asked_again: Callable[[], Address] | None = None,
    ) -> None:
        self.name = name
        self.health = Health()
        self._address = address
        self._topics = list(topics)
        self._now_ms = now_ms
        self._random = random_source
        self._asked_again = asked_again
        self._unanswered = 0
        self._inbox: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._connection: Connection | None = None
        self._generation = 0
        self._overloaded = False
        self._greeting = ""

    # What the service uses ------------------------------------------------------------

    async def arrived(self, timeout_s: float) -> bool:
        """Wait until something is in the inbox.

        Args:
            timeout_s: How long to wait at most [s].

        Returns:
            Whether something is.
        """
        if not self._inbox:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return False
        return True

    def take(self, most: int) -> list[Item]:
        """Take what is in the inbox, in order; an event of the connection comes alone.

        Args:
            most: How many items at most.
        """
        taken: list[Item] = []
        while self._inbox and len(taken) < most:
            if isinstance(self._inbox[0], ConnectionEvent):
                return taken or [self._inbox.popleft()]
            taken.append(self._inbox.popleft())
        if self._overloaded and len(self._inbox) < MOST_WAITING // 2:
            self._overloaded = False
            self._put(ConnectionEvent(ConnectionChange.OVERLOADED, self._now_ms(), "over"))
        return taken

    @property
    def waiting(self) -> int:
        """How many items are in the inbox."""
        return len(self._inbox)

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Acknowledge messages that are safe; those of a connection that is gone are thrown away."""
        tokens = [m.acknowledgement for m in messages if m.acknowledgement[1]]
        if self._connection is None:
            self.health.stale += len(tokens)
        else:
            self.health.stale += self._connection.acknowledge(tokens)

    async def forget(self) -> None:
        """Let the broker forget this session; to be called when it runs no more."""
        await forget(self._address, self.health.version)

    # The connection -------------------------------------------------------------------

    async def run(self) -> None:
        """Connect and stay connected, until cancelled.

        Raises:
            SessionTaken: Where another client took our place.
        """
        attempt = 0
        while True:
            began = self.health.connections
            try:
                await self._connect_once()
            except Refused as error:
                if error.is_version and self.health.version == 5:  # noqa: PLR2004 - MQTT 5
                    self.health.version = 4
                    continue
                self._note(State.REFUSED, error.cause)
                if error.is_login and self._asked_again is not None:
                    self._address = self._asked_again()
            except Lost as error:
                if error.is_taken_over:
                    raise SessionTaken(self.name, self._address.client_id) from error
                self._note(State.CONNECTING, error.cause)
                self._choose_version(error)
            attempt = 0 if self.health.connections > began else attempt + 1
            await asyncio.sleep(pause_s(attempt, self._random))

    def _choose_version(self, error: Lost) -> None:
        """Try the other version of MQTT where the broker hangs up on this one without a word."""
        self._unanswered = self._unanswered + 1 if error.is_unanswered else 0
        if self._unanswered >= SILENT_ATTEMPTS:
            self.health.version = 4 if self.health.version == 5 else 5  # noqa: PLR2004 - MQTT 5
            self._unanswered = 0

    async def _connect_once(self) -> None:
        self._generation += 1
        connection = Connection(
            self._address,
            version=self.health.version,
            generation=self._generation,
            take=self._put,
            connected=self._connected,
            now_ms=self._now_ms,
        )
        async with connection:
            self._connection = connection
            try:
                await self._live(connection)
            finally:
                self._connection = None
                since_ms = connection.heard_ms
                self._put(ConnectionEvent(ConnectionChange.LOST, since_ms, self.health.detail))

    def _connected(self, resumed: bool) -> None:  # noqa: FBT001 - called by position
        """Note a connection before any message of it: queued ones come before subscriptions are confirmed."""
        change = ConnectionChange.RESUMED if resumed else ConnectionChange.RENEWED
        version = "5" if self.health.version == 5 else "3.1.1"  # noqa: PLR2004 - MQTT 5
        detail = f"MQTT {version}, {'session resumed' if resumed else 'new session'}"
        self._put(ConnectionEvent(change, self._now_ms(), detail))
        self._greeting = detail

    async def _live(self, connection: Connection) -> None:
        await connection.subscribe(self._topics)
        self.health.connections += 1
        self._note(State.CONNECTED, self._greeting)
        await connection.ended()

    def _note(self, state: State, detail: str) -> None:
        if (state, detail) != (self.health.state, self.health.detail):
            tell = _log.warning if state is State.REFUSED else _log.info
            tell("broker", broker=self.name, state=state.value, detail=detail)
        self.health.state, self.health.detail = state, detail

    def _put(self, item: Item) -> None:
        if len(self._inbox) >= MOST_WAITING and isinstance(item, Message) and not item.acknowledgement[1]:
            self.health.dropped += 1
            if not self._overloaded:
                self._overloaded = True
                event = ConnectionEvent(ConnectionChange.OVERLOADED, self._now_ms(), "too many waiting")
                self._inbox.append(event)
            return
        self._inbox.append(item)
        if not self._arrived.is_set():
            self._arrived.set()
