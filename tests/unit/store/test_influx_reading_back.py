"""A database that says that it stored lines, and did not, is found out; one that cannot be asked is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from facility.errors import StoreUnavailable
from facility.instants import DAY_MS
from facility.readings import Rejection
from store.base import Chunk
from store.influx.server import Kind
from store.influx.sink import InfluxSink
from store.retry import StoreBusy
from testing.builders import T0_MS, a_batch, a_point
from testing.fakes.influx_server import Answer, FakeInflux
from testing.fakes.influx_sink import delivered, refusal, values_of, with_sink

PASSWORD = "me:secret"  # noqa: S105 - opens nothing
BASIC = "Basic bWU6c2VjcmV0"


def a_chunk(values: Sequence[float], *, at_ms: int = T0_MS, age_ms: int = 5) -> Chunk:
    """Return readings of one rack, a millisecond apart."""
    rows = [(0, at_ms + number, float(value)) for number, value in enumerate(values)]
    batch = a_batch(rows, received_after_ms=age_ms)
    return Chunk(first_seq=1, last_seq=2, batch=batch, points={0: a_point()})


def test_a_server_that_drops_everything_is_held_until_it_does_not() -> None:
    """Nothing is given up while nothing that was accepted can be found; then all of it is sent again."""
    fake = FakeInflux(dropped=range(100))
    chunk = a_chunk(range(100))

    async def story(sink: InfluxSink) -> Sequence[Rejection]:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="none of 8 that were read back is there") as caught:
                await sink.store(chunk)
            assert not isinstance(caught.value, StoreBusy)
        fake.dropped = ()
        return await sink.store(chunk)

    assert with_sink(fake, story) == []
    assert fake.values == list(range(100))


@pytest.mark.parametrize("count", [1, 49, 50, 99])
def test_what_is_dropped_for_its_age_is_refused_to_the_line(count: int) -> None:
    """The oldest lines, which the server dropped without a word, are dead letters, and no others."""
    fake = FakeInflux(dropped=range(count))

    rejected, errors = delivered(fake, a_chunk(range(100)))

    assert (values_of(rejected), errors) == (list(range(count)), [])
    assert {rejection.detail.split(":")[0] for rejection in rejected} == {
        "it answered that it stored this line, and did not"
    }
    assert fake.values == list(range(count, 100))


def test_lines_that_were_refused_are_not_looked_for() -> None:
    """What the server said that it refused is refused once."""
    fake = FakeInflux(bad=[0, 1, 5, 99], dropped=[2, 3])

    rejected, _ = delivered(fake, a_chunk(range(100)))

    assert values_of(rejected) == [0, 1, 2, 3, 5, 99]


def test_a_chunk_older_than_all_that_is_kept_is_refused_where_newer_lines_are_there() -> None:
    """It is told from a server that drops everything by a line that was there before, and still is."""
    fake = FakeInflux(dropped=range(10))

    async def story(sink: InfluxSink) -> Sequence[Rejection]:
        await sink.store(a_chunk([100, 101]))
        return await sink.store(a_chunk(range(10), at_ms=T0_MS - 9 * DAY_MS, age_ms=9 * DAY_MS))

    assert values_of(with_sink(fake, story)) == list(range(10))


def test_lines_are_read_back_now_and_then() -> None:
    """The first chunk of a connection is, and what is old; others are once a minute."""
    fake = FakeInflux()

    async def story(sink: InfluxSink) -> list[int]:
        asked = []
        chunks = [a_chunk([1.0]), a_chunk([2.0]), a_chunk([3.0], age_ms=2 * DAY_MS), a_chunk([4.0])]
        for chunk in chunks:
            await sink.store(chunk)
            asked.append(fake.asked)
        await sink.close()
        await sink.store(chunks[0])
        return [*asked, fake.asked]

    assert with_sink(fake, story) == [1, 1, 2, 2, 3]


def test_a_token_that_may_only_write_is_said_and_does_no_harm() -> None:
    """Where nothing can be read back, readings are stored all the same."""
    fake = FakeInflux(is_readable=False, dropped=[3])

    async def story(sink: InfluxSink) -> tuple[Sequence[Rejection], str]:
        return await sink.store(a_chunk(range(10))), sink.doubt

    rejected, doubt = with_sink(fake, story)

    assert rejected == []
    assert "may only write" in doubt


@pytest.mark.parametrize("is_squeezed", [False, True])
@pytest.mark.parametrize("generation", ["1", "2"])
def test_each_generation_is_written_to_in_its_own_way(generation: str, *, is_squeezed: bool) -> None:
    """Path, credentials and compression are those that the server takes, and what is read back is there."""
    fake = FakeInflux(generation=generation, bad=[3])
    fake.token = BASIC if generation == "1" else "secret"

    async def story(sink: InfluxSink) -> tuple[Sequence[Rejection], tuple[Kind, str] | None]:
        return await sink.store(a_chunk(range(10))), sink.server

    rejected, server = with_sink(
        fake, story, tokens=[PASSWORD if generation == "1" else "secret"], is_squeezed=is_squeezed
    )

    assert values_of(rejected) == [3]
    assert fake.values == [value for value in range(10) if value != 3]
    assert server == (Kind.INFLUXDB_1 if generation == "1" else Kind.INFLUXDB_2, f"{generation}.0.0")
    assert (fake.squeezed == len(fake.bodies) + fake.probes + 1) == is_squeezed
    assert fake.asked > 0


def test_a_database_that_is_gone_is_no_trouble_that_passes() -> None:
    """InfluxDB 1 says with status 500 that a retention policy is not there: somebody must make it."""
    gone = Answer(500, words="retention policy not found: autogen")
    fake = FakeInflux(generation="1", token=BASIC, script=[gone])

    error = refusal(fake, a_chunk([1.0]), tokens=[PASSWORD])

    assert not isinstance(error, StoreBusy)
    assert "create or correct it" in error.cause


def test_a_chunk_that_was_given_up_is_no_excuse_for_another() -> None:
    """What is known of points is written with the chunk that is stored, whatever became of the one before."""
    fake = FakeInflux(script=[Answer(503)])

    async def story(sink: InfluxSink) -> None:
        with pytest.raises(StoreBusy):
            await sink.store(a_chunk([1.0]))
        await sink.store(replace(a_chunk([2.0])))

    with_sink(fake, story)

    assert sorted(name for name, _, _ in fake.stored) == ["point", "reading"]


def test_what_a_killed_server_had_in_memory_only_is_sent_again() -> None:
    """What was accepted just before the connection broke is there after it, though nobody asked for it."""
    fake = FakeInflux(
        script=[Answer(204, stores=True), Answer(204, stores=True), Answer(resets=True, forgets=True)]
    )

    async def story(sink: InfluxSink) -> None:
        for number in range(2):
            await sink.store(a_chunk([float(number)], at_ms=T0_MS + number))
        last = a_chunk([2.0], at_ms=T0_MS + 2)
        with pytest.raises(StoreBusy):
            await sink.store(last)
        await sink.store(last)

    with_sink(fake, story)

    assert fake.values == [0.0, 1.0, 2.0]


def test_a_server_that_is_only_slow_is_not_given_more_to_do() -> None:
    """After a busy answer nothing is sent again but what was not accepted."""
    fake = FakeInflux(script=[Answer(204, stores=True), Answer(503)])

    async def story(sink: InfluxSink) -> None:
        await sink.store(a_chunk([1.0]))
        last = a_chunk([2.0])
        with pytest.raises(StoreBusy):
            await sink.store(last)
        await sink.store(last)

    with_sink(fake, story)

    assert len(fake.bodies) == 3
