"""Dead letters, for people and programs: what was refused, why, and what it said."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from facility.instants import LATEST_MS, to_iso
from facility.names import nearest
from facility.readings import Reason, Rejection
from facility.shown import visible
from megawatch.cli.outputs import DeadLetters
from megawatch.cli.queries import NeverRan
from megawatch.cli.query import local_time, moment_ms, span_ms
from megawatch.cli.usage import WrongUsage
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder
from store.journal.file import FILE as JOURNAL_FILE
from store.journal.file import Account, JournalReader

SHOWN_CHARACTERS: Final = 400
"""How much of a payload people are shown; programs get all that is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question for dead letters, as it was written.

    Attributes:
        reason: Refused for this; None for any reason.
        topic: A topic, or a topic filter with `+` and `#`.
        last: How far back; None for all that are kept.
        since: Start, instead of how far back.
        until: End; None for now.
        most: How many at most, the newest of them.
    """

    reason: str | None
    topic: str
    last: str | None
    since: str | None
    until: str | None
    most: int


@dataclass(frozen=True, slots=True)
class Letters:
    """Dead letters, newest first, and where all that was ever received went."""

    found: Sequence[Rejection]
    account: Account

    def document(self) -> DeadLetters:
        """Return them as a document."""
        return {
            "dead_lettered": sum(self.account.dead_lettered.values()),
            "by_reason": dict(sorted(self.account.dead_lettered.items())),
            "dropped": self.account.letters_dropped,
            "letters": [
                {
                    "received": to_iso(letter.received_ms),
                    "reason": letter.reason.value,
                    "topic": letter.topic,
                    "detail": letter.detail,
                    "length": letter.length,
                    "payload": _text(letter.payload),
                    "payload_base64": base64.b64encode(letter.payload).decode("ascii"),
                }
                for letter in self.found
            ],
        }


def dead_letters(folder: SiteFolder, asked: Asked) -> Letters:
    """Return the dead letters that were asked for.

    Raises:
        NeverRan: Where no monitor ever did anything.
        WrongUsage: Where a reason, a time or a duration is none.
    """
    if not (folder.data / JOURNAL_FILE).exists():
        raise NeverRan(folder)
    zone = folder.file.site.zone
    to_ms = LATEST_MS if asked.until is None else moment_ms(asked.until, zone)
    from_ms = 0
    if asked.since is not None:
        from_ms = moment_ms(asked.since, zone)
    elif asked.last is not None:
        from_ms = min(SteadyClock().now_ms(), to_ms) - span_ms(asked.last)
    with closing(JournalReader(folder.data)) as journal:
        found = journal.dead_letters(
            asked.most,
            reason=None if asked.reason is None else _reason(asked.reason),
            from_ms=from_ms,
            to_ms=to_ms,
            is_asked=lambda topic: fits(topic, asked.topic),
        )
        return Letters(found, journal.account())


def fits(topic: str, asked: str) -> bool:
    """Tell whether a topic is one, or is let through by a topic filter."""
    levels, wanted = topic.split("/"), asked.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(levels) == len(wanted) and all(
        w in ("+", level) for level, w in zip(levels, wanted, strict=True)
    )


def lines_of(letters: Letters, folder: SiteFolder) -> Iterator[str]:
    """Yield dead letters as people read them; nothing that was received moves their terminal's cursor."""
    for letter in letters.found:
        at = local_time(letter.received_ms, folder.file.site.zone)
        payload = visible(_text(letter.payload))
        more = "" if len(payload) <= SHOWN_CHARACTERS else " ..."
        yield f"{at}  {letter.reason.value}  {visible(letter.topic)}"
        yield f"    {visible(letter.detail)}"
        yield f"    {letter.length} bytes: {payload[:SHOWN_CHARACTERS]}{more}"
    account = letters.account
    whole = sum(account.dead_lettered.values())
    if not whole:
        yield "no dead letter"
        return
    counts = ", ".join(f"{reason} {count:,}" for reason, count in sorted(account.dead_lettered.items()))
    dropped = f"; {account.letters_dropped:,} of them are kept no longer" if account.letters_dropped else ""
    yield f"{len(letters.found):,} shown of {whole:,}: {counts}{dropped}"


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace")


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        known = [reason.value for reason in Reason]
        hint = nearest(text, known) or f"one of {', '.join(known)}"
        raise WrongUsage(f"--reason: expected why something is refused, found '{text}'; {hint}") from None
