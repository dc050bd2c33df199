"""Names that may become identities, and the allow-list that decides it.

A name from the wire ends in file names, series and pages. Nothing is escaped: a name is either made
of letters, digits, `.`, `_` and `-` (and `/` between the parts of a path), or it is refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final, NewType

AssetId = NewType("AssetId", str)
"""A rack, a meter, a coolant unit: whatever stands in the power and cooling graph."""

TenantId = NewType("TenantId", str)
"""Who holds assets and signs contracts; `OPERATOR` is the site's own load."""

OPERATOR: Final = TenantId("operator")
"""The tenant without a contract: all racks that nobody else holds."""

NAME_LENGTH: Final = 64
PATH_LENGTH: Final = 512

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+"  # "." and ".." lead out of a folder
_PATH = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)

NAME_RULE: Final = "a name of 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"


def is_name(text: str) -> bool:
    """Tell whether `text` may be the identity of an asset, a tenant or a site."""
    return _NAME.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Tell whether `text` may be a tag path: names joined by `/`, at most 512 characters."""
    return len(text) <= PATH_LENGTH and _PATH.fullmatch(text) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name, or an empty string.

    Args:
        name: What somebody wrote.
        known: What they could have meant.
    """
    candidates = list(known)
    lowered = {candidate.lower(): candidate for candidate in candidates}
    if name.lower() in lowered:
        return f"did you mean '{lowered[name.lower()]}'?"
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
