"""Whatever the database answers, every good line ends in it once and exactly the bad ones are handed back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.errors import StoreUnavailable
from facility.readings import Reason, Rejection
from facility.sitefile.tables import InfluxTable
from store.base import Chunk
from store.influx.lineprotocol import Encoder, Lines
from store.influx.sink import MOST_BYTES, MOST_LINES, InfluxSink
from store.retry import StoreBusy
from testing.builders import T0_MS, a_batch, a_point
from testing.fakes.influx_server import Answer, FakeInflux
from testing.fakes.influx_sink import delivered, refusal, values_of, with_sink
from testing.waiting import PATIENCE_S

BUSY = Answer(503)


def a_chunk(count: int, key: str = "Rack/RackPower/r") -> Chunk:
    """Return readings of ten racks, of the values 0, 1, 2 and so on."""
    points = {number: a_point(f"{key}{number}", asset=f"r{number}") for number in range(10)}
    rows = [(number % 10, T0_MS + number, float(number)) for number in range(count)]
    return Chunk(first_seq=1, last_seq=2, batch=a_batch(rows), points=points)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([], id="204"),
        pytest.param([BUSY, BUSY], id="503-twice"),
        pytest.param([Answer(429, headers=(("Retry-After", "7"),))], id="429"),
        pytest.param([Answer(500, stores=True)], id="500-after-storing"),
        pytest.param([Answer(hangs=True)], id="hangs"),
        pytest.param([Answer(hangs=True, stores=True)], id="hangs-after-storing"),
        pytest.param([Answer(resets=True)], id="reset"),
        pytest.param([Answer(resets=True, stores=True)], id="reset-after-storing"),
        pytest.param([Answer(413), BUSY, Answer(413)], id="413-and-503"),
        pytest.param([Answer(422), BUSY, Answer(500, stores=True)], id="busy-in-mid-search"),
    ],
)
def test_every_good_line_is_stored_once_and_exactly_the_bad_are_refused(script: list[Answer]) -> None:
    """Each fault ends in the same: what is good is stored, what is bad is handed back."""
    fake = FakeInflux(script=script, bad=[3, 17])
    hangs = any(answer.hangs for answer in script)

    rejected, errors = delivered(fake, a_chunk(30), timeout_s=0.5 if hangs else PATIENCE_S)

    assert values_of(rejected) == [3.0, 17.0]
    assert fake.values == [value for value in range(30) if value not in (3, 17)]
    assert hangs == any("no answer within" in error.cause for error in errors)
    assert hangs or len(errors) == len([answer for answer in script if answer.status not in (413, 422)])


@pytest.mark.parametrize("bad", [[], [0], [29], [10, 11, 12], list(range(0, 30, 2)), list(range(30))])
@pytest.mark.parametrize(
    ("status", "stores_good"),
    [(422, True), (400, False), (400, True)],
    ids=["influxdb-2-drops", "influxdb-2-malformed", "influxdb-1-and-3"],
)
def test_bad_lines_are_found_whatever_becomes_of_the_good(
    bad: list[int], status: int, *, stores_good: bool
) -> None:
    """A refused request may have stored its good lines or not: it comes to the same."""
    fake = FakeInflux(bad=bad)
    fake.status, fake.stores_good, fake.tells_dropped = status, stores_good, False
    fake.status_of_nothing = 400 if status == 400 and stores_good else 204

    rejected, errors = delivered(fake, a_chunk(30))

    assert (values_of(rejected), errors) == (bad, [])
    assert fake.values == sorted(set(range(30)) - set(bad))
    assert all(r.reason is Reason.REFUSED_BY_DATABASE and "cannot store" in r.detail for r in rejected)
    assert {r.topic for r in rejected} == {f"Rack/RackPower/r{value % 10}" for value in bad}


FAULTS = [BUSY, Answer(429), Answer(401), Answer(413), Answer(500, stores=True), Answer(resets=True)]


@settings(max_examples=40)
@given(
    script=st.lists(st.sampled_from(FAULTS), max_size=12),
    bad=st.sets(st.integers(0, 39)),
    status=st.sampled_from([400, 422]),
    tells_dropped=st.booleans(),
)
def test_no_sequence_of_answers_loses_or_invents(
    script: list[Answer], bad: set[int], status: int, *, tells_dropped: bool
) -> None:
    """In whatever order faults come, stored and refused are what was to be stored, each once."""
    fake = FakeInflux(script=script, bad=bad)
    fake.status, fake.stores_good, fake.tells_dropped = status, status == 422, tells_dropped

    rejected, _ = delivered(fake, a_chunk(40))

    assert values_of(rejected) == sorted(bad)
    assert fake.values == sorted(set(range(40)) - bad)


@pytest.mark.shows(Reason.REFUSED_BY_DATABASE)
def test_a_body_that_is_bad_as_a_whole_is_refused_at_once() -> None:
    """Where the server says that it dropped every line, as after a long outage, none is sent again."""
    fake = FakeInflux(bad=range(40))

    rejected, _ = delivered(fake, a_chunk(40, key=f"Rack/{'x' * 400}/r"))

    assert values_of(rejected) == list(range(40))
    assert max(len(rejection.detail) for rejection in rejected) < 450
    assert (len(fake.bodies), fake.probes) == (1, 1)


def test_what_is_too_old_is_found_soon() -> None:
    """Lines beyond the retention are found with few requests however they are mixed with others."""
    fake = FakeInflux(bad=range(0, 1_000, 2))
    old_ms = T0_MS - 10**9
    rows = [(0, (T0_MS if value % 2 else old_ms) + value, float(value)) for value in range(1_000)]

    rejected, _ = delivered(fake, replace(a_chunk(0), batch=a_batch(rows)))

    assert values_of(rejected) == list(range(0, 1_000, 2))
    assert len(fake.bodies) < 10


def test_bodies_are_short_and_in_order() -> None:
    """A request has 5,000 lines or 1 MB at most, and the next is sent once it is answered."""
    fake = FakeInflux()

    delivered(fake, a_chunk(6_000, key=f"Rack/{'x' * 300}/r"))

    times = [int(line.rpartition(" ")[2]) - T0_MS for body in fake.bodies for line in body]
    assert times == list(range(6_000))
    assert all(len(body) <= MOST_LINES and len("\n".join(body)) <= MOST_BYTES for body in fake.bodies)
    assert len(fake.bodies) <= 5


def test_a_server_that_takes_less_is_sent_less_from_then_on() -> None:
    """A 413 is met with halves, and later bodies are as short as those that were taken."""
    fake = FakeInflux(most_bytes=2_000)

    async def story(sink: InfluxSink) -> int:
        await sink.store(a_chunk(100))
        first = len(fake.bodies)
        await sink.store(a_chunk(100))
        return first

    first = with_sink(fake, story)

    assert fake.values == list(range(100))
    assert len(fake.bodies) - first < first


def test_a_line_is_never_to_blame_for_its_length() -> None:
    """A server that takes no single line has the wrong limit; once somebody raised it, all is as ever."""
    fake = FakeInflux(most_bytes=10)

    async def story(sink: InfluxSink) -> Sequence[Rejection]:
        with pytest.raises(StoreUnavailable, match="raise the limit"):
            await sink.store(chunk)
        fake.most_bytes = MOST_BYTES
        return await sink.store(chunk)

    chunk = a_chunk(100)

    assert with_sink(fake, story) == []
    assert len(fake.bodies[-1]) == 100


@pytest.mark.parametrize(
    ("fault", "sizes"),
    [(BUSY, [5_000, 5_000, 5_000, 2_000]), (Answer(404), [5_000, 5_000, 5_000, 5_000, 2_000])],
    ids=["busy", "perhaps-another-database"],
)
def test_a_chunk_goes_on_where_it_stopped(fault: Answer, sizes: list[int]) -> None:
    """What was stored is not sent again, so that an unsteady server is finished with; unless it was none."""
    fake = FakeInflux(script=[Answer(204, stores=True), fault])

    delivered(fake, a_chunk(12_000))

    assert [len(body) for body in fake.bodies] == sizes
    assert fake.values == list(range(12_000))


def test_a_server_that_turns_bad_in_mid_search_is_no_fault_of_lines() -> None:
    """That lines may be to blame is proved anew with each attempt."""
    fake = FakeInflux(script=[Answer(422), BUSY])

    async def story(sink: InfluxSink) -> Sequence[Rejection]:
        with pytest.raises(StoreBusy):
            await sink.store(chunk)
        fake.path = "/else"
        return await sink.store(chunk)

    chunk = a_chunk(30)

    with pytest.raises(StoreUnavailable, match="url, org and bucket"):
        with_sink(fake, story)


def test_a_refused_name_never_leaves() -> None:
    """What has a name that is not allowed is handed back unsent, beside what the server refused."""
    fake = FakeInflux(bad=[3])
    named = {**a_chunk(0).points, 4: a_point("Rack/RackPower/r4", asset="r 4")}

    rejected, _ = delivered(fake, replace(a_chunk(20), points=named))

    assert [r.topic for r in rejected] == [f"Rack/RackPower/r{number}" for number in (4, 4, 3)]
    assert fake.values == [value for value in range(20) if value not in (3, 4, 14)]


@pytest.mark.parametrize(
    ("fake", "bucket", "words"),
    [
        (FakeInflux(path="/else"), "readings", "see whether url, org and bucket"),
        (FakeInflux(token="new"), "readings", "the token is not valid"),  # noqa: S106 - opens nothing
        (FakeInflux(), "other", "bucket 'other'"),
        (FakeInflux(script=[Answer(403)]), "readings", "may not write to bucket 'readings'"),
        (FakeInflux(script=[Answer(200)]), "readings", "see whether url, org and bucket"),
        (FakeInflux(script=[Answer(302, headers=(("Location", "/in"),))]), "readings", "answered 302"),
    ],
    ids=["path-that-answers-400", "token", "bucket", "forbidden", "not-a-database", "login-page"],
)
def test_what_somebody_must_put_right_is_said_and_nothing_is_refused(
    fake: FakeInflux, bucket: str, words: str
) -> None:
    """A wrong url, token or bucket waits for somebody and says what to do; no line is to blame for it."""
    error = refusal(fake, a_chunk(3), bucket=bucket)

    assert not isinstance(error, StoreBusy)
    assert words in error.cause
    assert fake.stored == {}
    if not fake.script:
        with pytest.raises(StoreUnavailable, match=re.escape(error.cause)):
            with_sink(fake, lambda sink: sink.check(), bucket=bucket)


def test_a_token_that_can_not_be_one_is_said() -> None:
    """A token file with more in it than a token does not end the writer."""
    assert "the token one line" in refusal(FakeInflux(), a_chunk(3), tokens=["two\nlines"]).cause


def test_a_new_token_is_taken_without_a_restart() -> None:
    """After a refusal the token is asked for again, so somebody need only put a new one in its place."""
    fake = FakeInflux(token="new")  # noqa: S106 - opens nothing

    async def story(sink: InfluxSink) -> Sequence[Rejection]:
        with pytest.raises(StoreUnavailable):
            await sink.store(chunk)
        return await sink.store(chunk)

    chunk = a_chunk(3)

    assert with_sink(fake, story, tokens=["old", "new"]) == []
    assert list(dict.fromkeys(fake.tokens)) == ["old", "new"]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ((("Retry-After", "7"),), 7.0),
        ((("Retry-After", "Mon, 23 Nov 2026 21:00:30 GMT"), ("Date", "Mon, 23 Nov 2026 21:00:00 GMT")), 30.0),
        ((("Retry-After", "Mon, 23 Nov 2026 20:00:00 GMT"), ("Date", "Mon, 23 Nov 2026 21:00:00 GMT")), 0.0),
        ((("Retry-After", "soon"),), None),
        ((), None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_that_is_asked_for_is_handed_on(
    status: int, headers: tuple[tuple[str, str], ...], pause: float | None
) -> None:
    """Seconds or a moment, by the server's own clock; what is neither asks for nothing."""
    error = refusal(FakeInflux(script=[Answer(status, headers=headers)]), a_chunk(1))

    assert isinstance(error, StoreBusy)
    assert error.retry_after_s == pause


