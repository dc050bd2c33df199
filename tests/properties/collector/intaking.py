"""Both decoders and a journal on disk, and what came of everything that was heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collector.decode.dsxpending import WAIT_MS
from collector.mqtt.message import Message
from facility.names import is_id, is_path
from facility.readings import Quality, Reason
from store.journal.entries import Mark
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.collector.bad_payloads import RACKS
from testing.collector.hearing import (
    Hearing,
    Outcome,
    a_site,
    document,
    heartbeat,
    key_of,
    metadata,
    value,
)
from testing.operations import calls_of

MOST_CALLS = 20_000
"""How many functions, C's own too, may be called for one message: some milliseconds, as measured."""
LONG_BYTES = 1_000
"""Of longer messages each is counted, of others every tenth: counting takes as long as the work."""
GROUP = 25


class Intaking:
    """Both decoders and a journal, and what came of everything that was heard.

    Args:
        folder: The journal's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        self._hearings = {form: Hearing(a_site(RACKS), form=form) for form in ("dsx", "rack-documents")}
        self._register()
        self._unsaved: list[Outcome] = []
        self.messages = self.counted = 0
        self.most_calls = 0

    def _register(self) -> None:
        """Let both decoders share what they know, as they do in one monitor."""
        dsx, documents = self._hearings.values()
        documents.known = dsx.known
        object.__setattr__(documents.context, "register", dsx.context.register)

    def hear(self, message: Message, *, now_ms: int | None = None) -> Outcome:
        """Decode one message with the decoder of its broker; it has to end somewhere."""
        form = "rack-documents" if message.topic.startswith("megawatch/") else "dsx"
        hearing = self._hearings[form]
        outcomes: list[Outcome] = []

        def hear() -> None:
            outcomes.append(hearing.hear(message, now_ms=now_ms))

        if self.messages % 10 == 0 or len(message.payload) > LONG_BYTES:
            self.most_calls = max(self.most_calls, calls_of(hear))
        else:
            hear()
        [outcome] = outcomes
        self.messages += 1
        self.counted += outcome.counted
        ends = len(outcome.rows) + len(outcome.rejections) + len(outcome.waiting)
        assert ends + len(outcome.metadata) + outcome.unchanged >= 1, message
        assert Reason.DECODER_FAILED not in outcome.reasons, message
        self._unsaved.append(outcome)
        if len(self._unsaved) >= GROUP:
            self.save()
        return outcome

    def save(self) -> None:
        """Append what was heard since the last time."""
        found, self._unsaved = self._unsaved, []
        for outcome in found:
            self.journal.append(
                Intake(
                    known=list(outcome.news),
                    batch=outcome.batch,
                    metadata=dict(outcome.metadata),
                    rejections=list(outcome.rejections),
                    waiting=list(outcome.waiting),
                    settled=list(outcome.settled),
                ),
                T0_MS,
            )

    def finish(self, messages: int) -> None:
        """Check that everything has an end, that it adds up, and that both decoders still work."""
        later_ms = T0_MS + 10 * WAIT_MS
        self.hear(metadata("last", rackLocationId="r1"))
        last = self.hear(value("last", 90.5, later_ms), now_ms=later_ms)
        assert [row for row in last.rows if row[1] == later_ms] == [(key_of("last"), later_ms, 90.5)]
        assert self.hear(document("r3", time=later_ms, power_kw=91, received_ms=later_ms)).rows
        self.save()
        account = self.journal.account()
        assert self.messages == messages + 3
        assert account.received == self.counted
        assert account.waiting == 0
        assert self.journal.waiting() == []
        assert 0 < self.most_calls < MOST_CALLS
        self._check_stored(account.stored)

    def _check_stored(self, stored: int) -> None:
        """Check that what is stored is possible, and is under an identity that is one."""
        known = self.journal.known()
        for described in known.values():
            assert is_id(described.point.asset), described
            assert is_path(described.point.key), described
        count = 0
        for entry in self.journal.read(0, 1_000_000):
            if isinstance(entry.content, Mark | tuple):
                continue
            readings = entry.content.take(entry.content.quality != Quality.REFUSED)
            count += len(readings)
            for point, read in zip(readings.point.tolist(), readings.value.tolist(), strict=True):
                quantity = known[point].point.measures
                assert read != read or quantity.low <= read <= quantity.high, known[point]  # noqa: PLR0124 - NaN
        assert count == stored


def a_listener(folder: Path) -> Iterator[Intaking]:
    """Yield decoders that know three racks and a heartbeat, with a journal that waits for no disk."""
    found = Intaking(folder)
    assert found.journal._connection is not None
    found.journal._connection.execute("PRAGMA synchronous = OFF")
    for message in (*(metadata(rack) for rack in RACKS), heartbeat("BMS")):
        found.hear(message)
    yield found
    found.journal.close()
