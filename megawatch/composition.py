"""Makes the judgements of a site from its file: live, replayed and rehearsed alike."""

from __future__ import annotations

from collections.abc import Sequence

from facility.sitefile.reader import SiteFile
from megawatch.site.timings import timing
from rules.base import Rule
from rules.engine.judging import Judging
from rules.engine.settled import Patience


def make_judging(file: SiteFile, rules: Sequence[Rule]) -> Judging:
    """Return engines that have taken nothing.

    Args:
        file: The site file.
        rules: The rules, with the parameters that it sets.
    """
    rhythm = file.engine
    return Judging(
        file.site,
        {source.name: timing(source) for source in file.sources},
        rules,
        tick_ms=rhythm.tick_ms,
        lateness_ms=rhythm.lateness_ms,
        patience=Patience(
            grace_ms=round(rhythm.settle_after_s * 1_000),
            silent_ms=round(rhythm.wait_for_silent_s * 1_000),
            away_ms=round(rhythm.wait_for_broker_s * 1_000),
        ),
    )
