"""A name is on the allow-list or it is refused; nothing is ever escaped."""

from __future__ import annotations

import pytest

from facility.names import is_name, is_path, nearest

GOOD_NAMES = [
    "a",
    "A",
    "7",
    "A-01",
    "rack.power_1",
    "0-",
    "a.",
    "a_",
    "C-E-BUS-E1",
    "..x".strip("."),
    "a" * 64,
]

NAUGHTY = [
    ("empty", ""),
    ("space", " "),
    ("inner space", "a b"),
    ("leading space", " a"),
    ("trailing space", "a "),
    ("newline", "a\n"),
    ("inner newline", "a\nb"),
    ("carriage return", "a\r"),
    ("tab", "a\tb"),
    ("NUL", "a\0b"),
    ("escape", "\x1b[31ma"),
    ("delete", "a\x7f"),
    ("plus wildcard", "+"),
    ("inner plus wildcard", "a+b"),
    ("hash wildcard", "#"),
    ("star", "a*"),
    ("question mark", "a?"),
    ("dollar", "$SYS"),
    ("quote", "a'b"),
    ("double quote", 'a"b'),
    ("backslash", "a\\b"),
    ("semicolon", "a;b"),
    ("comma", "a,b"),
    ("equals", "a=b"),
    ("colon", "a:b"),
    ("percent", "a%2fb"),
    ("a tilde without its digits", "~2"),
    ("angle brackets", "<b>"),
    ("braces", "{a}"),
    ("brackets", "[a]"),
    ("bar", "a|b"),
    ("ampersand", "a&b"),
    ("byte order mark", "\ufeffa"),
    ("right-to-left override", "a\u202eb"),
    ("zero width space", "a\u200bb"),
    ("no-break space", "a\xa0b"),
    ("line separator", "a\u2028b"),
    ("accent", "é"),
    ("combining accent", "e\u0301"),
    ("umlaut", "Zähler"),
    ("Cyrillic look-alike", "\u0430cme"),
    ("Greek look-alike", "\u0391-01"),
    ("full-width letter", "\uff21-01"),
    ("Arabic digit", "A-\u0660\u0661"),
    ("superscript digit", "A\u00b2"),
    ("long s, a letter that folds to s", "\u017f"),
    ("Kelvin sign, a letter that folds to k", "\u212a"),
    ("emoji", "\U0001f4a9"),
    ("lone surrogate", "\ud800"),
]

BAD_BEGINNINGS = [".", "..", "-", "_", ".hidden", "-rf", "_a"]

GOOD_PATHS = [
    "a",
    "a/b",
    "nvidia/titan/pod1C/C-E-BUS-E1/info/rValue",
    "_a/-b",
    "a/b.c",
    "a" * 512,
    "a/" * 255 + "ab",
]

BAD_PATHS = [
    ("empty", ""),
    ("slash", "/"),
    ("leading slash", "/a"),
    ("trailing slash", "a/"),
    ("empty part", "a//b"),
    ("wildcard part", "a/+/b"),
    ("hash part", "a/#"),
    ("one too long", "a" * 513),
    ("the folder itself", "a/./b"),
    ("the folder above", "a/../../etc/passwd"),
    ("only the folder above", ".."),
]


@pytest.mark.parametrize("text", GOOD_NAMES, ids=lambda text: text[:20])
def test_letters_digits_and_three_signs_make_a_name(text: str) -> None:
    """What is made of allowed characters and begins with a letter or digit is a name and a path."""
    assert is_name(text)
    assert is_path(text)


@pytest.mark.parametrize("text", [t for _, t in NAUGHTY], ids=[name for name, _ in NAUGHTY])
def test_a_naughty_text_is_no_name_and_no_part_of_a_path(text: str) -> None:
    """Wildcards, control characters, look-alikes and whatever is not ASCII are refused anywhere."""
    assert not is_name(text)
    assert not is_path(text)
    assert not is_path(f"a/{text}/b")


@pytest.mark.parametrize("text", BAD_BEGINNINGS)
def test_a_name_begins_with_a_letter_or_a_digit(text: str) -> None:
    """No name is a hidden file, an option of a command, or the folder above."""
    assert not is_name(text)


def test_a_slash_joins_names_and_is_in_none() -> None:
    """A path may have slashes and a name may not."""
    assert is_path("a/b")
    assert not is_name("a/b")


@pytest.mark.parametrize(
    ("length", "allowed"), [(0, False), (1, True), (64, True), (65, False), (1_000_000, False)]
)
def test_a_name_has_at_most_64_characters(length: int, allowed: bool) -> None:  # noqa: FBT001 - a table's column
    """The limit is 64 itself: one more is refused."""
    assert is_name("x" * length) is allowed


@pytest.mark.parametrize("text", GOOD_PATHS, ids=lambda text: text[:20])
def test_a_tag_path_is_names_joined_by_slashes(text: str) -> None:
    """The paths that building systems make are allowed, up to 512 characters."""
    assert is_path(text)


@pytest.mark.parametrize("text", [t for _, t in BAD_PATHS], ids=[name for name, _ in BAD_PATHS])
def test_what_is_no_path_is_refused(text: str) -> None:
    """No part of a path is empty, a wildcard, or a way out of a folder."""
    assert not is_path(text)


@pytest.mark.parametrize(
    ("written", "known", "hint"),
    [
        ("acme", ["acme", "globex"], "did you mean 'acme'?"),
        ("ACME", ["acme", "globex"], "did you mean 'acme'?"),
        ("acmee", ["acme", "globex"], "did you mean 'acme'?"),
        ("globx", ["acme", "globex"], "did you mean 'globex'?"),
        ("zzz", ["acme", "globex"], ""),
        ("acme", [], ""),
        ("", ["acme"], ""),
        ("commited_mw", ["committed_mw", "minimum_mw"], "did you mean 'committed_mw'?"),
    ],
    ids=str,
)
def test_a_hint_names_the_nearest_known_name(written: str, known: list[str], hint: str) -> None:
    """A slip of the pen is answered with what was meant, and nonsense with nothing."""
    assert nearest(written, known) == hint
