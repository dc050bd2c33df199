"""Which version of MQTT to speak with a broker: 5, and 3.1.1 only with one that does not know better.

A broker may say that it does not speak 5, or hang up on it without a word. But a load balancer that has
nothing behind it hangs up as well, on either: what follows from a silent hang-up holds for one connection.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = 5
OLDER: Final = 4
"""How MQTT 3.1.1 calls itself."""
NAMES: Final = {NEWEST: "5", OLDER: "3.1.1"}
SILENT_ATTEMPTS: Final = 2
"""A broker that hangs up on MQTT 5 so often, without a word, is tried once with 3.1.1 (our choice)."""


class Versions:
    """What is known of a broker's versions."""

    def __init__(self) -> None:
        self._version = NEWEST
        self._known: int | None = None
        self._unanswered = 0

    def next(self) -> int:
        """Return which version to speak with the next connection."""
        if self._known is not None:
            return self._known
        self._version = OLDER if self._unanswered >= SILENT_ATTEMPTS else NEWEST
        return self._version

    def accepted(self) -> None:
        """Note that the broker let us in; that it speaks 5 is known from then on."""
        if self._version == NEWEST:
            self._known = NEWEST
        else:
            # It hung up on 5 before: once more, and 3.1.1 is tried at once.
            self._unanswered = SILENT_ATTEMPTS - 1

    def refused(self) -> bool:
        """Note that the broker does not speak the version; return whether there is another to try."""
        if OLDER in (self._version, self._known):
            return False
        self._known = self._version = OLDER
        return True

    def lost(self, *, is_unanswered: bool) -> None:
        """Note that a connection ended, or did not come about.

        Args:
            is_unanswered: Whether the broker hung up without a word when we introduced ourselves.
        """
        if is_unanswered:
            self._unanswered = 0 if self._version == OLDER else self._unanswered + 1
