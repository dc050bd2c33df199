"""What may stand in a field of the site file: each kind of value, and one sentence that says what it may be.

A value that is refused is told with that sentence (`facility.sitefile.tablereader`), so none here speaks of
types.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from facility.hours import EXPECTED, Hours
from facility.instants import DAY_MS, MINUTE_MS, SECOND_MS
from facility.names import ID_RULE, NAME_RULE, PATH_LENGTH, id_of, is_level, is_name, may_be_written

KW: Final = 1_000_000
"""Milliwatts in a kilowatt."""
MW: Final = 1_000_000_000
"""Milliwatts in a megawatt."""
MOST_MILLIWATTS: Final = 100_000 * MW
"""100 GW: more than any site, and small enough that a day of it fits 64 bits as mW·ms."""

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9_998
"""Our choice: the calendar of Python ends with 9999, and the day after a date must still be in it."""

_SMALLEST_COIN: Final = Decimal("0.0001")
"""No currency of ISO 4217 has more than four decimals."""
_LARGEST_FEE: Final = 10**15
"""Our choice: above any fee of any currency."""

_MAIL_ADDRESS: Final = re.compile(
    r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII
)

FORM: Final = "form"
"""The kind of error that says what form a text must have."""


def _refuse(expected: str, kind: str = "value") -> PydanticCustomError:
    return PydanticCustomError(kind, expected)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _refuse("a number")
    try:
        return float(value)
    except OverflowError:
        raise _refuse("a finite number") from None


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _refuse("a number")
    return value if isinstance(value, Decimal) else Decimal(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse("a whole number")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse("true or false")
    return value


def _when(value: object) -> date:
    if not isinstance(value, date) or not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise _refuse(f"a date or a time of the years {FIRST_YEAR} to {LAST_YEAR}")
    return value


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _refuse("a table of texts")
    return value


def _one_or_many(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        raise _refuse("a text or a list of texts")
    return [value]


def _milliwatts_of(unit: int) -> Callable[[Decimal], Decimal]:
    least = Decimal(1) / unit

    def validate(power: Decimal) -> Decimal:
        if power > Decimal(MOST_MILLIWATTS) / unit or power != power.quantize(least):
            raise _refuse("a whole number of milliwatts, at most 100 GW")
        return power

    return validate


def _fee(fee: Decimal) -> Decimal:
    if fee > _LARGEST_FEE or fee != fee.quantize(_SMALLEST_COIN):
        raise _refuse(f"a sum of at most four decimals, up to {_LARGEST_FEE:,}")
    return fee


def _divides_a_day(minutes: Decimal) -> Decimal:
    if not 0 < minutes <= DAY_MS // MINUTE_MS or not _is_whole_seconds(minutes):
        raise _refuse("a block that divides a day")
    if DAY_MS % int(minutes * MINUTE_MS):
        raise _refuse("a block that divides a day")
    return minutes


def _whole_seconds(minutes: Decimal) -> Decimal:
    if not 0 < minutes <= DAY_MS // MINUTE_MS or not _is_whole_seconds(minutes):
        raise _refuse("a length in whole seconds, at most a day")
    return minutes


def _is_whole_seconds(minutes: Decimal) -> bool:
    milliseconds = minutes * MINUTE_MS
    return milliseconds >= SECOND_MS and milliseconds % SECOND_MS == 0


def _divides_a_second(tick_ms: int) -> int:
    if SECOND_MS % tick_ms:
        raise _refuse("a divisor of 1,000")
    return tick_ms


def _name(text: str) -> str:
    if not is_name(text):
        raise _refuse(NAME_RULE, FORM)
    return text


def _currency(text: str) -> str:
    if not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):  # noqa: PLR2004 - ISO 4217
        raise _refuse("three capital letters", FORM)
    return text


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _zone(text: str) -> str:
    if text not in _zones():
        raise PydanticCustomError(FORM, "an IANA zone such as America/Chicago", {"known": list(_zones())})
    return text


def _topic(text: str) -> str:
    levels = text.split("/")
    if not text:
        raise _refuse("a topic filter that is not empty", FORM)
    if len(text) > PATH_LENGTH:
        raise _refuse(f"a topic filter of at most {PATH_LENGTH} characters", FORM)
    if "\0" in text:
        raise _refuse("a topic filter without the null character", FORM)
    if text.startswith("$share/"):
        raise _refuse("a topic filter that is not shared", FORM)
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        raise _refuse("a topic filter with '#' as its last level only", FORM)
    if any("+" in level and level != "+" for level in levels):
        raise _refuse("a topic filter with '+' as a whole level only", FORM)
    return text


def _level(text: str) -> str:
    if not is_level(text):
        raise _refuse("one level of a topic, without '/', '+' and '#'", FORM)
    return text


def _id(text: str) -> str:
    if not may_be_written(text):
        raise _refuse(ID_RULE, FORM)
    return id_of(text)


def _mail_address(text: str) -> str:
    if not _MAIL_ADDRESS.fullmatch(text):
        raise _refuse("an address such as desk@example.com", FORM)
    return text


def _address(*schemes: str) -> AfterValidator:
    expected = " or ".join(f"{scheme}://host:port" for scheme in schemes)

    def validate(text: str) -> str:
        try:
            parts = urlsplit(text)
            usable = parts.scheme in schemes and parts.hostname and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            raise _refuse(expected, FORM)
        return text

    return AfterValidator(validate)


def _hours(text: str) -> str:
    try:
        Hours.read(text)
    except ValueError:
        raise _refuse(EXPECTED, FORM) from None
    return text


_EXACT = BeforeValidator(_decimal)
_FINITE = Field(allow_inf_nan=False)

Name = Annotated[str, AfterValidator(_name)]
Currency = Annotated[str, AfterValidator(_currency)]
Zone = Annotated[str, AfterValidator(_zone)]
Id = Annotated[str, AfterValidator(_id)]
Level = Annotated[str, AfterValidator(_level)]
Topic = Annotated[str, AfterValidator(_topic)]
BrokerAddress = Annotated[str, _address("mqtt", "mqtts")]
WeekHours = Annotated[str, AfterValidator(_hours)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
HttpAddress = Annotated[str, _address("http", "https")]

Truth = Annotated[bool, BeforeValidator(_truth)]
Whole = Annotated[int, BeforeValidator(_whole)]
WHOLE: Final = BeforeValidator(_whole)
"""For a choice of numbers: keeps `true` from counting as 1."""
Tick = Annotated[Whole, Field(ge=50, le=1_000), AfterValidator(_divides_a_second)]

Number = Annotated[float, BeforeValidator(_number), _FINITE]
Percent = Annotated[Number, Field(ge=0, le=100)]
ClassError = Annotated[Number, Field(ge=0, le=50)]
Seconds = Annotated[Number, Field(gt=0, le=86_400)]

Kilowatts = Annotated[Decimal, _EXACT, _FINITE, Field(ge=0), AfterValidator(_milliwatts_of(KW))]
Megawatts = Annotated[Decimal, _EXACT, _FINITE, Field(ge=0), AfterValidator(_milliwatts_of(MW))]
Fee = Annotated[Decimal, _EXACT, _FINITE, Field(ge=0), AfterValidator(_fee)]
BlockMinutes = Annotated[Decimal, _EXACT, _FINITE, Field(gt=0), AfterValidator(_divides_a_day)]
Minutes = Annotated[Decimal, _EXACT, _FINITE, Field(gt=0), AfterValidator(_whole_seconds)]

When = Annotated[datetime | date, BeforeValidator(_when)]
_TEXT: Final = {"type": "string"}
Texts = Annotated[dict[str, str], BeforeValidator(_texts)]
Racks = Annotated[
    list[str],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}),
]
