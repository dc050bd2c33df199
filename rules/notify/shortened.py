"""Text that a receiver bounds: whole lines are kept, the first ones first, as pages put what counts first."""

from __future__ import annotations

from typing import Final

ELLIPSIS: Final = "…"


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters: whole lines of it, and never half a number.

    Args:
        text: A labelled line for each thing to know, the headline first.
        most: How many characters there may be, at least 2.
    """
    if len(text) <= most:
        return text
    kept = text[: most - 1].rpartition("\n")[0]
    if not kept:  # one line that is too long: its words
        kept = text[: most - 1].rpartition(" ")[0] or text[: most - 1]
    return f"{kept.rstrip()}{ELLIPSIS}"
