"""Makes the file of the reference month anew.

    python -m testing.month              writes docs/reference-month.json, and prints what is wrong
    python -m testing.month DAY [DAY]    runs a day of it alone, or those up to another, and prints

The month takes some 20 minutes of a processor.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from testing.month.account import Account, account_of, as_document, moment, opened_at_s, telling
from testing.month.faults import DAY_S, FAULTS
from testing.month.live import Lived, live_through
from testing.month.site import DAYS

FILE: Final = Path(__file__).parents[2] / "docs" / "reference-month.json"


def main(arguments: list[str]) -> int:
    """Run the month or some of its days; print the alarms of each day as it is over, and what is wrong.

    Args:
        arguments: The first and the last day, from 1; none for all, which are then written to the file.
    """
    first, last = (int(arguments[0]), int(arguments[-1])) if arguments else (1, DAYS)
    faults = sorted(FAULTS, key=lambda fault: fault.at_s)
    printed = 0

    def tell(day: int, lived: Lived) -> None:
        nonlocal printed
        for alarm in lived.alarms[printed:]:
            at_s, told = opened_at_s(alarm, lived), telling(alarm, lived)
            sys.stdout.write(
                f"{moment(at_s)} {alarm.rule} {alarm.subject} {alarm.severity.word} {told} "
                f"{alarm.value:.3f} of {alarm.limit:.3f}\n"
            )
        printed = len(lived.alarms)
        sys.stdout.write(f"day {day + 1} is over after {lived.looks:,} looks\n")
        sys.stdout.flush()

    lived = live_through(faults, last * DAY_S, begins_s=(first - 1) * DAY_S, told=tell)
    mine = [fault for fault in faults if lived.begins_s <= fault.at_s < last * DAY_S]
    account = account_of(lived, mine)
    _print(account, lived)
    if not arguments:
        document = as_document(account, lived, mine)
        FILE.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if account.wrong else 0


def _print(account: Account, lived: Lived) -> None:
    for rule, counts in sorted(account.rules.items()):
        sys.stdout.write(f"{rule}: {dict(counts)}\n")
    sys.stdout.write("\n".join(account.wrong or ["every alarm had a cause, and none was missed"]) + "\n")
    sys.stdout.write(f"{lived.messages:,} messages; refused {lived.refused}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
