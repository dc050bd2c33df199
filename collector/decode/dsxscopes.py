"""Scopes of heartbeats: which values a publisher's client answers for, and so whose silence is whose.

A site has hundreds of scopes and tens of thousands of topics: what covers a topic is looked up by the levels
that scopes name, and never by trying one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from collector.mqtt.message import text_of
from formats import dsx

T = TypeVar("T")
LOOKED_AT: Final = 1_000
"""So many topics that are looked at are some milliseconds of work (our choice)."""
_PATH_LEVEL: Final = 6
"""Where the tag path begins among the levels of a topic."""


@dataclass(frozen=True, slots=True)
class _Form:
    """Which levels a scope names; the scopes of a site have few forms.

    Attributes:
        places: The levels, counted from 0.
        count: How many levels there must be.
        is_whole: Whether there may be no more.
        is_of_path: Whether they are those of the tag path, instead of the whole topic's.
        is_first: Whether they are the first levels, none left out.
    """

    places: tuple[int, ...]
    count: int
    is_whole: bool
    is_of_path: bool
    is_first: bool = False

    def named(self, levels: list[str], path: list[str]) -> tuple[str, ...] | None:
        """Return what a topic has at the levels that are named, None where it is of another form.

        Args:
            levels: The levels of the topic.
            path: Those of its tag path.
        """
        among = path if self.is_of_path else levels
        if len(among) < self.count or (self.is_whole and len(among) > self.count):
            return None
        return tuple(among[: self.count]) if self.is_first else tuple([among[i] for i in self.places])


class ScopeIndex(Generic[T]):
    """Something for each of some scopes, found by the topics that they cover.

    The contract of the bus leaves the form of a scope open. A topic filter is read as one; anything else is
    read as the beginning of a topic or of a tag path, whole levels of it.
    """

    def __init__(self) -> None:
        self._found: dict[_Form, dict[tuple[str, ...], dict[str, T]]] = {}

    def put(self, scope: str, name: str, value: T) -> None:
        """Put something at a scope, in place of what has the same name there."""
        for form, levels in _forms(scope):
            self._found.setdefault(form, {}).setdefault(levels, {})[name] = value

    def take(self, scope: str, name: str) -> None:
        """Take away what has a name at a scope."""
        for form, levels in _forms(scope):
            named = self._found[form][levels]
            del named[name]
            if not named:
                del self._found[form][levels]

    def covering(self, topic: str) -> Iterator[T]:
        """Yield what was put at scopes that cover a topic; of one scope perhaps twice."""
        if not self._found:
            return
        levels, path = _levels(topic)
        for form, found in self._found.items():
            if (named := form.named(levels, path)) is not None:
                yield from found.get(named, {}).values()


class TopicIndex:
    """Topics as they are sent, found by a scope that covers them: the other way round than `ScopeIndex`.

    The scopes of a site have few forms. Each form that was asked for is kept up with every topic, so that a
    scope that becomes known costs as much as it covers.

    Args:
        topics: All topics, as they are now: whoever adds one puts it here too, and takes it away again.
    """

    def __init__(self, topics: Iterable[bytes]) -> None:
        self._topics = topics
        self._found: dict[_Form, dict[tuple[str, ...], dict[bytes, None]]] = {}

    def put(self, topic: bytes) -> None:
        """Note a topic that was added; one that is known already stays."""
        if self._found:
            levels, path = _levels(text_of(topic))
            for form, found in self._found.items():
                if (named := form.named(levels, path)) is not None:
                    found.setdefault(named, {})[topic] = None

    def take(self, topic: bytes) -> None:
        """Note that a topic is gone."""
        levels, path = _levels(text_of(topic))
        for form, found in self._found.items():
            if (named := form.named(levels, path)) is not None:
                del found[named][topic]
                if not found[named]:
                    del found[named]

    def covered(self, scope: str) -> Iterator[bytes]:
        """Yield the topics that a scope covers; one perhaps twice."""
        for _ in self.look_for([scope]):
            pass
        for form, levels in _forms(scope):
            yield from self._found[form].get(levels, ())

    def look_for(self, scopes: Iterable[str]) -> Iterator[None]:
        """Make ready to find what scopes cover, while this is iterated over; no topic may come meanwhile.

        Yields:
            After some milliseconds of work each.
        """
        wanted = dict.fromkeys(form for scope in scopes for form, _ in _forms(scope))
        found: dict[_Form, dict[tuple[str, ...], dict[bytes, None]]] = {
            form: {} for form in wanted if form not in self._found
        }
        if found:
            for done, topic in enumerate(self._topics, 1):
                levels, path = _levels(text_of(topic))
                for form, by_levels in found.items():
                    if (named := form.named(levels, path)) is not None:
                        by_levels.setdefault(named, {})[topic] = None
                if done % LOOKED_AT == 0:
                    yield
            self._found |= found


def _levels(topic: str) -> tuple[list[str], list[str]]:
    """Return the levels of a topic, and those of its tag path, where it has one."""
    levels = topic.split("/")
    return levels, levels[_PATH_LEVEL:] if dsx.is_topic(levels) else []


def _forms(scope: str) -> Iterator[tuple[_Form, tuple[str, ...]]]:
    """Yield which levels of a topic a scope names, and what they must be."""
    if "#" in scope or "+" in scope:
        levels = scope.split("/")
        is_whole = "#" not in levels
        levels = levels if is_whole else levels[: levels.index("#")]
        places = tuple(i for i, level in enumerate(levels) if level != "+")
        yield _Form(places, len(levels), is_whole, is_of_path=False), tuple(levels[i] for i in places)
        return
    levels = scope.rstrip("/").split("/")
    places = tuple(range(len(levels)))
    for is_of_path in (False, True):
        form = _Form(places, len(levels), is_whole=False, is_of_path=is_of_path, is_first=True)
        yield form, tuple(levels)


class Scopes:
    """The scope of every heartbeat on a broker that has one."""

    def __init__(self) -> None:
        self._by_topic: dict[str, tuple[str, str, str]] = {}
        self._index = ScopeIndex[tuple[str, str, str]]()

    def set(self, topic: str, publisher: str, scope: str, stream: str) -> tuple[str, ...]:
        """Take in what metadata says of a scope.

        Args:
            topic: Topic of the metadata.
            publisher: Who publishes its heartbeat.
            scope: What its heartbeat covers; "" for nothing of its own.
            stream: Name of the stream whose life the heartbeat proves.

        Returns:
            The scopes that hold no longer and that hold now, where that changed anything.
        """
        before = self._by_topic.pop(topic, None)
        after = (scope, publisher, stream) if scope else None
        if before is not None:
            self._index.take(before[0], topic)
        if after is not None:
            self._by_topic[topic] = after
            self._index.put(scope, topic, after)
        if before == after:
            return ()
        return tuple(found[0] for found in (before, after) if found is not None)

    def stream_of(self, value_topic: str, publisher: str) -> str | None:
        """Return the stream that the values on a topic are of, None where no scope covers it.

        A scope covers values of its heartbeat's own publisher only, whatever else lies beneath it: what
        another one says is no sign that this one lives. Of several scopes the longest holds, and of two as
        long the stream that is first by name, so that the order in which they became known means nothing.

        Args:
            value_topic: Topic of the values.
            publisher: Who publishes on it.
        """
        covering = [
            (-len(scope), stream)
            for scope, owner, stream in self._index.covering(value_topic)
            if owner == publisher
        ]
        return min(covering)[1] if covering else None
