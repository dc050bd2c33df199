"""Other ways to lay readings out in an InfluxDB or a Parquet file, to measure ours beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from msgspec import structs

from facility.names import AssetId
from facility.points import Point
from facility.readings import Batch
from store.base import Chunk
from store.influx.lineprotocol import Encoder, Kept
from store.influx.names import tags_of
from testing.builders import T0_MS
from testing.collector.decoded import recorded

Lines = list[bytes]


def copies(chunk: Chunk, count: int) -> Chunk:
    """Return the readings of as many sites, each with names of its own."""
    size = 1 + max(chunk.points)
    points = {
        number + copy * size: structs.replace(
            point, key=f"pod{copy}/{point.key}", asset=AssetId(f"p{copy}-{point.asset}")
        )
        for copy in range(count)
        for number, point in chunk.points.items()
    }
    batches = [replace(chunk.batch, point=chunk.batch.point + np.int32(copy * size)) for copy in range(count)]
    batch = Batch.concatenate(batches)
    return replace(chunk, batch=batch.take(np.argsort(batch.received_ms, kind="stable")), points=points)


def stream(pods: int, plays: int, start_ms: int) -> Iterable[Chunk]:
    """Yield NVIDIA's recording for as many pods, played over and over, with some noise of arrival."""
    once = copies(recorded(T0_MS), pods)
    length_ms = 1_000 + int(once.batch.source_ms.max()) - T0_MS
    random = np.random.default_rng(1)
    for play in range(plays):
        shift = start_ms - T0_MS + play * length_ms
        lag = random.integers(2, 40, len(once.batch))
        batch = replace(
            once.batch,
            source_ms=once.batch.source_ms + shift,
            received_ms=once.batch.source_ms + shift + lag,
        )
        yield replace(once, first_seq=play + 1, last_seq=play + 1, batch=batch)


def ours(chunk: Chunk, encoder: Encoder) -> Lines:
    """Return one narrow measurement with all tags, and what is not as usual: how readings are written."""
    return encoder.encode(chunk).lines[Kept.DAYS]


def point_only(chunk: Chunk, _encoder: Encoder) -> Lines:
    """Return one narrow measurement whose only tag is the point."""
    heads = {number: f"reading,point={point.key} " for number, point in chunk.points.items()}
    return [
        f"{heads[number]}value={value!r}{f',quality={quality}' if quality else ''} {at}".encode()
        for number, at, _, value, quality in _rows(chunk.batch)
    ]


def always(chunk: Chunk, _encoder: Encoder) -> Lines:
    """Return one narrow measurement with all tags, whose quality and lag are always said."""
    heads = {number: _head("reading", point) for number, point in chunk.points.items()}
    return [
        f"{heads[number]}value={value!r},quality={quality},received_lag_ms={lag} {at}".encode()
        for number, at, lag, value, quality in _rows(chunk.batch)
    ]


def wide(chunk: Chunk, _encoder: Encoder) -> Lines:
    """Return a measurement for each kind of asset, a field for each quantity, moments put together."""
    fields: dict[tuple[str, int], list[str]] = {}
    names = {number: _wide_names(point) for number, point in chunk.points.items()}
    for number, at, _, value, quality in _rows(chunk.batch):
        head, name = names[number]
        texts = [f"{name}={value!r}", f"{name}_quality={quality}"] if quality else [f"{name}={value!r}"]
        fields.setdefault((head, at), []).extend(texts)
    return [f"{head}{','.join(texts)} {at}".encode() for (head, at), texts in fields.items()]


Form = Callable[[Chunk, Encoder], Lines]
FORMS: Final[dict[str, Form]] = {
    "one narrow measurement (ours)": ours,
    "narrow, the point as only tag": point_only,
    "narrow, quality and lag always": always,
    "a wide measurement for each kind of asset": wide,
}


_NAMED: Final = "point, asset, quantity, unit, feed"
_REST: Final = "time, received, value, quality, flags"
SEALED: Final = f"{_NAMED}, {_REST}"
PARQUET_FORMS: Final = {
    "sealed: by point and time, with names (ours)": (SEALED, "point, time, received", "zstd"),
    "the same, the point's key as its only name": (f"point, {_REST}", "point, time, received", "zstd"),
    "the same, without quality, flags and reception": (f"{_NAMED}, time, value", "point, time", "zstd"),
    "the same, squeezed by Snappy": (SEALED, "point, time, received", "snappy"),
    "in the order in which they came": (SEALED, "received, point, time", "zstd"),
}
"""Ways to lay readings out in a Parquet file: its columns, its order, its compression."""


def written(part: Path, form: tuple[str, str, str], path: Path) -> int:
    """Write what is in a sealed part in another form; return how large that is [bytes].

    Args:
        part: The part.
        form: Columns, order and compression.
        path: The file.
    """
    columns, order, codec = form
    with closing(duckdb.connect()) as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(
            f"COPY (SELECT {columns} FROM read_parquet(?, hive_partitioning = false) ORDER BY {order})"  # noqa: S608 - our own words
            f" TO '{path}' (FORMAT parquet, PARQUET_VERSION v1, COMPRESSION {codec}, ROW_GROUP_SIZE 16384)",
            [str(part)],
        )
    return path.stat().st_size


def _wide_names(point: Point) -> tuple[str, str]:
    tags = {
        name: value for name, value in tags_of(point).items() if name in ("area", "asset", "feed", "phase")
    }
    head = ",".join([point.object_type or "asset", *(f"{name}={value}" for name, value in tags.items())])
    # Without the end of its path a sensor would overwrite another one of the same asset and quantity.
    sensor = "_".join(point.key.split("/")[-3:])
    return f"{head} ", f"{point.quantity}_{sensor}"


def _head(measurement: str, point: Point) -> str:
    return ",".join([measurement, *(f"{name}={value}" for name, value in tags_of(point).items())]) + " "


def _rows(batch: Batch) -> Iterable[tuple[int, int, int, float, int]]:
    return zip(
        batch.point.tolist(),
        batch.source_ms.tolist(),
        (batch.received_ms - batch.source_ms).tolist(),
        batch.value.tolist(),
        batch.quality.tolist(),
        strict=True,
    )
