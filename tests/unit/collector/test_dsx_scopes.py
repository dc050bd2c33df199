"""A scope covers the topics that it is the filter or the beginning of, however many scopes there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode.base import Gathered
from collector.decode.dsxscopes import ScopeIndex, TopicIndex
from collector.mqtt.message import Messages, as_sent, text_of
from formats import dsx
from testing.collector.hearing import Hearing, heartbeat, metadata, withdrawn

VALUE = "BMS/v1/PUB/Value/Rack/RackPower/nvidia/titan/pod1C/rowE/rack01/power"
SCOPES = [
    ("BMS/v1/PUB/Value/Rack/#", True),
    ("BMS/v1/PUB/Value/+/RackPower/#", True),
    ("BMS/v1/+/Value/#", True),
    ("#", True),
    ("+/+/+/+/+/+/+/+/+/+/+/+", True),
    (VALUE, True),
    (f"{VALUE}/#", True),
    ("BMS/v1/PUB/Value/PowerMeter/#", False),
    ("BMS/v1/MEPAI/Value/#", False),
    ("BMS/v1/PUB/Value/+", False),
    ("+", False),
    (f"{VALUE}/+", False),
    ("BMS/v1/PUB/Value", True),
    ("BMS/v1/PUB/Value/", True),
    ("BMS/v1/PUB/Val", False),
    ("nvidia/titan", True),
    ("nvidia/titan/", True),
    ("nvidia/titan/pod1C/rowE/rack01/power", True),
    ("nvidia/titan/pod1C/rowE/rack01/power/more", False),
    ("nvidia/titan/pod1", False),
    ("titan/pod1C", False),
    ("Nvidia/titan", False),
    ("", False),
    ("/", False),
]


def covers(scope: str, topic: str) -> bool:
    """Tell whether an index finds a scope by a topic."""
    index = ScopeIndex[str]()
    index.put(scope, "mine", scope)
    found = set(index.covering(topic))
    index.take(scope, "mine")
    assert list(index.covering(topic)) == []
    return found == {scope}


def read_plainly(scope: str, topic: str) -> bool:
    """Tell whether a scope covers a topic, as the words say it: level by level, one scope at a time."""
    if "#" in scope or "+" in scope:
        levels = topic.split("/")
        for i, part in enumerate(scope.split("/")):
            if part == "#":
                return True
            if i >= len(levels) or part not in ("+", levels[i]):
                return False
        return len(scope.split("/")) == len(levels)
    parts = dsx.parse_topic(topic)
    candidates = [topic] if parts is None else [topic, parts.tag_path]
    return any(f"{candidate}/".startswith(f"{scope.rstrip('/')}/") for candidate in candidates)


@pytest.mark.parametrize(("scope", "is_covered"), SCOPES, ids=[scope for scope, _ in SCOPES])
def test_a_scope_covers_what_it_is_the_filter_or_the_beginning_of(scope: str, *, is_covered: bool) -> None:
    """A heartbeat speaks for topics that its scope matches level by level, never for half a level."""
    assert covers(scope, VALUE) is is_covered


def test_a_scope_may_cover_what_is_no_topic_of_the_bus() -> None:
    """A beginning is compared with any topic."""
    assert covers("a/b", "a/b/c")
    assert not covers("a/b", "a/bc")


levels = st.lists(st.sampled_from(["a", "b", "ab", ""]), min_size=1, max_size=4).map("/".join)
topics = levels | levels.map("BMS/v1/PUB/Value/Rack/RackPower/{}".format)
scopes = (
    levels
    | st.lists(st.sampled_from(["a", "b", "+", "#", "a#", "BMS", "v1"]), min_size=1, max_size=8).map("/".join)
    | st.text("ab/+#", min_size=1, max_size=12)
)


@given(scopes, topics)
def test_what_is_looked_up_is_what_the_words_say(scope: str, topic: str) -> None:
    """However odd a scope is, the index finds it where reading it plainly does."""
    assert covers(scope, topic) is read_plainly(scope, topic)


@given(st.lists(scopes, max_size=8), topics)
def test_scopes_do_not_hide_each_other(many: list[str], topic: str) -> None:
    """Of many scopes all that cover are found, and what was taken away is not."""
    index = ScopeIndex[int]()
    for number, scope in enumerate(many):
        index.put(scope, str(number), number)
    for number in range(0, len(many), 3):
        index.take(many[number], str(number))

    expected = {n for n, scope in enumerate(many) if n % 3 and read_plainly(scope, topic)}
    assert set(index.covering(topic)) == expected


@given(st.lists(scopes, max_size=6), st.lists(topics, max_size=8, unique=True))
def test_topics_are_found_by_the_scopes_that_cover_them(many: list[str], some: list[str]) -> None:
    """Whether a topic was put before a scope was asked for or after it, and not once it was taken away."""
    topics: dict[bytes, None] = {}
    index = TopicIndex(topics)

    def put(topic: str) -> None:
        topics[as_sent(topic)] = None
        index.put(as_sent(topic))

    def covered(scope: str) -> set[str]:
        return set(map(text_of, index.covered(scope)))

    half = len(some) // 2
    for topic in some[:half]:
        put(topic)
    for scope in many:
        assert covered(scope) == {topic for topic in some[:half] if read_plainly(scope, topic)}
    for topic in some[half:]:
        put(topic)
    for topic in some[::3]:
        del topics[as_sent(topic)]
        index.take(as_sent(topic))

    left = set(some) - set(some[::3])
    for scope in many:
        assert covered(scope) == {topic for topic in left if read_plainly(scope, topic)}


def test_a_start_looks_at_each_point_a_few_times_however_many_heartbeats_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scopes that become known between points cost no more look at any: each is looked at once."""
    rows = 40
    paths = [f"row{row}/rack{rack}" for row in range(rows) for rack in range(5)]
    described = [metadata(path, rackLocationId=path.replace("/", ".")) for path in paths]
    beats = [heartbeat(f"client-{row}", scope=f"row{row}") for row in range(rows)]
    messages = [m for row in range(rows) for m in (*described[row * 5 : row * 5 + 5], beats[row])]
    looks = 0
    covering = ScopeIndex.covering

    def counted(index: ScopeIndex[object], topic: str) -> Iterator[object]:
        nonlocal looks
        looks += 1
        return covering(index, topic)

    monkeypatch.setattr(ScopeIndex, "covering", counted)
    hearing = Hearing()

    hearing.hear(*messages)

    streams = {str(known.point.asset): known.point.stream for known in hearing.known.values()}
    for row in range(rows):
        assert streams[f"row{row}.rack0"] == f"bus:PUB:client-{row}"
    assert looks == len(described)


@given(st.data())
def test_streams_are_the_same_wherever_points_are_completed(data: st.DataObject) -> None:
    """Points, scopes and what withdraws them in any order: whatever was completed on the way."""
    said = [metadata(path, rackLocationId=path.replace("/", ".")) for path in ("a/r1", "a/r2", "b/r1")]
    said += [heartbeat(f"client-{number}", scope=scope) for number, scope in enumerate(("a", "b", "a/r2"))]
    order = [said[i] for i in data.draw(st.lists(st.integers(0, len(said) - 1), max_size=14))]
    steps = [(withdrawn(m) if data.draw(st.booleans()) else m, data.draw(st.booleans())) for m in order]
    whole, parts, gathered = Hearing(), Hearing(), Gathered()
    for message, _ in steps:
        whole.hear(message)

    for message, is_completed in steps:
        for _ in parts.decoder.decode(Messages.of([message]), gathered):
            pass
        for _ in parts.decoder.complete() if is_completed else ():
            pass
    parts.hear()

    # Of a point that is withdrawn nothing is said, by whichever stream.
    found, expected = (
        {n: known.point for n, known in hearing.known.items() if not known.point.is_withdrawn}
        for hearing in (parts, whole)
    )
    assert found == expected
