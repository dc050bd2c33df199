"""Stories of a sink and a database that is not there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import pytest

from facility.errors import StoreUnavailable
from facility.readings import Rejection
from facility.sitefile.tables import InfluxTable
from store.base import Chunk, Sink
from store.influx.sink import InfluxSink
from testing.fakes.influx_server import FakeInflux, serving
from testing.fakes.lines import parse
from testing.waiting import PATIENCE_S

T = TypeVar("T")
Delivered = tuple[Sequence[Rejection], list[StoreUnavailable]]


def with_sink(
    fake: FakeInflux,
    story: Callable[[InfluxSink], Awaitable[T]],
    *,
    bucket: str = "readings",
    tokens: Iterable[str] = ("secret",),
    timeout_s: float = PATIENCE_S,
    is_squeezed: bool = False,
) -> T:
    """Serve a fake database and tell a story of a sink for it, which takes its tokens one after the other."""
    waiting = deque(tokens)

    def token() -> str:
        return waiting.popleft() if len(waiting) > 1 else waiting[0]

    async def run() -> T:
        async with serving(fake):
            table = InfluxTable.model_validate({"url": fake.url, "org": "titan", "bucket": bucket})
            sink = InfluxSink(table, token, timeout_s, is_squeezed=is_squeezed, proof_pauses_s=(0.0, 0.01))
            try:
                return await story(sink)
            finally:
                await sink.close()

    return asyncio.run(run())


def delivered(fake: FakeInflux, chunk: Chunk, timeout_s: float = PATIENCE_S) -> Delivered:
    """Store a chunk, again and again until it is; return what was refused and what went wrong before."""
    errors: list[StoreUnavailable] = []

    async def story(sink: Sink) -> Delivered:
        while True:
            try:
                return await sink.store(chunk), errors
            except StoreUnavailable as error:
                errors.append(error)
                assert len(errors) < 50

    return with_sink(fake, story, timeout_s=timeout_s)


def refusal(
    fake: FakeInflux,
    chunk: Chunk,
    *,
    bucket: str = "readings",
    tokens: Iterable[str] = ("secret",),
) -> StoreUnavailable:
    """Return why a chunk cannot be stored now."""

    async def story(sink: InfluxSink) -> StoreUnavailable:
        with pytest.raises(StoreUnavailable) as caught:
            await sink.store(chunk)
        return caught.value

    return with_sink(fake, story, bucket=bucket, tokens=tokens)


def values_of(rejected: Iterable[Rejection]) -> list[float]:
    """Return the values of refused lines, each as often as it was refused."""
    return sorted(float(parse(rejection.payload.decode()).fields["value"]) for rejection in rejected)
