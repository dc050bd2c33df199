"""What is none for the eye is written out; what is text stays as it is."""

from __future__ import annotations

import pytest

from facility.shown import in_line, in_lines, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("rack 7", "rack 7", id="plain"),
        pytest.param("Zürich 東京 µ", "Zürich 東京 µ", id="letters of any script"),
        pytest.param("\x1b[2J", "\\x1b[2J", id="an escape"),
        pytest.param("\x9b2J", "\\x9b2J", id="the same in one character"),
        pytest.param("a\rb\nc\td", "a\\x0db\\x0ac\\x09d", id="a new line"),
        pytest.param("a\u202eb", "a\\u202eb", id="a change of direction"),
        pytest.param("a\u200bb", "a\\u200bb", id="a space without width"),
        pytest.param("a\u2028b", "a\\u2028b", id="a separator of lines"),
        pytest.param("\U000e0041", "\\U000e0041", id="a tag"),
        pytest.param("\ud800", "\\ud800", id="half a character"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_text_is_written_out_where_it_can_not_be_seen(text: str, expected: str) -> None:
    """And nothing else of it changes."""
    assert visible(text) == expected


def test_one_line_is_one_line() -> None:
    """Whatever stands between words is a space."""
    assert in_line("  Acme\r\n\tAI\u2028x ") == "Acme AI x"


def test_lines_stay_lines() -> None:
    """Only what would do more than begin the next one is written out."""
    assert in_lines("one\n\x1b[31mtwo\r\nthree") == "one\n\\x1b[31mtwo\\x0d\nthree"
