"""Numbers of points: one for each key, for ever, and news only where something is new."""

from __future__ import annotations

from msgspec.structs import replace

from collector.register import Register
from facility.names import AssetId
from facility.points import Asset
from store.journal.entries import Known
from testing.builders import T0_MS, a_point, known_racks


def test_each_key_has_one_number() -> None:
    """Numbers begin at 0 and rise by one."""
    register = Register({})

    numbers = [register.number(a_point(key)) for key in ("a", "b", "a", "c", "b")]

    assert numbers == [0, 1, 0, 2, 1]
    assert [known.point.key for known in register.news()] == ["a", "b", "c"]
    assert register.news() == []


def test_numbers_go_on_where_the_journal_ends() -> None:
    """A number that was given is never given again, whatever lies between the numbers."""
    kept = Known(7, a_point("seventh"))

    register = Register({7: kept})

    assert register.number(a_point("seventh")) == 7
    assert register.number(a_point("another")) == 8
    assert [known.id for known in register.news()] == [8]


def test_the_same_again_is_no_news() -> None:
    """A point that is known so already makes no entry in the journal."""
    racks = known_racks(["r1", "r2"])
    register = Register({known.id: known for known in racks})

    for known in racks:
        assert register.number(known.point, known.asset) == known.id

    assert register.news() == []


def test_a_point_known_otherwise_is_news_once() -> None:
    """Its number stays; the newest description is what the journal is told."""
    (kept,) = known_racks(["r1"])
    register = Register({0: kept})
    first = Asset(id=AssetId("r1"), kind="Rack", serves=(AssetId("x"),))
    last = Asset(id=AssetId("r1"), kind="Rack", serves=(AssetId("y"),))

    register.number(kept.point, first)
    register.number(kept.point, last)

    assert register.news() == [Known(0, kept.point, last)]
    assert register.news() == []


def test_a_point_that_is_described_back_is_no_news() -> None:
    """What was taken back before anybody was told leaves nothing to tell."""
    (kept,) = known_racks(["r1"])
    register = Register({0: kept})

    register.number(a_point(kept.point.key, stream="bus:OTHER"), kept.asset)
    register.number(kept.point, kept.asset)

    assert register.news() == []


def test_what_two_brokers_bring_under_one_key_are_two_points() -> None:
    """The second one has a key of its own, also after a restart; each stays what it is."""
    first, second = a_point("r1/power", stream="bus:docs"), a_point("r1/power", stream="spare:docs")
    register = Register({}, ["bus", "spare"])
    for point in (first, second, first):
        register.number(register.own(point))
    known = {entry.id: entry for entry in register.news()}

    again = Register(known, ["bus", "spare"])

    assert [entry.point.key for entry in known.values()] == ["r1/power", "spare/r1/power"]
    assert [again.number(again.own(point)) for point in (first, second)] == [0, 1]
    assert again.news() == []


def test_a_broker_that_was_renamed_brings_the_points_of_old() -> None:
    """What no broker of the site file holds any more is taken over under its key."""
    kept = Known(0, a_point("r1/power", stream="old:docs"))
    register = Register({0: kept}, ["bus", "spare"])

    assert register.number(register.own(a_point("r1/power", stream="bus:docs"))) == 0


def test_what_never_came_into_the_journal_is_news_again() -> None:
    """A collector failed between asking for the news and writing them down: its points keep their numbers."""
    kept, lost = known_racks(["r1", "r2"])
    register = Register({0: kept})
    register.number(lost.point, lost.asset)
    assert [known.id for known in register.news()] == [1]

    register.restore({0: kept})

    assert register.number(kept.point, kept.asset) == 0
    assert register.number(lost.point, lost.asset) == 1
    assert [known.id for known in register.news()] == [1]


def test_news_that_was_taken_back_is_news_again() -> None:
    """Unless more became known since: the newest is what is told."""
    first, second = known_racks(["r1", "r2"])
    register = Register({})
    for known in (first, second):
        register.number(known.point, known.asset)
    news = register.news()
    other = replace(second.point, unit="W")
    register.number(other, second.asset)

    register.take_back(news)

    assert sorted(register.news(), key=lambda known: known.id) == [first, Known(1, other, second.asset)]
    assert register.news() == []


def test_a_doubt_that_never_came_into_the_journal_is_news_again() -> None:
    """A collector failed before it wrote down that a unit had changed: the doubt outlasts the next start."""
    (kept,) = known_racks(["r1"])
    register = Register({0: kept})
    other = replace(kept.point, unit="W")
    register.number(other, kept.asset)
    register.doubt(0, T0_MS)
    doubted = register.news()
    assert doubted == [Known(0, other, kept.asset, T0_MS)]

    register.restore({0: kept})

    assert register.news() == doubted


def test_a_confirmation_that_never_came_into_the_journal_is_news_again() -> None:
    """Only whether the point is confirmed differs from what the journal has."""
    (kept,) = known_racks(["r1"])
    doubted = replace(kept, unconfirmed_ms=T0_MS)
    register = Register({0: doubted})
    register.confirm(0)
    assert register.news() == [kept]

    register.restore({0: doubted})

    assert register.news() == [kept]


def test_a_confirmed_point_that_is_described_again_is_news_still() -> None:
    """Metadata are repeated in the message after the value that confirmed them."""
    (kept,) = known_racks(["r1"])
    register = Register({0: replace(kept, unconfirmed_ms=T0_MS)})

    register.confirm(0)
    register.number(kept.point, kept.asset)

    assert register.news() == [kept]
