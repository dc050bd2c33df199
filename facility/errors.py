"""The errors that Megawatch raises.

    MegawatchError
    ├── SiteFileError      the site file has faults; it carries all of them
    ├── StoreError
    │   ├── StoreUnavailable   try again later: disk full, database away
    │   ├── StoreCorrupt       what is on disk is not what was written
    │   ├── StoreForeign       what is on disk is of another version, or of another program
    │   └── ContentRefused     it cannot be kept, now or later
    └── DeliveryError          a notification was not accepted

Bad telemetry is never an exception: it is data, rejected with a reason (`facility.readings.Reason`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class MegawatchError(Exception):
    """Base of all errors that Megawatch raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a site file.

    Attributes:
        path: Where, as one would write it: `tenant[0].contract[1].committed_mw`.
        expected: What may stand there.
        found: What stands there; "nothing" where it is missing.
        hint: The nearest known name or the way out, empty where there is none.
    """

    path: str
    expected: str
    found: str
    hint: str = ""

    def __str__(self) -> str:
        """Return the fault as one sentence."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.path}: expected {self.expected}, found {self.found}{hint}"


class SiteFileError(MegawatchError):
    """The site file cannot be used.

    Attributes:
        faults: Every fault that was found, in the order of the file.
    """

    def __init__(self, source: str, faults: tuple[Fault, ...]) -> None:
        self.source = source
        self.faults = faults
        lines = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__(f"{source}: {count}\n{lines}")


class StoreError(MegawatchError):
    """A store did not do what was asked.

    Attributes:
        says: What that means, in the words between the store and the cause.
        store: Which store, by its path or address.
        cause: What it said.
    """

    says: ClassVar[str]

    def __init__(self, store: str, cause: str) -> None:
        self.store = store
        self.cause = cause
        super().__init__(f"{store} {self.says}: {cause}")


class StoreUnavailable(StoreError):  # noqa: N818 - named for the situation of the caller
    """The store cannot take it now and may later: nothing was stored."""

    says = "cannot store now"


class StoreCorrupt(StoreError):  # noqa: N818 - named for the situation of the caller
    """What is on disk is not what was written."""

    says = "is damaged"


class StoreForeign(StoreError):  # noqa: N818 - named for the situation of the caller
    """What is on disk was not written by this version of the program, or not by this program."""

    says = "cannot be used"


class ContentRefused(StoreError):  # noqa: N818 - named for the situation of the caller
    """The store cannot keep this content, now or later: nothing of what came with it was stored."""

    says = "cannot keep this"


class Outlook(Enum):
    """What becomes of a notification that was not accepted."""

    PASSES = "passes"
    """The network, or a receiver that is busy: it is tried again soon."""
    NEEDS_SOMEBODY = "needs somebody"
    """An address, a password, a certificate: it is tried again slowly, and somebody is told."""
    REFUSED = "refused"
    """The receiver takes pages, and not this one."""


class DeliveryError(MegawatchError):
    """A receiver did not accept a notification.

    Attributes:
        cause: What the receiver or the network said.
        outlook: What becomes of the notification.
        retry_after_s: The pause that the receiver asked for [s], None if it did not.
    """

    def __init__(self, cause: str, outlook: Outlook, *, retry_after_s: float | None = None) -> None:
        self.cause = cause
        self.outlook = outlook
        self.retry_after_s = retry_after_s
        super().__init__(cause)
