"""Scopes of heartbeats: which values a publisher's client answers for, and so whose silence is whose."""

from __future__ import annotations

from facility import dsx


class Scopes:
    """The scope of every heartbeat on a broker that has one."""

    def __init__(self) -> None:
        self._by_topic: dict[str, tuple[str, str, str]] = {}

    def set(self, topic: str, publisher: str, scope: str, stream: str) -> tuple[str, ...]:
        """Take in what metadata says of a scope.

        Args:
            topic: The topic of the metadata.
            publisher: Who publishes its heartbeat.
            scope: What its heartbeat covers; "" for nothing of its own.
            stream: The stream that the heartbeat beats for.

        Returns:
            The scopes that hold no longer and that hold now, where that changed anything.
        """
        before = self._by_topic.pop(topic, None)
        after = (scope, publisher, stream) if scope else None
        if after is not None:
            self._by_topic[topic] = after
        if before == after:
            return ()
        return tuple(found[0] for found in (before, after) if found is not None)

    def stream_of(self, value_topic: str, publisher: str) -> str | None:
        """Return the stream that the values on a topic are of, None where no scope covers it.

        A scope covers values of its heartbeat's own publisher only, whatever else lies beneath it: what
        another one says is no sign that this one lives. Of several scopes the longest holds, and of two as
        long the stream that is first by name, so that the order in which they became known means nothing.

        Args:
            value_topic: The topic.
            publisher: Who publishes on it.
        """
        covering = [
            (-len(scope), stream)
            for scope, owner, stream in self._by_topic.values()
            if owner == publisher and dsx.covers(scope, value_topic)
        ]
        return min(covering)[1] if covering else None