@pytest.mark.parametrize(
    ("token", "error", "words"),
    [
        (str, StoreBusy, "Connection refused"),
        (Path("nowhere/token").read_text, StoreUnavailable, "the token cannot be read"),
        (b"\xff".decode, StoreUnavailable, "the token cannot be read"),
    ],
    ids=["server-away", "no-token-file", "not-text"],
)
def test_what_keeps_a_request_from_being_made_is_said(
    token: Callable[[], str], error: type[StoreUnavailable], words: str
) -> None:
    """A server that is away is waited for; a token file that is gone is somebody's to put back."""

    async def story() -> None:
        sink = InfluxSink(InfluxTable.model_validate({"url": "http://127.0.0.1:1"}), token)
        try:
            await sink.store(a_chunk(1))
        finally:
            await sink.close()

    with pytest.raises(error, match=words):
        asyncio.run(story())


def test_a_chunk_that_is_given_up_leaves_nothing_behind() -> None:
    """After a stop in mid-request the next chunk is stored, and nothing of the one before."""
    fake = FakeInflux(script=[Answer(hangs=True)])

    async def story(sink: InfluxSink) -> Sequence[Rejection]:
        writing = asyncio.ensure_future(sink.store(a_chunk(30)))
        await fake.arrived.wait()
        writing.cancel()
        await asyncio.wait([writing])
        return await sink.store(a_chunk(3))

    assert with_sink(fake, story) == []
    assert fake.values == [0.0, 1.0, 2.0]


def test_a_check_writes_nothing() -> None:
    """A check finds the database well without leaving a trace in it."""
    fake = FakeInflux()

    with_sink(fake, lambda sink: sink.check())

    assert (fake.stored, fake.bodies, fake.probes) == ({}, [], 1)


def test_lines_whose_making_broke_off_are_all_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of points is written once a day: what was made and never sent does not count."""
    fake, encode = FakeInflux(), Encoder.encode
    broken = iter([True])

    def breaking_off(encoder: Encoder, chunk: Chunk) -> Lines:
        lines = encode(encoder, chunk)
        if next(broken, False):
            raise MemoryError
        return lines

    monkeypatch.setattr(Encoder, "encode", breaking_off)

    async def story(sink: InfluxSink) -> None:
        with pytest.raises(MemoryError):
            await sink.store(a_chunk(30))
        await sink.store(a_chunk(30))

    with_sink(fake, story)

    assert sum(name == "point" for name, _, _ in fake.stored) == 10
    assert fake.values == list(range(30))
