"""Points say what may be summed, and batches keep their columns together."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from facility.errors import (
    DeliveryError,
    Fault,
    MegawatchError,
    Outlook,
    SiteFileError,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)
from facility.points import Point
from facility.quantities import QUANTITIES
from facility.readings import COLUMNS, DTYPES, Batch
from testing.builders import T0_MS, a_batch, a_point

METER = a_point("PowerMeter/ActivePower/m", asset="m", quantity="meter.power.active")


@pytest.mark.parametrize(
    ("point", "is_boundary"),
    [
        (a_point(), True),
        (METER, True),
        (replace(a_point(), is_setpoint=True), False),
        (replace(METER, phase="A"), False),
        (a_point(quantity="rack.power.apparent", unit="kVA"), False),
        (a_point(quantity="energy.active", unit="kWh"), False),
        (a_point(quantity="current", unit="A"), False),
        (a_point(quantity="heat.removed"), False),
    ],
    ids=["a rack", "a meter", "a set point", "one phase", "apparent", "energy", "current", "heat"],
)
def test_only_measured_active_power_of_all_phases_may_be_summed(point: Point, *, is_boundary: bool) -> None:
    """A draw is never summed of targets, of single phases, or of other kilowatts."""
    assert point.is_boundary is is_boundary


def test_a_point_knows_its_quantity() -> None:
    """The quantity of a point is the one of the table."""
    assert a_point().measures is QUANTITIES["rack.power.active"]


def test_only_a_heartbeat_is_one() -> None:
    """A value that is not a heartbeat proves nothing of its publisher's other points."""
    assert a_point(quantity="heartbeat", unit="ms").is_heartbeat
    assert not a_point().is_heartbeat


def test_a_batch_of_nothing_has_every_column() -> None:
    """No readings are a batch like any other, of the same types."""
    empty = Batch.empty()

    assert len(empty) == 0
    assert [getattr(empty, column).dtype for column in COLUMNS] == [np.dtype(dtype) for dtype in DTYPES]


def test_rows_are_taken_whole() -> None:
    """A mask and indices take the same rows out of every column, in their order."""
    batch = a_batch([(1, T0_MS, 10.0), (2, T0_MS + 1, 20.0), (3, T0_MS + 2, 30.0)])

    masked = batch.take(np.array([True, False, True]))
    picked = batch.take(np.array([2, 0]))

    assert (masked.point.tolist(), masked.value.tolist()) == ([1, 3], [10.0, 30.0])
    assert (picked.point.tolist(), picked.source_ms.tolist()) == ([3, 1], [T0_MS + 2, T0_MS])
    assert len(masked) == len(picked) == 2


def test_batches_are_joined_in_order() -> None:
    """Readings of several batches stay in the order in which they came."""
    parts = [a_batch([(i, T0_MS + i, float(i))]) for i in range(3)]

    joined = Batch.concatenate(parts)

    assert joined.point.tolist() == [0, 1, 2]
    assert len(Batch.concatenate([])) == 0


def test_a_batch_has_exactly_its_columns() -> None:
    """A column too few is refused instead of shifting the others."""
    with pytest.raises(ValueError, match="argument"):
        Batch.of([[1], [T0_MS], [T0_MS], [1.0], [0]])


@pytest.mark.parametrize(
    ("hint", "sentence"),
    [
        ("", "site.name: expected a name, found nothing"),
        ("did you mean 'x'?", "site.name: expected a name, found nothing (did you mean 'x'?)"),
    ],
    ids=["without a hint", "with a hint"],
)
def test_a_fault_is_one_sentence(hint: str, sentence: str) -> None:
    """A fault says where, what was expected, what was found, and the way out where there is one."""
    assert str(Fault(path="site.name", expected="a name", found="nothing", hint=hint)) == sentence


@pytest.mark.parametrize(
    ("count", "title"), [(1, "here.toml: 1 fault"), (2, "here.toml: 2 faults")], ids=["one", "two"]
)
def test_a_site_file_error_shows_all_of_its_faults(count: int, title: str) -> None:
    """Every fault stands on a line of its own beneath the file's name."""
    faults = tuple(Fault(path=f"x[{i}]", expected="a", found="b") for i in range(count))

    error = SiteFileError("here.toml", faults)

    assert str(error).splitlines() == [title, *(f"  {fault}" for fault in faults)]
    assert (error.source, error.faults) == ("here.toml", faults)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (StoreUnavailable("j.db", "disk full"), StoreError, "j.db cannot store now: disk full"),
        (StoreCorrupt("j.db", "bad sum"), StoreError, "j.db is damaged: bad sum"),
        (DeliveryError("refused", Outlook.REFUSED), MegawatchError, "refused"),
        (SiteFileError("s", ()), MegawatchError, "s: 0 faults\n"),
    ],
    ids=["unavailable", "corrupt", "delivery", "site file"],
)
def test_an_error_says_what_happened_and_is_in_the_tree(
    error: MegawatchError, kind: type[MegawatchError], message: str
) -> None:
    """Whoever catches the base of a branch catches the error, and its text tells the cause."""
    assert isinstance(error, kind)
    assert isinstance(error, MegawatchError)
    assert str(error) == message


@pytest.mark.parametrize(
    ("quantity", "unit", "shown"),
    [
        ("rack.power.active", "W", "kW"),
        ("rack.power.active", "MW", "kW"),
        ("coolant.pressure", "Pa", "kPa"),
        ("coolant.supply", "°F", "°C"),
        ("rack.power.active", "kW", "kW"),
        ("other", "s", "ms"),
        ("other", "furlong", "furlong"),
    ],
)
def test_the_unit_shown_is_that_of_the_stored_value(quantity: str, unit: str, shown: str) -> None:
    """Values are stored in the canonical unit; what a source writes is only the way there."""
    assert a_point(quantity=quantity, unit=unit).shown_unit == shown
