"""Names that may become identities: the allow-list that decides it, and the way there for any other text.

A name ends in file names, series, queries and pages, where nothing has to be escaped: it is made of letters,
digits, `.`, `_` and `-`, with `/` between the parts of a path. A text from a bus may be anything. It keeps
its name where it is one; any other byte of it becomes `~` and two hexadecimal digits, so that two texts never
share a name and the text can be told from the name: `Rack 7` is `Rack~207`. What would be longer than a name
may be is cut, and ends in `~~` and a digest of the whole text.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import re
from collections.abc import Iterable
from typing import Final, NewType

AssetId = NewType("AssetId", str)
"""A rack, a meter, a coolant unit: whatever stands in the power and cooling graph."""

TenantId = NewType("TenantId", str)
"""Who holds assets and signs contracts; `OPERATOR` is the site's own load."""

OPERATOR: Final = TenantId("operator")
CANARY: Final = "megawatch-canary"
"""Tenant and rack of the canary, which the monitor overdraws itself to prove that pages come through."""
CANARY_PUBLISHER: Final = "MEGAWATCH-CANARY"
"""By which name the monitor publishes the canary's readings."""
CANARY_RULE: Final = "C2"
"""The rule whose page proves it."""
"""The tenant without a contract: all racks that no tenant holds."""

NAME_LENGTH: Final = 64
PATH_LENGTH: Final = 512

_SAFE = r"[A-Za-z0-9._-]"
_ESCAPED = r"~[0-9A-F]{2}"
_DIGEST = r"~~[a-z2-7]{20}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ID = re.compile(rf"(?:[A-Za-z0-9]|{_ESCAPED})(?:{_SAFE}|{_ESCAPED})*(?:{_DIGEST})?", re.ASCII)
# "." and ".." lead out of a folder; "~" alone stands for a part of no letters.
_PART = rf"(?:~(?=/|$)|(?!\.{{1,2}}(?:/|$))(?:{_SAFE}|{_ESCAPED})+)"
_PATH = re.compile(rf"(?:{_PART}(?:/{_PART})*(?:/?{_DIGEST})?|{_DIGEST})", re.ASCII)
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)
"""Most paths: none of their parts is escaped or begins with a dot."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
_ESCAPES = re.compile(r"(?:~[0-9A-F]{2})+", re.ASCII)

_NOT_IN_LEVELS: Final = frozenset("/+#\0\N{REPLACEMENT CHARACTER}")

ID_RULE: Final = "an id as the bus gives it, printable and without spaces around it"
NAME_RULE: Final = "a name of 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"


def is_name(text: str) -> bool:
    """Tell whether `text` may be the identity of what people name: a tenant, a site, a broker."""
    return _NAME.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Tell whether `text` may be the identity of an asset: a name, or what `name_of` makes of a text."""
    return len(text) <= NAME_LENGTH and _ID.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Tell whether `text` may be a tag path: names joined by `/`, at most 512 characters."""
    return len(text) <= PATH_LENGTH and _PATH.fullmatch(text) is not None


def is_level(text: str) -> bool:
    """Tell whether `text` may be a level of a topic that is published on, and was text when it came.

    A byte that was no text became a replacement character: what has one could be taken for another.
    """
    return bool(text) and _NOT_IN_LEVELS.isdisjoint(text)


def are_levels(text: str) -> bool:
    """Tell whether `text` may be levels of a topic, joined by `/`; likewise, but for levels of no letters."""
    return not ("+" in text or "#" in text or "\0" in text or "\N{REPLACEMENT CHARACTER}" in text)


def name_of(text: str) -> str:
    """Return the name of any text: itself where it is a plain name, else with what is not safe escaped.

    Args:
        text: A text from a bus; not empty.
    """
    if _NAME.fullmatch(text) is not None:
        return text
    first = text[:1] if text[:1].isascii() and text[:1].isalnum() else _escape(text[:1])
    return _cut(first + _escaped(text[1:]), text, NAME_LENGTH)


def path_of(text: str) -> str:
    """Return the path of any text with `/` between its parts: itself where it is a plain path.

    Args:
        text: The levels of a topic; not empty.
    """
    if len(text) <= PATH_LENGTH and (
        _PLAIN_PATH.fullmatch(text) is not None or ("~" not in text and _PATH.fullmatch(text) is not None)
    ):
        return text
    parts = [_escaped(part) for part in text.split("/")]
    parts = [part.replace(".", "~2E") if part in (".", "..") else part or "~" for part in parts]
    return _cut("/".join(parts), text, PATH_LENGTH)


def text_of(name: str) -> str:
    """Return the text that a name or a path is of; of one that was cut, what is left of it."""
    whole, _, _ = name.partition("~~")
    levels = [
        "" if level == "~" else _ESCAPES.sub(lambda found: _unescape(found[0]), level)
        for level in whole.split("/")
    ]
    return "/".join(levels)


def may_be_written(text: str) -> bool:
    """Tell whether people may write `text` for an identity."""
    return bool(text) and len(text) <= PATH_LENGTH and text.isprintable() and text == text.strip()


def id_of(text: str) -> str:
    """Return the identity that is meant by what people wrote: itself, or the name of what a bus says."""
    return text if is_id(text) else name_of(text)


def written(name: str) -> str:
    """Return how people may write a name: as its bus does, where that means the same."""
    text = text_of(name)
    return text if may_be_written(text) and id_of(text) == name else name


def for_people(text: str, most: int) -> str:
    """Return a text that may stand on a terminal: cut, and with a mark for each character that is none.

    Args:
        text: A text from a bus.
        most: How many characters of it to keep.
    """
    kept = text[:most]
    if kept.isprintable():
        return kept
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in kept)


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    return "".join(f"~{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _unescape(escapes: str) -> str:
    return bytes.fromhex(escapes.replace("~", "")).decode("utf-8", "replace")


def _cut(name: str, text: str, most: int) -> str:
    """Return a name of at most so many characters: one that is longer ends in a digest of its text."""
    if len(name) <= most:
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    tail = "~~" + base64.b32encode(digest).decode("ascii")[:20].lower()
    kept = name[: most - len(tail)]
    return re.sub(r"~[0-9A-F]?$", "", kept) + tail


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name, or an empty string.

    Args:
        name: The name as it was written.
        known: What they could have meant.
    """
    candidates = list(known)
    lowered = {candidate.lower(): candidate for candidate in candidates}
    if name.lower() in lowered:
        return f"did you mean '{lowered[name.lower()]}'?"
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
