"""Names are their allow-list, and a pattern is its names or an error, whatever anybody writes."""

from __future__ import annotations

import string
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from facility.names import NAME_LENGTH, id_of, is_id, is_name, is_path, name_of, path_of, text_of, written
from facility.patterns import MOST, PatternError, choose, expand, is_open
from formats import dsx

FIRST = set(string.ascii_letters + string.digits)
ALL = FIRST | set("._-")

texts = st.text(max_size=70) | st.text(sorted(ALL | set("/ é\n+#")), max_size=70)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
paths = st.lists(names, min_size=1, max_size=5).map("/".join)

# Patterns that nobody would write, and that somebody will: the signs that mean something, and few others.
scrawl = st.text("aA0129[]{},..-*?! é\n", max_size=16) | st.text(max_size=16)


@given(texts)
def test_a_name_is_made_of_the_allow_list_and_nothing_else(text: str) -> None:
    """Character by character there is no other way for a text to be a name."""
    allowed = 1 <= len(text) <= 64 and text[0] in FIRST and set(text) <= ALL

    assert is_name(text) == allowed


@given(texts)
def test_every_part_of_a_path_is_allowed(text: str) -> None:
    """What passes as a path has no empty part, no folder above, and no character beyond the allow-list."""
    if is_path(text):
        parts = text.split("/")
        assert all(part and set(part) <= ALL | {"~"} and part not in {".", ".."} for part in parts)
        assert len(text) <= 512


@given(st.text(min_size=1, max_size=200) | texts.filter(bool))
def test_any_text_has_a_name_and_a_path_that_tell_it(text: str) -> None:
    """They are made of the allow-list, are the text itself where they may be, and lead back to it."""
    name, path = name_of(text), path_of(text)

    assert is_id(name)
    assert is_path(path)
    assert (name == text) == is_name(text)
    assert (path == text) == (is_path(text) and "~" not in text)
    assert text_of(name) == text or (len(name) > NAME_LENGTH - 10 and "~~" in name)
    assert text_of(path) == text or (len(path) > 500 and "~~" in path)
    assert id_of(name) == id_of(written(name)) == name


@given(st.lists(texts.filter(bool) | st.text("~207a/ ", min_size=1, max_size=3), max_size=30, unique=True))
def test_no_two_texts_share_a_name(texts: list[str]) -> None:
    """Whatever one publisher calls its point, it never becomes another's."""
    assert len({name_of(text) for text in texts}) == len(texts)
    assert len({path_of(text) for text in texts}) == len(texts)


@given(publisher=names, object_type=names, point_type=names, path=paths, is_value=st.booleans())
def test_a_topic_of_names_comes_back(
    publisher: str, object_type: str, point_type: str, path: str, *, is_value: bool
) -> None:
    """A topic that is put together is taken apart into the same parts, and allowed."""
    key = f"{object_type}/{point_type}/{path}"
    text = dsx.value_topic(publisher, key) if is_value else dsx.metadata_topic(key, publisher)

    topic = dsx.parse_topic(text)

    assert topic is not None
    assert topic.is_allowed
    assert (topic.publisher, topic.key) == (publisher, key)
    assert topic.type == ("Value" if is_value else "Metadata")


@given(st.text(max_size=60))
def test_any_text_is_a_topic_or_none(text: str) -> None:
    """No topic that anybody publishes can do more than be refused."""
    for topic in (text, f"BMS/v1/{text}", f"BMS/v1/PUB/Value/{text}"):
        found = dsx.parse_topic(topic)
        assert found is None or found.is_allowed == (is_name(found.publisher) and is_path(found.key))


@given(
    point_type=st.text(max_size=30),
    unit=st.none() | st.text(max_size=30) | st.sampled_from(["kW", "%", "LPM", ""]),
    has_states=st.booleans(),
)
def test_any_metadata_is_a_quantity_or_a_refusal(
    point_type: str, unit: str | None, *, has_states: bool
) -> None:
    """Nothing that metadata says of a point can do more than be refused in one of two ways."""
    try:
        quantity, symbol = dsx.quantity_of(point_type, unit, has_states=has_states)
    except (dsx.UnitContradiction, LookupError):
        return

    assert quantity.low < quantity.high
    assert isinstance(symbol, str)


@given(scrawl)
def test_any_text_is_names_or_a_pattern_error(text: str) -> None:
    """Whatever is written as a finite pattern stands for allowed names, or is refused."""
    try:
        found = expand(text)
    except PatternError as error:
        told = (error.expected, error.found)
    else:
        assert 1 <= len(found) <= MOST
        assert all(is_id(name) for name in found)
        return

    assert all(told)


@given(scrawl, st.lists(names, max_size=10))
def test_any_text_chooses_among_names_or_is_a_pattern_error(text: str, racks: list[str]) -> None:
    """Whatever is written as a pattern chooses some of the names in their order, or is refused."""
    try:
        found = choose(text, racks)
    except PatternError:
        return

    remaining = iter(racks)
    assert all(name in remaining for name in found)


@st.composite
def patterns(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Draw a pattern, and the names that it stands for by its own parts."""
    parts: list[tuple[str, list[str]]] = [("r", ["r"])]
    for kind in draw(st.lists(st.sampled_from(["text", "set", "span", "range", "list"]), max_size=4)):
        if kind == "text":
            text = draw(st.text("abc019._-", min_size=1, max_size=3))
            parts.append((text, [text]))
        elif kind == "set":
            characters = draw(st.text("abc019._", min_size=1, max_size=4))
            parts.append((f"[{characters}]", list(characters)))
        elif kind == "span":
            first = draw(st.integers(0, 9))
            last = draw(st.integers(first, 9))
            parts.append((f"[{first}-{last}]", [str(n) for n in range(first, last + 1)]))
        elif kind == "range":
            first, width = draw(st.integers(0, 1_200)), draw(st.integers(1, 4))
            last = first + draw(st.integers(0, 12))
            written = str(first).zfill(width)
            numbers = [str(n).zfill(len(written)) for n in range(first, last + 1)]
            parts.append((f"{{{written}..{last}}}", numbers))
        else:
            words = draw(st.lists(st.text("abc019_", max_size=3), min_size=2, max_size=4))
            parts.append((f"{{{','.join(words)}}}", words))
    return "".join(text for text, _ in parts), ["".join(p) for p in product(*(names for _, names in parts))]


@given(patterns())
def test_a_pattern_stands_for_the_product_of_its_parts(pattern: tuple[str, list[str]]) -> None:
    """Every part counts on its own and the last one counts fastest."""
    text, expected = pattern

    assert not is_open(text)
    assert expand(text) == expected


@given(patterns(), st.lists(names, max_size=5))
def test_choosing_by_a_finite_pattern_is_naming(pattern: tuple[str, list[str]], others: list[str]) -> None:
    """Among any racks a finite pattern chooses exactly those that it names."""
    text, named = pattern
    racks = list(dict.fromkeys([*others, *named]))

    assert choose(text, racks) == [rack for rack in racks if rack in set(named)]
    assert set(named) <= set(choose("r*", racks))
