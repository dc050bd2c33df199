"""Patterns over asset ids: how a site file says "these forty-eight racks" in one line.

`[1-4]` and `[ab]` stand for one character each, `{01..48}` for a range of numbers of one width,
`{a,b}` for alternatives. All of these are finite and name racks outright, heard or not: a rack that
was never heard must still be missed. `*` and `?` stand for anything and so only choose among racks that
are declared elsewhere in the file. What an id of the bus has and a name may not, such as a space, is written
as it is.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from facility.names import ID_RULE, id_of, is_name, may_be_written, written

MOST: Final = 200_000
"""The most names one pattern may stand for; more is a mistake of writing."""

_PART: Final = re.compile(r"\[([^\[\]{}]+)\]|\{([^{}\[\]]+)\}|([^\[\]{}]+)", re.ASCII)
_RANGE: Final = re.compile(r"(\d{1,9})\.\.(\d{1,9})", re.ASCII)


class PatternError(ValueError):
    """A pattern cannot be read.

    Attributes:
        expected: What may stand there.
        found: What stands there.
    """

    def __init__(self, expected: str, found: str) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"expected {expected}, found {found}")


def is_open(pattern: str) -> bool:
    """Tell whether a pattern only chooses among declared names, having `*` or `?` in it."""
    return "*" in pattern or "?" in pattern


def expand(pattern: str) -> list[str]:
    """Return every name that a pattern without `*` and `?` stands for, in order.

    Raises:
        PatternError: Where it cannot be read, stands for no names, for too many, or for text that
            cannot be a name.
    """
    if is_name(pattern):
        return [pattern]  # as nearly all of a large site
    names = [""]
    for choices in _parts(pattern):
        if len(names) * len(choices) > MOST:
            raise PatternError(f"at most {MOST} names", f"more in {pattern!r}")
        names = [name + choice for name in names for choice in choices]
    wrong = next((name for name in names if not may_be_written(name)), None)
    if wrong is not None:
        raise PatternError(ID_RULE, f"{wrong!r}")
    return [id_of(name) for name in names]


def choose(pattern: str, names: Iterable[str]) -> list[str]:
    """Return those of `names` that a pattern stands for, in their order.

    Raises:
        PatternError: Where the pattern cannot be read.
    """
    if not is_open(pattern):
        wanted = set(expand(pattern))
        return [name for name in names if name in wanted]
    globs = ["".join(parts) for parts in _product(pattern)]
    return [
        name
        for name in names
        if any(fnmatch.fnmatchcase(said, glob) for said in {name, written(name)} for glob in globs)
    ]


def any_matches(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Tell whether any of some patterns stands for any of some names."""
    return any(_stands_for(pattern, name) for pattern in patterns for name in names)


@lru_cache(maxsize=10_000)
def _stands_for(pattern: str, name: str) -> bool:
    return bool(choose(pattern, (name,)))


def _product(pattern: str) -> Iterator[tuple[str, ...]]:
    combinations: list[tuple[str, ...]] = [()]
    for choices in _parts(pattern):
        combinations = [(*one, choice) for one in combinations for choice in choices]
        if len(combinations) > MOST:
            raise PatternError(f"at most {MOST} names", f"more in {pattern!r}")
    return iter(combinations)


def _parts(pattern: str) -> Iterator[list[str]]:
    position = 0
    for match in _PART.finditer(pattern):
        if match.start() != position:
            break
        position = match.end()
        characters, alternatives, literal = match.groups()
        if characters is not None:
            yield _characters(characters, pattern)
        elif alternatives is not None:
            yield _alternatives(alternatives, pattern)
        else:
            yield [literal]
    if position != len(pattern) or not pattern:
        raise PatternError("closed brackets and no empty ones", f"{pattern!r}")


def _characters(text: str, pattern: str) -> list[str]:
    found: list[str] = []
    index = 0
    while index < len(text):
        if text[index + 1 : index + 2] == "-" and index + 2 < len(text):
            first, last = ord(text[index]), ord(text[index + 2])
            if not first <= last < 128:  # noqa: PLR2004 - the end of ASCII
                span = text[index : index + 3]
                raise PatternError("a rising range", f"{span!r} in {pattern!r}")
            found += [chr(code) for code in range(first, last + 1)]
            index += 3
        else:
            found.append(text[index])
            index += 1
    return found


def _alternatives(text: str, pattern: str) -> list[str]:
    found: list[str] = []
    for part in text.split(","):
        span = _RANGE.fullmatch(part)
        if span is None:
            found.append(part)
            continue
        first, last = int(span[1]), int(span[2])
        if first > last:
            raise PatternError("a rising range", f"{part!r} in {pattern!r}")
        if last - first >= MOST:
            raise PatternError(f"at most {MOST} names", f"more in {pattern!r}")
        found += [str(number).zfill(len(span[1])) for number in range(first, last + 1)]
    return found
