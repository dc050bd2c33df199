"""What breaks an invariant at the border of a module is doubted there, and takes nothing else with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from facility.instants import MINUTE_MS
from facility.invariants import InvariantBroken
from facility.names import TenantId
from facility.readings import Batch, Quality, Reason
from rules.draw.draw import Draw, sound
from rules.view import UNBOUNDED
from store.base import Chunk
from store.influx.lineprotocol import Encoder
from store.journal.entries import Entry
from store.means.means import Means
from testing.builders import T0_MS, a_batch, a_point
from testing.collector.hearing import describing, metadata, value
from testing.rules.halls import KW, a_row_of, layout_of, points_of
from testing.store.histories import open_site
from tests.unit.store.test_shipping import ListSink, a_shipper, minutes, shipped

# Readings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": np.array([1.0])}, r"columns of one length, found \[1, 2\]"),
        ({"value": np.array([1.0, np.nan])}, "NaN exactly where there is no value, found 1 others"),
        ({"quality": np.array([Quality.NO_VALUE, Quality.GOOD], np.uint8)}, "NaN exactly where"),
        ({"quality": np.array([Quality.GOOD, Quality.REFUSED], np.uint8)}, "NaN exactly where"),
    ],
)
def test_a_batch_that_can_not_be_one_is_found(change: dict[str, np.ndarray], words: str) -> None:
    """Columns are of one length, and a value is there where its quality says so."""
    batch = a_batch([(0, T0_MS, 1.0), (0, T0_MS + 1, 2.0)])
    batch.check()

    with pytest.raises(InvariantBroken, match=words):
        replace(batch, **change).check()


@pytest.mark.shows(Reason.DECODER_FAILED)
def test_a_message_that_breaks_a_batch_is_a_dead_letter_and_all_others_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only that message is refused, with what was expected and what was found."""
    hearing = describing(metadata("r1"), metadata("r2"))
    check = Batch.check

    def checked(batch: Batch) -> None:
        check(replace(batch, value=np.where(batch.value == 13, np.nan, batch.value)))

    monkeypatch.setattr(Batch, "check", checked)
    outcome = hearing.hear(value("r1", 90, T0_MS), value("r2", 13, T0_MS), value("r1", 91, T0_MS + 1))

    assert [(at_ms, power) for _, at_ms, power in outcome.rows] == [(T0_MS, 90.0), (T0_MS + 1, 91.0)]
    assert outcome.reasons == [Reason.DECODER_FAILED]
    assert "NaN exactly where there is no value" in outcome.rejections[0].detail


# Draws ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "best", "high"),
    [(120, 110, 130), (100, 110, 105), (120, 110, 100)],
    ids=["above its best estimate", "below its best estimate", "the wrong way round"],
)
def test_a_tenant_whose_bounds_contradict_each_other_is_not_known_and_the_others_are(
    low: int, best: int, high: int
) -> None:
    """A fault of ours is neither compliance nor a breach."""
    site = a_row_of("r1", "r2")
    layout = replace(layout_of(site, points_of(["r1", "r2"])), tenants=(TenantId("acme"), TenantId("other")))
    draw = Draw(
        low=np.array([50, low]) * KW,
        best=np.array([60, best]) * KW,
        high=np.array([70, high]) * KW,
        most=np.array([200, 200]) * KW,
        loss_ppm=np.full(2, 1_000_000),
        coverage=np.ones(2),
        is_consistent=np.ones(2, np.bool_),
    )

    found = sound(layout, draw)

    assert found.low.tolist() == [50 * KW, 0]
    assert found.best.tolist() == [60 * KW, best * KW]
    assert found.high.tolist() == [70 * KW, UNBOUNDED]
    assert found.is_consistent.tolist() == [True, False]


# Histories --------------------------------------------------------------------------------


def some_means(**change: object) -> Means:
    """Return two minutes of a point."""
    two = np.zeros(2)
    columns = {
        "point": np.zeros(2, np.int64),
        "start_ms": np.array([0, MINUTE_MS]),
        "covered_ms": np.full(2, MINUTE_MS),
        "total": two,
        "low": two,
        "high": two,
        "last": two,
        "count": np.zeros(2, np.int64),
    }
    return Means(MINUTE_MS, **(columns | change))  # type: ignore[arg-type]  # a test names what it is about


@pytest.mark.parametrize(
    "change",
    [
        {"covered_ms": np.array([MINUTE_MS, MINUTE_MS + 1])},
        {"covered_ms": np.array([MINUTE_MS, -1])},
        {"low": np.array([0.0, 1.0])},
        {"high": np.array([0.0, np.nan])},
    ],
    ids=["covered for too long", "covered for less than no time", "bounds", "no bound"],
)
def test_a_mean_that_can_not_be_is_left_out_and_no_other(change: dict[str, np.ndarray]) -> None:
    """A step is covered for no longer than it lasts, and has its bounds in order."""
    assert some_means().sound().start_ms.tolist() == [0, MINUTE_MS]

    assert some_means(**change).sound().start_ms.tolist() == [0]


def test_a_reading_that_is_neither_a_line_nor_refused_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer fails, and the journal keeps what is not written."""
    chunk = Chunk(first_seq=1, last_seq=1, batch=a_batch([(0, T0_MS, 1.0)]), points={0: a_point()})
    monkeypatch.setattr(Encoder, "_reading_lines", lambda _self, _batch: [])

    with pytest.raises(InvariantBroken, match=r"lines and refusals of 1 readings, found \(0, 0\)"):
        Encoder().encode(chunk)


@dataclass
class Backwards:
    """A journal that hands out an entry twice."""

    inner: object

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return entries from the one at `after_seq` on."""
        found: list[Entry] = self.inner.read(after_seq - 1, most)  # type: ignore[attr-defined]  # as a source
        return found


def test_a_journal_that_goes_back_is_found(tmp_path: Path) -> None:
    """No entry is shipped twice because of a cursor that goes back."""
    site, sink = open_site(tmp_path), ListSink()
    site.append(minutes(0, 2))
    shipper = a_shipper(site, sink)
    asyncio.run(shipped(shipper))
    shipper._source = Backwards(shipper._source)  # type: ignore[assignment]  # likewise

    with pytest.raises(InvariantBroken, match=r"an entry after \d+, found \d+"):
        asyncio.run(shipper.ship())
    site.close()
