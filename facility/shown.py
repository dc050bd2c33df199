"""Text from outside, as people may see it: on terminals, in pages, in logs."""

from __future__ import annotations

import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that move a cursor, change a direction, or are not seen at all."""


def visible(text: str) -> str:
    """Return text with every character that is none for the eye written out, such as an escape.

    Args:
        text: Any text; lines and tabs are written out too.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_written(letter) if unicodedata.category(letter) in _HIDDEN else letter for letter in text)


def in_line(text: str) -> str:
    """Return text as one line, with one space between words and what cannot be seen written out."""
    return visible(" ".join(text.split()))


def in_lines(text: str) -> str:
    """Return text of several lines, with what cannot be seen written out."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def _written(letter: str) -> str:
    number = ord(letter)
    if number <= 0xFF:  # noqa: PLR2004 - two digits
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - four digits
