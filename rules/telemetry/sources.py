"""Several points that say the same power of one asset, by several sources, become one.

While they agree within their class errors the newest reading stands, and any of them may fall silent. Where
they contradict each other, the power is the hull of what they say, until two of them are seen to agree again.
What one publisher said last of a power, under whatever point, is its news: if that is not to be trusted, what
it said before is not the power now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from facility.points import Point
from facility.readings import BoolArray, IntArray
from rules.draw.draw import Compared, Known
from rules.draw.metering_boundary import Twins
from rules.draw.summation_plan import OPEN, Index, in_a_row
from rules.fixed_point import at_least, at_most
from rules.telemetry.trust import PATIENCE_MS, Memory

_SILENT: Final = -OPEN


class Sources:
    """Points that measure one power by several sources.

    Args:
        twins: These points, each set of them with one power.
        points: Every known point, by its number.

    Attributes:
        keys: What each set is called.
        names: What each point of each set is called.
        points: The points, one set after the other, shape (members,).
        starts: Where each set begins among them, shape (sets,).
    """

    def __init__(self, twins: tuple[Twins, ...], points: Mapping[int, Point]) -> None:
        self.keys = tuple(f"{one.asset} feed {one.feed}" if one.feed else str(one.asset) for one in twins)
        self.names = tuple(tuple(_called(points[number]) for number in one.points) for one in twins)
        self.points, self.starts = in_a_row([one.points for one in twins])
        sizes = np.array([len(one.points) for one in twins], np.intp)
        self._row: Index = np.repeat(np.arange(len(twins)), sizes)
        self._errors = np.repeat(np.array([one.error_ppm for one in twins], np.int64), sizes)
        self._is_one_publisher = np.array(
            [len({points[number].stream for number in one.points}) == 1 for one in twins], np.bool_
        )

    def merge(self, known: Known, memory: Memory, at_ms: int) -> tuple[Known, Compared | None]:
        """Return what is known with the first point of each set standing for all of it.

        Args:
            known: What is known of every point.
            memory: What is remembered of the ticks before; what this one shows is added.
            at_ms: The moment [ms].

        Returns:
            What is known, and how the sets compare: their lowest reading beside their highest.
        """
        memory.align_twins(self.keys)
        if not self.keys:
            return known, None
        points, starts = self.points, self.starts
        certain, fresh, value = known.is_certain[points], known.is_fresh[points], known.power[points]
        as_of_ms, lasts_ms = known.times()
        read_ms = as_of_ms[points]
        least = np.where(certain, value, OPEN)
        most = np.where(certain, value, -OPEN)
        compared = Compared(
            least=np.maximum.reduceat(np.where(certain, at_least(value, self._errors), -OPEN), starts),
            most=np.maximum.reduceat(most, starts),
            tells=np.add.reduceat(certain, starts, dtype=np.int64) > 1,
            low=np.minimum.reduceat(least, starts),
            high=np.minimum.reduceat(np.where(certain, at_most(value, self._errors), OPEN), starts),
            is_whole=np.logical_and.reduceat(certain, starts),
        )
        differs, agrees = compared.tells & ~compared.meets, compared.tells & compared.meets
        oldest_ms = np.minimum.reduceat(np.where(certain, read_ms, at_ms), starts)
        agrees |= self._is_given_up(certain, known.arrives()[points])
        memory.twins.judge(differs, agrees, lambda: oldest_ms, at_ms)
        newest_ms = np.maximum.reduceat(np.where(certain, read_ms, _SILENT), starts)
        in_doubt = memory.twins.is_denied | (differs & (newest_ms == oldest_ms))
        chosen = self._newest(certain, fresh, known.measured_ms[points])
        is_outdated = self._is_outdated(chosen, *known.news())
        is_hull = in_doubt & compared.tells & ~is_outdated
        in_doubt |= is_outdated
        return self._merged(known, chosen, in_doubt, is_hull, compared, (as_of_ms, lasts_ms)), compared

    def _is_given_up(self, certain: BoolArray, arrives: BoolArray) -> BoolArray:
        """Tell the sets where one publisher goes on with one point and repeats the others no longer.

        One whose values are refused or doubted is repeated all the same.
        """
        alone = np.add.reduceat(arrives, self.starts, dtype=np.int64) == 1
        is_given_up: BoolArray = self._is_one_publisher & alone & np.logical_or.reduceat(certain, self.starts)
        return is_given_up

    def _is_outdated(self, chosen: Index, heard_ms: IntArray, is_good: BoolArray) -> BoolArray:
        """Tell the sets whose publisher has said something since their value that cannot be trusted.

        Whatever it was, it was news of the same power: the rack may go on under another path.
        """
        unread_ms = np.where(is_good, _SILENT, heard_ms)[self.points]
        last_ms = np.maximum.reduceat(unread_ms, self.starts)
        outdated: BoolArray = self._is_one_publisher & (last_ms > heard_ms[self.points[chosen]] + PATIENCE_MS)
        return outdated

    def _newest(self, certain: BoolArray, fresh: BoolArray, measured_ms: IntArray) -> Index:
        """Return the certain point of each set measured last; else one that is heard, else the first."""
        rank = np.where(certain, measured_ms, np.where(fresh, _SILENT + 1, _SILENT))
        is_newest = rank == np.maximum.reduceat(rank, self.starts)[self._row]
        places = np.where(is_newest, np.arange(len(rank)), len(rank))
        newest: Index = np.minimum.reduceat(places, self.starts)
        return newest

    def _merged(
        self,
        known: Known,
        chosen: Index,
        in_doubt: BoolArray,
        is_hull: BoolArray,
        compared: Compared,
        times: tuple[IntArray, IntArray],
    ) -> Known:
        first, source = self.points[self.starts], self.points[chosen]

        def put(column: IntArray, values: IntArray) -> IntArray:
            merged = column.copy()
            merged[first] = values
            return merged

        power = put(known.power, known.power[source])
        certain, fresh, beyond = known.is_certain.copy(), known.is_fresh.copy(), known.beyond_rating.copy()
        certain[first] = known.is_certain[source] & (~in_doubt | is_hull)
        fresh[first] = np.logical_or.reduceat(known.is_fresh[self.points], self.starts)
        beyond[first] = np.logical_or.reduceat(known.beyond_rating[self.points], self.starts)
        least = most = power
        if is_hull.any():
            least = put(power, np.where(is_hull, compared.low, power[first]))
            most = put(power, np.where(is_hull, compared.most, power[first]))
        return replace(
            known,
            power=power,
            is_certain=certain,
            is_fresh=fresh,
            beyond_rating=beyond,
            times=lambda: (put(times[0], times[0][source]), put(times[1], times[1][source])),
            least=least,
            most=most,
        )


def _called(point: Point) -> str:
    """Return what one of several points of a power is called."""
    return f"{point.point_type or 'power'} of {point.stream}"
