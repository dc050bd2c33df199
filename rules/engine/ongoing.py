"""What happened to streams and has not ended yet: it belongs to its stream, and it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rules.telemetry.liveness import broker_of, is_within


class Ongoing:
    """One state of streams, as being away: where it holds, and since when.

    It is kept by scope: a broker, which is each of its streams, or the name of one stream. The end of a scope
    ends it for everything within, and for nothing else. None begins for a broker that the site file does not
    name, for nobody would end it.

    Args:
        brokers: The brokers that the site file names.
    """

    def __init__(self, brokers: Iterable[str]) -> None:
        self._brokers = frozenset(brokers)
        self._since_ms: dict[str, int] = {}

    def begin(self, scope: str, at_ms: int) -> None:
        """Note that it holds since a moment [ms]; where it held before, it began then."""
        if broker_of(scope) in self._brokers:
            self._since_ms.setdefault(scope, at_ms)

    def end(self, scope: str) -> None:
        """Note that it holds no longer for a scope and for what is within it."""
        self._since_ms = {name: ms for name, ms in self._since_ms.items() if not is_within(name, scope)}

    def clear(self) -> None:
        """Note that it holds for nothing any more."""
        self._since_ms = {}

    def begin_anew(self, at_ms: int) -> None:
        """Note that what holds began at a moment of a clock that was set [ms]."""
        self._since_ms = dict.fromkeys(self._since_ms, at_ms)

    def since_ms(self, scope: str) -> int | None:
        """Return since when it holds for all of a scope [ms]; None where it does not."""
        found = [since_ms for name, since_ms in self._since_ms.items() if is_within(scope, name)]
        return min(found, default=None)

    def items(self) -> list[tuple[str, int]]:
        """Return each scope for which it holds, and since when [ms]."""
        return list(self._since_ms.items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._since_ms)

    def __len__(self) -> int:
        return len(self._since_ms)

    def save(self) -> dict[str, int]:
        """Return since when it holds, by scope."""
        return dict(self._since_ms)

    def load(self, saved: Mapping[str, int] | Iterable[str], at_ms: int) -> None:
        """Take in what `save` returned, but for brokers that the site file names no longer.

        Args:
            saved: What it returned; of older versions the scopes alone.
            at_ms: Since when it holds where they say nothing else [ms].
        """
        self.clear()
        known = saved if isinstance(saved, Mapping) else dict.fromkeys(saved, at_ms)
        for scope, since_ms in known.items():
            self.begin(scope, since_ms)
