"""The columns of what is known of points: one place for each point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np

from facility.readings import BoolArray, ByteArray, FloatArray, IntArray, Quality
from rules.columns import Columns
from rules.draw.summation_plan import Index
from rules.telemetry.liveness import NEVER

FIRST_PLACES: Final = 64


class PointState(Columns):
    """What is known of every point; arrays of shape (places,), a place for each point.

    Attributes:
        power: The last power that was to be trusted [mW].
        value: The last value [canonical unit].
        stamped_ms: When its source says that was measured [ms], or when it arrived where that was before.
        measured_ms: When it was measured [ms], by its source's clock as far as that is known.
        heard_ms: When something of the point last arrived [ms].
        trusted_ms: When it was last heard with a value to be trusted [ms].
        quality: `Quality` of what was last heard.
        doubted_ms: When a value of it was last refused [ms].
        conflict_ms: When it last said two values of one time [ms].
        beyond_rating: Whether more than is credible was measured since the last value to be trusted.
        at_most_once: Whether what was last heard came at most once.
        is_retained: Whether it was what the broker retains for anybody.
        heard_since_break: Whether the point was heard since its stream was last broken.
        gap_until_ms: Up to when its stream may lack something [ms]; what was measured by then says no more.
        stream: Place of the stream that it comes by.
        clock: Whose clock stamps it.
        is_power: Whether it is a power.
        is_watched: Whether a draw may be summed of it.
        is_judged: Whether a draw may be summed of it, or a rule judges it.
        is_periodic: Whether its source publishes every period, changed or not.
        is_heartbeat: Whether it is a heartbeat.
        fresh_ms: How long it counts as heard [ms].
        certain_ms: How long its value stands for the power now, at most [ms].
        period_ms: How often its source publishes, for a periodic one [ms].
        gap_ms: The longest gap of this season that was no loss [ms].
        gap_before_ms: The same of the season before [ms].
    """

    power: IntArray
    value: FloatArray
    stamped_ms: IntArray
    measured_ms: IntArray
    heard_ms: IntArray
    trusted_ms: IntArray
    quality: ByteArray
    doubted_ms: IntArray
    conflict_ms: IntArray
    beyond_rating: BoolArray
    at_most_once: BoolArray
    is_retained: BoolArray
    heard_since_break: BoolArray
    gap_until_ms: IntArray
    stream: Index
    clock: Index
    is_power: BoolArray
    is_watched: BoolArray
    is_judged: BoolArray
    is_periodic: BoolArray
    is_heartbeat: BoolArray
    fresh_ms: IntArray
    certain_ms: IntArray
    period_ms: IntArray
    gap_ms: IntArray
    gap_before_ms: IntArray

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]] = {
        "power": (np.int64, 0),
        "value": (np.float64, np.nan),
        "stamped_ms": (np.int64, NEVER),
        "measured_ms": (np.int64, NEVER),
        "heard_ms": (np.int64, NEVER),
        "trusted_ms": (np.int64, NEVER),
        "quality": (np.uint8, Quality.NO_VALUE),
        "doubted_ms": (np.int64, NEVER),
        "conflict_ms": (np.int64, NEVER),
        "beyond_rating": (np.bool_, False),
        "at_most_once": (np.bool_, False),
        "is_retained": (np.bool_, False),
        "heard_since_break": (np.bool_, False),
        "gap_until_ms": (np.int64, NEVER),
        "stream": (np.intp, 0),
        "clock": (np.intp, -1),
        "is_power": (np.bool_, False),
        "is_watched": (np.bool_, False),
        "is_judged": (np.bool_, False),
        "is_periodic": (np.bool_, False),
        "is_heartbeat": (np.bool_, False),
        "fresh_ms": (np.int64, 0),
        "certain_ms": (np.int64, 0),
        "period_ms": (np.int64, 0),
        "gap_ms": (np.int64, 0),
        "gap_before_ms": (np.int64, 0),
    }


class Terms(Columns):
    """Until when what is known of each judged point holds, if nothing more of it is heard.

    Attributes:
        fresh_until_ms: Up to when the point counts as heard, while its publisher lives [ms].
        certain_until_ms: Before when its value is the value now, while its stream is sure [ms].
        channel: Twice its stream, and one more where it is periodic: two kinds of silence.
        lasts_ms: How long a value stands for the power now, by the habit of a periodic source [ms].
        is_stale: Whether something changed that the first two depend on, so that they must be reckoned anew.
        is_habit_stale: The same of how long its value stands.
    """

    fresh_until_ms: IntArray
    certain_until_ms: IntArray
    channel: Index
    lasts_ms: IntArray
    is_stale: BoolArray
    is_habit_stale: BoolArray

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]] = {
        "fresh_until_ms": (np.int64, NEVER),
        "certain_until_ms": (np.int64, NEVER),
        "channel": (np.intp, 0),
        "lasts_ms": (np.int64, 0),
        "is_stale": (np.bool_, True),
        "is_habit_stale": (np.bool_, True),
    }
