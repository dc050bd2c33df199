"""A session with a broker: it connects, stays connected, and hands on what comes, in order.

Messages and what happens to the connection go into one inbox; the service takes from it, appends to the
journal, and then acknowledges. What the broker sends at least once is held back by the receive maximum while
we do not acknowledge. What it sends at most once cannot be held back: beyond a bound the oldest is dropped,
and that is an event like a broken connection.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import numpy as np
import structlog

from collector.continuity.standstill import BEAT_S, Pulse
from collector.health import Health, State
from collector.mqtt.address import Address
from collector.mqtt.connection import Connection, Lost, Refused, forget
from collector.mqtt.inbox import Inbox, size_of
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Messages
from collector.mqtt.unacknowledged import Unacknowledged
from collector.mqtt.versions import NAMES, NEWEST, Versions
from facility.backoff import Backoff
from store.cputime import CpuTime

MOST_WAITING: Final = 200_000
"""Messages that may wait in memory: 10 s of a 300 MW site."""
MOST_WAITING_BYTES: Final = 134_217_728
"""How much memory they may need, five times what 10 s of such a site do [bytes] (our choice)."""
BACKOFF: Final = Backoff(first_s=0.5, longest_s=30.0)
"""Pauses between attempts to connect."""
MOST_UNASKED: Final = 2
"""How many times the receive maximum may wait before no more is read (our choice)."""
CONTESTED: Final = 3
"""So often in a row a broker hangs up soon after it let us in, where another has our client id (our choice).
"""
CONTESTED_S: Final = 45.0
"""How soon that is: a client that lost its place comes back after a pause, as we do (our choice)."""

_log = structlog.get_logger(__name__)


class Session:
    """A session with one broker.

    Args:
        name: Name of the broker.
        address: Broker and credentials.
        topics: Topic filters, each with the quality of service to ask for.
        now_ms: The clock [ms].
        monotonic_s: Gives monotonic time, which tells whether this process stood still [s].
        random_source: Where the jitter of pauses comes from.
        asked_again: Gives the address anew where no connection came about: passwords and certificates change.

    Attributes:
        name: Name of the broker.
        health: How the connection does.
        reading: CPU time of reading from sockets, until it is taken over.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        topics: Iterable[tuple[str, int]],
        *,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        random_source: random.Random,
        asked_again: Callable[[], Address] | None = None,
    ) -> None:
        self.name = name
        self._version = NEWEST
        self.health = Health(version=NEWEST)
        self.reading = CpuTime()
        self._address = address
        self._topics = list(topics)
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._random = random_source
        self._asked_again = asked_again
        self._unacknowledged = Unacknowledged()
        self._versions = Versions()
        self._lasted = deque[float](maxlen=CONTESTED)
        self._doubt = ""
        self._inbox = Inbox()
        self._connection: Connection | None = None
        self._ended: Connection | None = None  # the last one, where the broker had let us in
        self._generation = 0
        self._overloaded = False
        self._pulse: Pulse | None = None
        self._greeting = ""

    # What the service uses ------------------------------------------------------------

    async def arrived(self, timeout_s: float) -> bool:
        """Wait until something is in the inbox; argument and return value as for `Inbox.arrived`."""
        return await self._inbox.arrived(timeout_s)

    def take(self, most: int) -> list[Item]:
        """Take what is in the inbox; argument and return value as for `Inbox.take`."""
        taken = self._inbox.take(most)
        inbox = self._inbox
        is_over = inbox.waiting < MOST_WAITING // 2 and inbox.waiting_bytes < MOST_WAITING_BYTES // 2
        if self._overloaded and is_over:
            self._overloaded = False
            self._inbox.put(ConnectionEvent(ConnectionChange.OVERLOADED, self._now_ms(), "over"))
        return taken

    @property
    def waiting(self) -> int:
        """How many messages, and events of the connection, are in the inbox."""
        return self._inbox.waiting

    def acknowledge(self, messages: Messages) -> None:
        """Acknowledge messages that are safe; those of a connection that is gone, once they come again.

        Args:
            messages: What is safe, as it was taken.
        """
        numbers = self._unacknowledged.settle(messages)
        self.health.stale = self._unacknowledged.late
        if self._connection is not None:
            self._connection.acknowledge(numbers)

    def ask(self) -> None:
        """Ask the broker for a sign of life, where it has confirmed our subscriptions."""
        if self._connection is not None and self.health.state is State.CONNECTED:
            self._connection.ask()

    def answered(self) -> int | None:
        """Return how many messages came between the last `ask` and its answer, once; else None."""
        return None if self._connection is None else self._connection.answered()

    async def forget(self) -> None:
        """Let the broker forget this session; to be called when it runs no more."""
        await forget(self._address, self._version)

    # The connection -------------------------------------------------------------------

    async def run(self) -> None:
        """Connect and stay connected, until cancelled."""
        failures, loop = 0, asyncio.get_running_loop()
        while True:
            self._version = self.health.version = self._versions.next()
            began_s, before, is_breach = loop.time(), self.health.connections, False
            try:
                await self._connect_once()
            except Refused as error:
                if error.is_version and self._versions.refused():
                    continue
                self._note(State.REFUSED, error.cause)
            except Lost as error:
                self._versions.lost(is_unanswered=error.is_unanswered)
                lasted_s = loop.time() - began_s
                is_breach = error.is_breach and lasted_s < CONTESTED_S
                self._lost(error, lasted_s)
            was_in = self.health.connections > before
            failures = 0 if was_in and not (self.health.contested or is_breach) else failures + 1
            if not was_in and self._asked_again is not None:
                with suppress(OSError):  # a file is being replaced: as it was, for now
                    self._address = self._asked_again()
            await asyncio.sleep(BACKOFF.pause_s(failures, self._random))

    def _lost(self, error: Lost, lasted_s: float) -> None:
        """Note how a connection ended, and whether such ends say that another client has our client id."""
        connection, cause = self._ended, error.cause
        if error.is_down:
            self._doubt = "the broker did not run for a time"
        if connection is not None and connection.hung_up:
            self._lasted.append(0.0 if error.is_taken_over else lasted_s)
        elif not error.is_unanswered:
            self._lasted.clear()
        is_contested = len(self._lasted) == CONTESTED and max(self._lasted) < CONTESTED_S
        self.health.contested = is_contested or (self.health.contested and connection is None)
        if self.health.contested:
            cause = (
                f"another client seems to connect as '{self._address.client_id}', and takes our place again"
                " and again: give each monitor a client_id of its own"
            )
            self._doubt = "another client was given what was kept for us"
        self._note(State.REFUSED if self.health.contested else State.CONNECTING, cause)

    async def _connect_once(self) -> None:
        self._generation += 1
        self._unacknowledged.begin(self._generation)
        self._ended = None
        connection = Connection(
            self._address,
            version=self._version,
            take=self._receive,
            connected=self._connected,
            is_full=self._is_full,
            reading=self.reading,
            now_ms=self._now_ms,
        )
        async with connection:
            self._connection = connection
            self._acknowledge_due()
            self._pulse = Pulse(self._monotonic_s)
            beating = asyncio.create_task(self._beat_on(), name=f"pulse {self.name}")
            cause = "we ended it"
            try:
                await self._live(connection)
            except (Lost, Refused) as error:
                cause = error.cause
                raise
            finally:
                beating.cancel()
                self._pulse = None
                self._connection, self._ended = None, connection
                self._inbox.put(ConnectionEvent(ConnectionChange.LOST, connection.heard_ms, cause))

    def _connected(self, resumed: bool) -> None:  # noqa: FBT001 - called by position
        """Note a connection before any message of it: queued ones come before subscriptions are confirmed."""
        change = ConnectionChange.RESUMED if resumed else ConnectionChange.RENEWED
        if not resumed:
            self._unacknowledged.forget()
        self._versions.accepted()
        detail = f"MQTT {NAMES[self._version]}, {'session resumed' if resumed else 'new session'}"
        self._inbox.put(ConnectionEvent(change, self._now_ms(), detail, self._doubt))
        self._greeting, self._doubt = detail, ""

    async def _live(self, connection: Connection) -> None:
        await connection.subscribe(self._topics)
        self.health.connections += 1
        self._note(State.CONNECTED, self._greeting)
        if not self.health.contested:
            self.health.trouble = ""
        try:
            async with asyncio.timeout(CONTESTED_S):
                await connection.ended()
        except TimeoutError:
            self.health.contested, self.health.trouble = False, ""
        await connection.ended()

    def _note(self, state: State, detail: str) -> None:
        if (state, detail) != (self.health.state, self.health.detail):
            tell = _log.warning if state is State.REFUSED else _log.info
            tell("broker", broker=self.name, state=state.value, detail=detail)
        self.health.state, self.health.detail = state, detail
        if state is State.REFUSED:
            self.health.trouble = detail

    async def _beat_on(self) -> None:
        """Note that we run, while we are connected."""
        while True:
            await asyncio.sleep(BEAT_S)
            self._beat()

    def _beat(self) -> None:
        """Note that we run; where we had stood still, say so before anything that came meanwhile is read."""
        stood_s = self._pulse.beat() if self._pulse is not None else 0.0
        if stood_s:
            since_ms = self._now_ms() - round(stood_s * 1_000)
            detail = f"this process stood still for {stood_s:.1f} s"
            self._inbox.put(ConnectionEvent(ConnectionChange.PAUSED, since_ms, detail))

    def _is_full(self) -> bool:
        """Tell whether more waits than was asked for, or than memory is for.

        Some brokers do not keep to the receive maximum, and as many messages as that may be long.
        """
        waiting = self._unacknowledged.waiting
        is_large = self._inbox.waiting_bytes > MOST_UNASKED * MOST_WAITING_BYTES
        return is_large or waiting > MOST_UNASKED * self._address.receive_maximum

    def _receive(self, messages: Messages) -> None:
        """Take messages; those that are in hand, or safe, are not handed on again."""
        self._beat()
        messages = self._unacknowledged.come(self._without_what_is_too_much(messages))
        self.health.repeated = self._unacknowledged.repeated
        if self._unacknowledged.due:
            asyncio.get_running_loop().call_soon(self._acknowledge_due)
        if len(messages):
            self._inbox.put(messages)

    def _acknowledge_due(self) -> None:
        due = self._unacknowledged.due
        if self._connection is not None:
            self._connection.acknowledge(np.array(due, np.int64))
            due.clear()

    def _without_what_is_too_much(self, messages: Messages) -> Messages:
        """Drop what comes at most once where too many wait."""
        inbox = self._inbox
        waiting_bytes = inbox.waiting_bytes + size_of(messages)
        if inbox.waiting + len(messages) <= MOST_WAITING and waiting_bytes <= MOST_WAITING_BYTES:
            return messages
        is_kept = messages.number > 0
        dropped = int(np.count_nonzero(~is_kept))
        self.health.dropped += dropped
        if dropped and not self._overloaded:
            self._overloaded = True
            self._inbox.put(ConnectionEvent(ConnectionChange.OVERLOADED, self._now_ms(), "too many waiting"))
        return messages.take(is_kept) if dropped else messages
