"""Used wrongly: what the command line itself can not see, such as an address that is none."""

from __future__ import annotations

from facility.errors import MegawatchError


class WrongUsage(MegawatchError):  # noqa: N818 - says what happened
    """An argument or an option can not mean anything."""
