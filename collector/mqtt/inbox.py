"""What a session hands on, until it is taken: messages, and between them what happened to the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from collector.mqtt.message import ConnectionEvent, Item, Messages

READ_BYTES: Final = 1_000
"""What messages that were read at once need beside their text [bytes], some nine columns."""
MOST_TAKEN_BYTES: Final = 16_777_216
"""The most text that is taken at once [bytes] (our choice)."""


class Inbox:
    """What came and was not taken yet, in order.

    Attributes:
        waiting: How many messages, and events of the connection, are in it.
        waiting_bytes: How much memory they need [bytes].
    """

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self.waiting = 0
        self.waiting_bytes = 0

    def put(self, item: Item) -> None:
        """Put something behind all the rest."""
        self._items.append(item)
        self.waiting += _count(item)
        self.waiting_bytes += size_of(item)
        self._arrived.set()

    async def arrived(self, timeout_s: float) -> bool:
        """Wait until something is in it.

        Args:
            timeout_s: How long to wait at most [s].

        Returns:
            Whether something is.
        """
        if not self._items:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return False
        return True

    def take(self, most: int) -> list[Item]:
        """Take what is in it, in order; an event of the connection comes alone.

        Args:
            most: How many messages at most, and `MOST_TAKEN_BYTES`, but always those that were read at once.
        """
        if self._items and isinstance(self._items[0], ConnectionEvent):
            return [self._pop()]
        taken, count, size = list[Item](), 0, 0
        while self._items and isinstance(item := self._items[0], Messages):
            count, size = count + len(item), size + size_of(item)
            if taken and (count > most or size > MOST_TAKEN_BYTES):
                break
            taken.append(self._pop())
        return taken

    def _pop(self) -> Item:
        item = self._items.popleft()
        self.waiting -= _count(item)
        self.waiting_bytes -= size_of(item)
        return item


def size_of(item: Item) -> int:
    """Return how much memory something in it needs [bytes]."""
    return READ_BYTES if isinstance(item, ConnectionEvent) else READ_BYTES + len(item.data)


def _count(item: Item) -> int:
    return 1 if isinstance(item, ConnectionEvent) else len(item)
