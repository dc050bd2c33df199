"""What a session hands on, until it is taken: messages, and between them what happened to the connection."""

from __future__ import annotations

import asyncio
from collections import deque

from collector.mqtt.message import ConnectionEvent, Item, Messages


class Inbox:
    """What came and was not taken yet, in order.

    Attributes:
        waiting: How many messages, and events of the connection, are in it.
    """

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self.waiting = 0

    def put(self, item: Item) -> None:
        """Put something behind all the rest."""
        self._items.append(item)
        self.waiting += _count(item)
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
            most: How many messages at most, but always those that were read at once.
        """
        if self._items and isinstance(self._items[0], ConnectionEvent):
            return [self._pop()]
        taken, count = list[Item](), 0
        while self._items and isinstance(item := self._items[0], Messages):
            count += len(item)
            if taken and count > most:
                break
            taken.append(self._pop())
        return taken

    def _pop(self) -> Item:
        item = self._items.popleft()
        self.waiting -= _count(item)
        return item


def _count(item: Item) -> int:
    return 1 if isinstance(item, ConnectionEvent) else len(item)
