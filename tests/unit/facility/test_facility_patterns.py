"""A pattern stands for exactly the racks that its writer counts, or it is an error that says why."""

from __future__ import annotations

import pytest

from facility.patterns import MOST, PatternError, choose, expand, is_open

FINITE = [
    ("A-01", ["A-01"]),
    ("A-0[1-4]", ["A-01", "A-02", "A-03", "A-04"]),
    ("A-[ab]", ["A-a", "A-b"]),
    ("A-[a-c9]", ["A-a", "A-b", "A-c", "A-9"]),
    ("A[1-]", ["A1", "A-"]),
    ("A-{01..03}", ["A-01", "A-02", "A-03"]),
    ("A-{1..3}", ["A-1", "A-2", "A-3"]),
    ("A-{8..11}", ["A-8", "A-9", "A-10", "A-11"]),
    ("A-{08..11}", ["A-08", "A-09", "A-10", "A-11"]),
    ("A-{098..101}", ["A-098", "A-099", "A-100", "A-101"]),
    ("A-{5..5}", ["A-5"]),
    ("{a,b,c}", ["a", "b", "c"]),
    ("{a,01..03}", ["a", "01", "02", "03"]),
    ("r{,x}", ["r", "rx"]),
    ("{a,b}-{1..2}", ["a-1", "a-2", "b-1", "b-2"]),
    ("{a,b}[12]", ["a1", "a2", "b1", "b2"]),
    ("1..3", ["1..3"]),
    ("Rack {1..2}", ["Rack~201", "Rack~202"]),
    ("Halle 1/Süd-{a,ü}", ["Halle~201~2FS~C3~BCd-a", "Halle~201~2FS~C3~BCd-~C3~BC"]),
    ("-01", ["~2D01"]),
    ("Rack~207", ["Rack~207"]),
]

BROKEN = [
    ("", "closed brackets", "''"),
    ("A-[", "closed brackets", "'A-['"),
    ("A-]", "closed brackets", "'A-]'"),
    ("A-{1..3", "closed brackets", "A-{1..3"),
    ("A-}", "closed brackets", "'A-}'"),
    ("A-[]", "closed brackets", "'A-[]'"),
    ("A-{}", "closed brackets", "'A-{}'"),
    ("A-{[12]}", "closed brackets", "A-{[12]}"),
    ("A-[[1]]", "closed brackets", "A-[[1]]"),
    ("{a,{b,c}}", "closed brackets", "{a,{b,c}}"),
    ("A-[9-1]", "a rising range", "'9-1'"),
    ("A-[é-ü]", "a rising range", "'é-ü'"),
    ("A-[a-é]", "a rising range", "'a-é'"),
    ("A-{3..1}", "a rising range", "'3..1'"),
    ("A-{1..200001}", f"at most {MOST} names", "more in"),
    ("A-{1..999999999}", f"at most {MOST} names", "more in"),
    ("{1..1000}-{1..1000}", f"at most {MOST} names", "more in"),
    ("[0-9][0-9][0-9][0-9][0-9][0-9]", f"at most {MOST} names", "more in"),
    ("{,a}", "an id as the bus gives it", "''"),
    ("A\0", "an id as the bus gives it", "\\x00"),
    (" A", "an id as the bus gives it", "' A'"),
    ("A\n", "an id as the bus gives it", "\\n"),
]  # fmt: skip

RACKS = ["A-01", "A-02", "A-10", "B-01", "AB-01", "a-01"]
SPACED = ["Rack~207", "Rack~2017", "Rack-7"]

CHOICES = [
    ("A-*", ["A-01", "A-02", "A-10"]),
    ("A-0?", ["A-01", "A-02"]),
    ("*", RACKS),
    ("?-01", ["A-01", "B-01", "a-01"]),
    ("{A,B}-*1", ["A-01", "B-01"]),
    ("[AB]-0*", ["A-01", "A-02", "B-01"]),
    ("A-{01..10}", ["A-01", "A-02", "A-10"]),
    ("A-1*", ["A-10"]),
    ("C-*", []),
    ("A-0[*]", ["A-01", "A-02"]),
]


@pytest.mark.parametrize("pattern", ["Rack *", "Rack~20*", "Rack ?*"])
def test_an_open_pattern_is_written_as_the_bus_writes_its_ids(pattern: str) -> None:
    """What a name of our own stands for is what people see on their own screens; the name does as well."""
    assert choose(pattern, SPACED) == SPACED[:2]


@pytest.mark.parametrize(("pattern", "names"), FINITE, ids=[pattern for pattern, _ in FINITE])
def test_a_finite_pattern_stands_for_its_names_in_order(pattern: str, names: list[str]) -> None:
    """Brackets count characters, braces count numbers of one width or list alternatives."""
    assert expand(pattern) == names
    assert not is_open(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected", "found"), BROKEN, ids=[ascii(pattern)[:40] for pattern, _, _ in BROKEN]
)
def test_a_broken_pattern_says_what_was_expected_and_what_was_found(
    pattern: str, expected: str, found: str
) -> None:
    """Whatever cannot be read, or stands for what cannot be a rack, is refused with its reason."""
    with pytest.raises(PatternError) as caught:
        expand(pattern)

    assert expected in caught.value.expected
    assert found in caught.value.found
    assert str(caught.value) == f"expected {caught.value.expected}, found {caught.value.found}"


def test_a_pattern_may_stand_for_exactly_the_most() -> None:
    """200,000 names are allowed and one more is not."""
    assert len(expand(f"r{{1..{MOST}}}")) == MOST
    with pytest.raises(PatternError):
        expand(f"r{{0..{MOST}}}")


@pytest.mark.parametrize(("pattern", "chosen"), CHOICES, ids=[pattern for pattern, _ in CHOICES])
def test_an_open_pattern_chooses_among_names_and_keeps_their_order(pattern: str, chosen: list[str]) -> None:
    """A star stands for anything and a question mark for one character, in the names that there are."""
    assert choose(pattern, RACKS) == chosen


@pytest.mark.parametrize("pattern", ["A-[*", "*]", "{*", "?{3..1}", "{1..500}{1..500}*"])
def test_a_broken_open_pattern_is_an_error_too(pattern: str) -> None:
    """A star does not make up for what cannot be read."""
    with pytest.raises(PatternError):
        choose(pattern, RACKS)


def test_an_open_pattern_names_nobody_outright() -> None:
    """What is not declared cannot be conjured up by a star."""
    assert is_open("A-*")
    assert is_open("A-0?")
    assert choose("A-*", []) == []


def test_signs_of_other_pattern_languages_stand_for_themselves_or_for_nothing() -> None:
    """An exclamation mark in brackets does not turn a choice around."""
    assert choose("[!A]-*", RACKS) == ["A-01", "A-02", "A-10"]
