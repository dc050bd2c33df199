"""Whatever comes in: stored or dead-lettered with a reason and accounted, no crash, nobody held up.

The real decoders and the real journal on disk take the JSON suite, the names of the line-protocol corpus, and
10,000 generated messages. Each message is decoded by itself, so that the time it takes is its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from collector.decode.dsx import MOST_BYTES
from collector.decode.dsxpark import WAIT_MS
from collector.message import Message
from facility.names import is_name, is_path
from facility.readings import Quality, Reason
from store.entries import Mark
from store.intake import Intake
from store.journal import Journal
from tests.builders import T0_MS
from tests.properties.collector.bad_payloads import (
    JSON_SUITE,
    LINE_CORPUS,
    RACKS,
    TOPICS,
    Generator,
    corpus_names,
    json_files,
    named,
)
from tests.unit.collector.hearing import (
    Hearing,
    Outcome,
    a_site,
    document,
    heartbeat,
    key_of,
    metadata,
    raw,
    value,
)

LONGEST_S = 0.25
GENERATED = 10_000
SEEDS = range(10)
GROUP = 25

needs_suite = pytest.mark.skipif(not JSON_SUITE.is_dir(), reason=f"needs the JSON suite in {JSON_SUITE}")
needs_corpus = pytest.mark.skipif(
    not LINE_CORPUS.is_dir(), reason=f"needs the line-protocol corpus in {LINE_CORPUS}"
)


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
        self.longest_s = 0.0

    def _register(self) -> None:
        """Let both decoders share what they know, as they do in one monitor."""
        dsx, documents = self._hearings.values()
        documents.known = dsx.known
        object.__setattr__(documents.context, "register", dsx.context.register)

    def hear(self, message: Message, *, now_ms: int | None = None) -> Outcome:
        """Decode one message with the decoder of its broker; it has to end somewhere."""
        form = "rack-documents" if message.topic.startswith("megawatch/") else "dsx"
        hearing = self._hearings[form]
        began_s = time.thread_time()
        outcome = hearing.hear(message, now_ms=now_ms)
        self.longest_s = max(self.longest_s, time.thread_time() - began_s)
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
        assert self.longest_s < LONGEST_S, f"{self.longest_s:.3f} s for one message"
        self._check_stored(account.stored)

    def _check_stored(self, stored: int) -> None:
        """Check that what is stored is possible, and is under an identity that is one."""
        known = self.journal.known()
        for described in known.values():
            assert is_name(described.point.asset), described
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


@pytest.fixture
def intaking(tmp_path: Path) -> Iterator[Intaking]:
    """Return decoders that know three racks and a heartbeat, with a journal that waits for no disk."""
    found = Intaking(tmp_path)
    assert found.journal._connection is not None
    found.journal._connection.execute("PRAGMA synchronous = OFF")
    for message in (*(metadata(rack) for rack in RACKS), heartbeat("BMS")):
        found.hear(message)
    yield found
    found.journal.close()


def hear_all(intaking: Intaking, messages: Iterable[Message]) -> int:
    """Hear messages; return how many are heard by now."""
    for message in messages:
        intaking.hear(message)
    return intaking.messages


@needs_suite
def test_every_file_of_the_json_suite_has_an_end(intaking: Intaking) -> None:
    """As the payload of each kind of message; nothing of it becomes a reading, for nothing of it is one."""
    files = json_files()
    assert {path.name[:2] for path in files} >= {"y_", "n_", "i_"}
    before = intaking.journal.account().stored
    messages = [raw(topic, path.read_bytes()) for path in files for topic in TOPICS]

    count = hear_all(intaking, messages)
    intaking.save()

    assert len(files) >= 170
    assert intaking.journal.account().stored == before
    intaking.finish(count)


@needs_suite
@pytest.mark.parametrize("kind", ["n_", "y_"])
def test_what_is_no_json_is_called_so(intaking: Intaking, kind: str) -> None:
    """Whatever the suite wants rejected is no JSON to us either; the rest is JSON of another shape."""
    for path in json_files():
        if path.name.startswith(kind):
            (reason,) = intaking.hear(raw(TOPICS[0], path.read_bytes())).reasons
            refused = reason is Reason.BAD_JSON or path.stat().st_size > MOST_BYTES
            assert refused == (kind == "n_"), path.name


@needs_corpus
def test_every_name_of_the_line_protocol_corpus_has_an_end(intaking: Intaking) -> None:
    """As tag path, rack, object, scope, publisher and topic: an allowed identity, or a dead letter."""
    names = corpus_names()

    count = hear_all(intaking, (message for name in names for message in named(name)))

    assert len(names) > 3_000
    intaking.finish(count)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_generated_message_has_an_end(intaking: Intaking, seed: int) -> None:
    """Values, metadata, heartbeats and rack documents, honest, changed, and broken."""
    generator = Generator(seed)

    count = hear_all(intaking, (generator.message() for _ in range(GENERATED // len(SEEDS))))

    account = intaking.journal.account()
    assert account.stored > 100, "honest messages must come through"
    assert len(account.dead_lettered) > 8, "many kinds of faults must be met"
    intaking.finish(count)


def test_the_same_seed_makes_the_same_messages() -> None:
    """A failing seed can be run alone."""
    once, again = ([(m.topic, m.payload) for m in _some(7)] for _ in range(2))

    assert once == again
    assert once != [(m.topic, m.payload) for m in _some(8)]


def _some(seed: int) -> list[Message]:
    generator = Generator(seed)
    return [generator.message() for _ in range(50)]
