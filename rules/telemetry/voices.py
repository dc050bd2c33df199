"""Which publishers of racks' power say nothing, and over which brokers nothing speaks any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from rules.telemetry.liveness import LEAST_SILENCE_MS, NEVER, Index, Streams, broker_of


@dataclass(frozen=True, slots=True)
class Voices:
    """What does not speak at one moment, by name.

    Attributes:
        quiet: Publishers that have said nothing for longer than they pause.
        dead: Those of which something is missed that they promised, such as their heartbeats.
        mute: Brokers that we are connected to, over which nothing speaks.
        away: Brokers that we have no connection to, be it for one publisher only.
    """

    quiet: frozenset[str] = frozenset()
    dead: frozenset[str] = frozenset()
    mute: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()


ALL_SPEAK: Final = Voices()
"""Where nobody is asked for."""


class Tellers:
    """Those that tell the power of racks, among all streams.

    Args:
        names: What each stream is called.
        tellers: Which of them tell the power of racks.

    Attributes:
        names: What each stream is called.
    """

    def __init__(self, names: tuple[str, ...], tellers: Collection[str]) -> None:
        self.names = names
        self._tellers = np.array([n for n, name in enumerate(names) if name in tellers], np.intp)
        on_broker: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(names):
            on_broker[broker_of(name)].append(place)
        self._brokers: dict[str, tuple[Index, Index]] = {}
        for broker, places in on_broker.items():
            everyone = np.array(places, np.intp)
            telling = np.intersect1d(everyone, self._tellers)
            if len(telling):
                self._brokers[broker] = everyone, telling

    def voices(self, streams: Streams, at_ms: int) -> Voices:
        """Return what does not speak at a moment.

        A broker is mute once all who tell the power of its racks are quiet, and nobody else is heard over it
        since. Whoever is heard after their last word shows that it is there, for as long as it keeps what it
        promised; who was not may have had nothing to say yet.

        Args:
            streams: Every stream.
            at_ms: The moment [ms].
        """
        last_ms, connected = streams.last_word_ms(), streams.is_connected
        speaks, keeps_promises = streams.speak(at_ms), streams.keep_promises(at_ms)
        mute, away = set[str](), set[str]()
        for broker, (everyone, telling) in self._brokers.items():
            since = everyone[last_ms[everyone] > last_ms[telling].max() + LEAST_SILENCE_MS]
            if not connected[everyone].all():
                away.add(broker)
            elif not speaks[telling].any() and not keeps_promises[since].any():
                mute.add(broker)
        heard = self._tellers[connected[self._tellers] & (last_ms[self._tellers] != NEVER)]
        return Voices(
            quiet=frozenset(self.names[place] for place in heard[~speaks[heard]].tolist()),
            dead=frozenset(self.names[place] for place in heard[~keeps_promises[heard]].tolist()),
            mute=frozenset(mute),
            away=frozenset(away),
        )
