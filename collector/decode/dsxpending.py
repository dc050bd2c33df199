"""Values of the DSX bus that wait for their metadata, in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from store.journal.file import Waiting

WAIT_MS: Final = 600_000
"""How long a value waits for its metadata: six times the 100 s after which that is repeated."""
MOST_WAITING: Final = 200_000
"""How many values wait at most; more are refused at once."""
MOST_ON_TOPIC: Final = 10_000
"""How many of them on one topic, which are all read at once: 10 min at 16 a second (our choice)."""

MOST_PAYLOAD_BYTES: Final = 2_048
"""The longest payload that may wait, thirty times that of a value (our choice)."""
MOST_BYTES: Final = 67_108_864
"""How much topics and payloads may be in all, twice what so many usual ones are: some 150 MB with all that is
kept beside them (our choice)."""
_SPARE: Final = 100
"""So many that wait no longer may stand among those that do, before these are sorted out."""


class Park:
    """What waits for its metadata.

    Args:
        waiting: What waits already, oldest first.
    """

    def __init__(self, waiting: Iterable[Waiting]) -> None:
        self._by_topic: dict[str, dict[int, Waiting]] = {}
        self._by_age: deque[Waiting] = deque()
        self._count = 0
        self._bytes = 0
        for item in waiting:
            self.add(item)

    def has_room(self, topic: str, length: int) -> bool:
        """Tell whether one more may wait on a topic, with a payload of such a length [bytes]."""
        return (
            self._count < MOST_WAITING
            and self._bytes + len(topic) + length <= MOST_BYTES
            and len(self._by_topic.get(topic, ())) < MOST_ON_TOPIC
        )

    def add(self, item: Waiting) -> None:
        """Let a value wait."""
        self._by_topic.setdefault(item.topic, {})[item.id] = item
        self._by_age.append(item)
        self._count += 1
        self._bytes += _size(item)

    def release(self, topic: str) -> list[Waiting]:
        """Return what waited on a topic, oldest first; it waits no longer."""
        found = self._by_topic.pop(topic, None)
        if found is None:
            return []
        self._count -= len(found)
        self._bytes -= sum(map(_size, found.values()))
        if len(self._by_age) > 2 * self._count + _SPARE:
            self._by_age = deque(item for item in self._by_age if self._waits(item))
        return list(found.values())

    def give_up(self, now_ms: int) -> Iterator[Waiting]:
        """Yield what has waited too long, oldest first; it waits no longer.

        Args:
            now_ms: The time [ms].
        """
        while self._by_age and (
            self._by_age[0].received_ms < now_ms - WAIT_MS or not self._waits(self._by_age[0])
        ):
            item = self._by_age.popleft()
            if not self._waits(item):
                continue
            on_topic = self._by_topic[item.topic]
            del on_topic[item.id]
            if not on_topic:
                del self._by_topic[item.topic]
            self._count -= 1
            self._bytes -= _size(item)
            yield item

    def _waits(self, item: Waiting) -> bool:
        return item.id in self._by_topic.get(item.topic, ())


def _size(item: Waiting) -> int:
    return len(item.topic) + len(item.payload)
