"""What of stored readings may be kept: nothing impossible, and what a rating does not allow only as a doubt.

Decoders ask the same of each reading while they build their rows (`collector.row_builder`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from collector.row_builder import MOST_REFUSALS, Ranges
from facility.readings import Batch, Quality, Reason, Rejection
from facility.site import Site
from store.journal.entries import Known
from store.journal.intake import Intake


class Plausibility:
    """Judges whole batches by what each point may say.

    Args:
        site: The site, for what its racks are rated.
        known: Points of the journal, each with its asset.
    """

    def __init__(self, site: Site, known: Iterable[Known]) -> None:
        self._site = site
        self._ranges = Ranges()
        self._learn(known)

    def judge(self, intake: Intake) -> None:
        """Refuse what is impossible, and mark what the rating does not allow.

        Args:
            intake: What was read. Its impossible readings become doubts, and dead letters, the first
                `MOST_REFUSALS` of them.
        """
        self._learn(intake.known)
        batch, ranges = intake.batch, self._ranges
        is_possible = ranges.possible(batch.point, batch.value)
        is_credible = ranges.credible(batch.point, batch.value)
        quality = np.where(is_credible, batch.quality, Quality.IMPLAUSIBLE)
        quality[~is_possible] = Quality.REFUSED
        value = np.where(is_possible, batch.value, np.nan)
        wrong = np.flatnonzero(~is_possible)
        intake.rejections += [
            _refusal(ranges, batch, row, intake.received_ms) for row in wrong[:MOST_REFUSALS].tolist()
        ]
        intake.batch = Batch.of(
            [batch.point, batch.source_ms, batch.received_ms, value, quality, batch.flags]
        )

    def _learn(self, known: Iterable[Known]) -> None:
        for one in known:
            rating = self._site.rack(one.point.asset).rating_milliwatts
            self._ranges.set(one.id, one.point, None if rating is None else rating / 1e6)


def _refusal(ranges: Ranges, batch: Batch, row: int, received_ms: int) -> Rejection:
    number, value = int(batch.point[row]), float(batch.value[row])
    return Rejection(
        topic=f"point {number}",
        payload=repr(value).encode(),
        length=len(repr(value)),
        reason=Reason.OUT_OF_RANGE,
        detail=f"expected {ranges.describe(number)}, found {value:g}",
        received_ms=received_ms,
    )
