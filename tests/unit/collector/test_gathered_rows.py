"""Rows of a batch: what is checked for all of them alike, whoever decoded them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.row_builder import Ranges, Rows, reject
from facility.readings import DEAD_LETTER_BYTES, Quality, Reason
from facility.units import UNITS
from testing.builders import T0_MS, a_point
from testing.collector.hearing import raw

MESSAGE = raw("topic", b"payload", received_ms=T0_MS)


def ranges_of(*points: tuple[int, str, str, float | None]) -> Ranges:
    """Return the ranges of points given as number, quantity, unit and rating [kW]."""
    ranges = Ranges()
    for number, quantity, unit, rating_kw in points:
        ranges.set(number, a_point(f"p{number}", quantity=quantity, unit=unit), rating_kw)
    return ranges


def test_a_dead_letter_holds_the_beginning_of_what_was_refused() -> None:
    """Topic, payload and detail are cut; the length says how long the payload was."""
    message = raw("t" * 600, b"x" * (DEAD_LETTER_BYTES + 1))

    rejection = reject(message, Reason.BAD_JSON, "d" * 600)

    assert rejection.topic == "t" * 512
    assert rejection.payload == b"x" * DEAD_LETTER_BYTES
    assert rejection.length == DEAD_LETTER_BYTES + 1
    assert rejection.detail == "d" * 500
    assert rejection.received_ms == message.received_ms


def test_nothing_gathered_is_an_empty_batch() -> None:
    """A batch of metadata alone has no rows."""
    assert len(Rows().batch(Ranges())) == 0


def test_rows_keep_their_order_and_their_points() -> None:
    """What came first is first, and each value has the conversion of its own point."""
    ranges = ranges_of((5, "rack.power.active", "W", None), (900, "rack.power.active", "MW", None))
    rows = Rows()
    for i, (point, read) in enumerate([(900, 0.09), (5, 91_000.0), (900, 0.092)]):
        rows.add(point, T0_MS + i, read, is_good=True, message=MESSAGE)

    batch = rows.batch(ranges)

    assert batch.point.tolist() == [900, 5, 900]
    assert batch.value.tolist() == pytest.approx([90.0, 91.0, 92.0])
    assert batch.source_ms.tolist() == [T0_MS, T0_MS + 1, T0_MS + 2]


def test_bad_rows_leave_between_good_ones_without_moving_them() -> None:
    """Whatever is refused, the rows that stay are those that were good, in order."""
    ranges = ranges_of((0, "rack.power.active", "kW", None))
    rows = Rows()
    reads = [1.0, 1e9, 2.0, 3.0, -1e9, 4.0]
    for i, read in enumerate(reads):
        rows.add(0, T0_MS + i, read, is_good=True, message=MESSAGE)

    batch = rows.batch(ranges)

    assert [read for read in batch.value.tolist() if read == read] == [1.0, 2.0, 3.0, 4.0]  # noqa: PLR0124 - NaN
    expected = [Quality.GOOD, Quality.REFUSED, Quality.GOOD, Quality.GOOD, Quality.REFUSED, Quality.GOOD]
    assert batch.quality.tolist() == expected
    assert len(rows.rejections) == 2


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.one_of(st.integers(-(2**70), 2**70), st.integers(T0_MS - 10, T0_MS + 40_000)),
            st.one_of(st.none(), st.floats()),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_every_row_is_kept_or_refused(drawn: list[tuple[int, int, float | None, bool]]) -> None:
    """Whatever the numbers are, a row is kept or a dead letter, and nothing impossible is kept."""
    ranges = ranges_of(
        *((i, "rack.power.active", unit, 132.0) for i, unit in enumerate(("kW", "W", "MW", "mW")))
    )
    rows = Rows()
    for point, time_ms, read, is_good in drawn:
        rows.add(point, time_ms, read, is_good=is_good, message=MESSAGE)

    batch = rows.batch(ranges)

    kept = batch.take(batch.quality != Quality.REFUSED)
    assert len(kept) + len(rows.rejections) == len(drawn)
    missing = kept.quality == Quality.NO_VALUE
    assert (missing == (kept.value != kept.value)).all()
    assert ((kept.value[~missing] >= -5) & (kept.value[~missing] <= 1_200)).all()
    good = kept.value[kept.quality == Quality.GOOD]
    assert ((good >= -0.02 * 132) & (good <= 2 * 132)).all()


@pytest.mark.parametrize("unit", ["kW", "W", "MW", "mW"])
def test_the_range_is_that_of_the_canonical_unit(unit: str) -> None:
    """A rack draws at most 1,200 kW, whatever unit says so."""
    limit = 1_200 / UNITS[unit].factor
    rows = Rows()
    rows.add(0, T0_MS, limit, is_good=True, message=MESSAGE)
    rows.add(0, T0_MS, limit * 1.001, is_good=True, message=MESSAGE)

    batch = rows.batch(ranges_of((0, "rack.power.active", unit, None)))

    assert batch.quality.tolist() == [Quality.GOOD, Quality.REFUSED]


def test_an_energy_register_has_no_rating() -> None:
    """What a rack is rated says nothing of how much it has used in its life."""
    rows = Rows()
    rows.add(0, T0_MS, 1e9, is_good=True, message=MESSAGE)

    batch = rows.batch(ranges_of((0, "energy.active", "kWh", 132.0)))

    assert batch.quality.tolist() == [Quality.GOOD]


def test_a_rack_rated_for_it_may_draw_more_than_other_racks_can() -> None:
    """1,500 kW of a rack rated 2,000 kW is a reading; of one that nobody rated it is impossible."""
    ranges = ranges_of((0, "rack.power.active", "kW", 2_000), (1, "rack.power.active", "kW", None))
    rows = Rows()
    for point, value in ((0, 1_500.0), (1, 1_500.0), (0, 4_001.0)):
        rows.add(point, T0_MS, value, is_good=True, message=MESSAGE)

    batch = rows.batch(ranges)

    assert batch.quality.tolist() == [Quality.GOOD, Quality.REFUSED, Quality.REFUSED]
    assert [rejection.detail for rejection in rows.rejections] == [
        "expected -5 to 1200, found 1500",
        "expected -40 to 4000, found 4001",
    ]
