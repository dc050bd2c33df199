"""Whatever comes in: stored or dead-lettered with a reason and accounted, no crash, nobody held up.

The real decoders and the real journal on disk take the JSON suite, the names of the line-protocol corpus, and
10,000 generated messages. Each message is decoded by itself, so that what it costs is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from collector.kernels.portable import MOST_VALUE_BYTES
from collector.mqtt.message import Message
from facility.readings import Reason
from testing.collector.bad_payloads import (
    JSON_SUITE,
    LINE_CORPUS,
    TOPICS,
    Generator,
    corpus_names,
    json_files,
    named,
)
from testing.collector.hearing import raw
from tests.properties.collector.intaking import Intaking, a_listener

GENERATED = 10_000
SEEDS = range(10)

needs_suite = pytest.mark.skipif(not JSON_SUITE.is_dir(), reason=f"needs the JSON suite in {JSON_SUITE}")
needs_corpus = pytest.mark.skipif(
    not LINE_CORPUS.is_dir(), reason=f"needs the line-protocol corpus in {LINE_CORPUS}"
)


@pytest.fixture
def intaking(tmp_path: Path) -> Iterator[Intaking]:
    """Return decoders that know three racks and a heartbeat, with a journal that waits for no disk."""
    yield from a_listener(tmp_path)


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
            refused = reason is Reason.BAD_JSON or path.stat().st_size > MOST_VALUE_BYTES
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
