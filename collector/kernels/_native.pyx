# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops over messages, compiled. `collector.kernels.portable` says what each takes and gives."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.math cimport NAN, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* text, char** stop, PyObject* overflow)

# `Flag` bits, as `facility.readings` has them; a test compares.
cdef enum:
    RETAINED = 1
    REDELIVERED = 2
    AT_MOST_ONCE = 4
    PUBLISH = 0x30
    MOST_VALUE_BYTES = 65536
    MOST_DIGITS = 18
    MOST_WRITTEN = 400
    MOST_POWER = 22
    VALUE = 1
    TIMESTAMP = 2
    QUALITY = 4

# Bounds of documents and kinds of slots, as `collector.kernels.portable` has them; a test compares.
cdef enum:
    MOST_DOCUMENT_BYTES = 131072
    NUMBER = 0
    STATE = 1
    TIME = 2
    SEQUENCE = 3

cdef int64_t EARLIEST_MS = 946684800000

cdef int64_t EXACT = 1LL << 53

# Powers of ten that a double holds exactly: with a whole number below 2**53 one multiplication or division
# rounds once, and so correctly (Clinger 1990, "How to read floating point numbers accurately").
cdef double[23] POWERS
cdef int _i
POWERS[0] = 1.0
for _i in range(1, 23):
    POWERS[_i] = POWERS[_i - 1] * 10.0


def frame(
    const uint8_t[::1] data,
    Py_ssize_t at,
    Py_ssize_t end,
    bint has_properties,
    int32_t[:, ::1] spans,
    uint8_t[::1] flags,
    int64_t[::1] numbers,
):
    cdef Py_ssize_t count = 0, most = numbers.shape[0], body, last, topic_end, payload_at, i
    cdef Py_ssize_t length, fixed
    cdef int first, quality, flag, number
    cdef bint is_whole
    while count < most and at < end and data[at] & 0xF0 == PUBLISH:
        first = data[at]
        quality = (first >> 1) & 3
        if quality > 1 or (first & 8 and not quality):
            break
        length, is_whole, body = 0, False, 0
        for i in range(4):
            if at + 1 + i >= end:
                break
            length |= <Py_ssize_t>(data[at + 1 + i] & 127) << (7 * i)
            if data[at + 1 + i] < 128:
                is_whole, body = True, at + 2 + i
                break
        last = body + length
        fixed = 2 + 2 * quality + has_properties
        if not is_whole or last > end or length < fixed:
            break
        topic_end = body + 2 + (data[body] << 8 | data[body + 1])
        payload_at = topic_end + 2 * quality + has_properties
        if topic_end == body + 2 or payload_at > last:
            break
        number = 0
        if quality:
            number = data[topic_end] << 8 | data[topic_end + 1]
            if not number:
                break
        if has_properties and data[payload_at - 1]:
            break
        spans[count, 0] = <int32_t>(body + 2)
        spans[count, 1] = <int32_t>topic_end
        spans[count, 2] = <int32_t>payload_at
        spans[count, 3] = <int32_t>last
        flag = 0 if quality else AT_MOST_ONCE
        if first & 1:
            flag |= RETAINED
        if first & 8:
            flag |= REDELIVERED
        flags[count] = <uint8_t>flag
        numbers[count] = number
        count += 1
        at = last
    return count, at


cdef inline const uint8_t* _skip(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Skip the white space of JSON."""
    while at < end and (at[0] == 32 or at[0] == 10 or at[0] == 13 or at[0] == 9):
        at += 1
    return at


cdef inline const uint8_t* _whole(const uint8_t* at, const uint8_t* end, int64_t* found) noexcept nogil:
    """Read a whole number that is not negative; NULL where that is not plainly there."""
    cdef const uint8_t* begin = at
    cdef int64_t number = 0
    while at < end and 48 <= at[0] <= 57 and at - begin <= MOST_DIGITS:
        number = number * 10 + (at[0] - 48)
        at += 1
    if at == begin or at - begin > MOST_DIGITS or (begin[0] == 48 and at - begin > 1):
        return NULL
    found[0] = number
    return at


cdef const uint8_t* _rounded(const uint8_t* begin, const uint8_t* end, double* found) noexcept:
    """Read a number with a fraction or an exponent, however long; NULL where that is not plainly there."""
    cdef const uint8_t* at = begin + (begin[0] == 45)
    cdef const uint8_t* digits = at
    cdef bint is_whole = True
    cdef char* stop = NULL
    while at < end and 48 <= at[0] <= 57:
        at += 1
    if at == digits or (digits[0] == 48 and at - digits > 1):
        return NULL
    if at < end and at[0] == 46:
        is_whole = False
        at += 1
        digits = at
        while at < end and 48 <= at[0] <= 57:
            at += 1
        if at == digits:
            return NULL
    if at < end and (at[0] == 101 or at[0] == 69):
        is_whole = False
        at += 1
        if at < end and (at[0] == 45 or at[0] == 43):
            at += 1
        digits = at
        while at < end and 48 <= at[0] <= 57:
            at += 1
        if at == digits:
            return NULL
    if is_whole or at - begin > MOST_WRITTEN:
        return NULL
    found[0] = PyOS_string_to_double(<const char*>begin, &stop, NULL)
    return at if <const uint8_t*>stop == at and isfinite(found[0]) else NULL


cdef inline const uint8_t* _number(const uint8_t* at, const uint8_t* end, double* found) noexcept:
    """Read a number, rounded once; NULL for whole numbers that a double does not hold and whatever is none."""
    cdef const uint8_t* begin
    cdef const uint8_t* first = at
    cdef int64_t digits = 0
    cdef int power = 0, written = 0
    cdef bint is_negative = False, is_below = False
    if at < end and at[0] == 45:
        is_negative = True
        at += 1
    begin = at
    while at < end and 48 <= at[0] <= 57 and at - begin <= MOST_DIGITS:
        digits = digits * 10 + (at[0] - 48)
        at += 1
    if at == begin or (begin[0] == 48 and at - begin > 1):
        return NULL
    if at - begin > MOST_DIGITS:
        return _rounded(first, end, found)
    if at < end and at[0] == 46:
        at += 1
        begin = at
        while at < end and 48 <= at[0] <= 57:
            if digits >= EXACT // 10:
                return _rounded(first, end, found)
            digits = digits * 10 + (at[0] - 48)
            power -= 1
            at += 1
        if at == begin:
            return NULL
    if at < end and (at[0] == 101 or at[0] == 69):
        at += 1
        if at < end and (at[0] == 45 or at[0] == 43):
            is_below = at[0] == 45
            at += 1
        begin = at
        while at < end and 48 <= at[0] <= 57 and at - begin < 3:
            written = written * 10 + (at[0] - 48)
            at += 1
        if at == begin:
            return NULL
        if at < end and 48 <= at[0] <= 57:
            return _rounded(first, end, found)
        power = power - written if is_below else power + written
    if digits >= EXACT or power < -MOST_POWER or power > MOST_POWER or (is_negative and not digits):
        return _rounded(first, end, found)
    found[0] = <double>digits
    if power < 0:
        found[0] /= POWERS[-power]
    elif power > 0:
        found[0] *= POWERS[power]
    if is_negative:
        found[0] = -found[0]
    return at


cdef inline const uint8_t* _quality(const uint8_t* at, const uint8_t* end, bint* is_good) noexcept nogil:
    """Read a whole number, or a plain text; NULL where neither is plainly there."""
    cdef int64_t number = 0
    cdef const uint8_t* begin
    if at < end and at[0] == 34:
        begin = at + 1
        at = begin
        while at < end and at[0] != 34:
            if at[0] < 32 or at[0] > 126 or at[0] == 92:
                return NULL
            at += 1
        if at >= end:
            return NULL
        is_good[0] = at - begin == 1 and begin[0] == 49
        return at + 1
    at = _whole(at, end, &number)
    is_good[0] = number == 1
    return at


cdef inline bint _value(
    const uint8_t* at, const uint8_t* end, double* value, int64_t* time, bint* is_good
) noexcept:
    """Read a payload; tell whether it plainly was a value."""
    cdef int seen = 0
    at = _skip(at, end)
    if at >= end or at[0] != 123:
        return False
    at += 1
    while True:
        at = _skip(at, end)
        if end - at > 8 and memcmp(at, b'"value"', 7) == 0 and not seen & VALUE:
            at = _skip(at + 7, end)
            if at >= end or at[0] != 58:
                return False
            at = _skip(at + 1, end)
            if end - at > 4 and memcmp(at, b"null", 4) == 0:
                value[0] = NAN
                at += 4
            else:
                at = _number(at, end, value)
            seen |= VALUE
        elif end - at > 12 and memcmp(at, b'"timestamp"', 11) == 0 and not seen & TIMESTAMP:
            at = _skip(at + 11, end)
            if at >= end or at[0] != 58:
                return False
            at = _whole(_skip(at + 1, end), end, time)
            seen |= TIMESTAMP
        elif end - at > 10 and memcmp(at, b'"quality"', 9) == 0 and not seen & QUALITY:
            at = _skip(at + 9, end)
            if at >= end or at[0] != 58:
                return False
            at = _quality(_skip(at + 1, end), end, is_good)
            seen |= QUALITY
        else:
            return False
        if at == NULL:
            return False
        at = _skip(at, end)
        if at >= end:
            return False
        if at[0] == 125:
            break
        if at[0] != 44:
            return False
        at += 1
    return seen == VALUE + TIMESTAMP + QUALITY and _skip(at + 1, end) == end


cdef inline PyObject* _of_topic(dict found, const uint8_t* start, const int32_t[:, ::1] spans, Py_ssize_t row):
    """Return what stands under the topic of a message; NULL for nothing."""
    return PyDict_GetItem(
        found, PyBytes_FromStringAndSize(<const char*>start + spans[row, 0], spans[row, 1] - spans[row, 0])
    )


def read_values(
    const uint8_t[::1] data,
    const int32_t[:, ::1] spans,
    Py_ssize_t first,
    dict routes,
    int32_t[::1] points,
    int64_t[::1] times,
    double[::1] values,
    uint8_t[::1] good,
):
    cdef Py_ssize_t count = 0, row, rows = spans.shape[0]
    cdef const uint8_t* start = &data[0] if data.shape[0] else NULL
    cdef PyObject* route
    cdef bint is_good = False
    for row in range(first, rows):
        route = _of_topic(routes, start, spans, row)
        if route == NULL or not PyLong_CheckExact(<object>route):
            break
        if spans[row, 3] - spans[row, 2] > MOST_VALUE_BYTES:
            break
        if not _value(start + spans[row, 2], start + spans[row, 3], &values[count], &times[count], &is_good):
            break
        points[count] = <int32_t>(<object>route)
        good[count] = is_good
        count += 1
    return count


# Documents ----------------------------------------------------------------------------


cdef int[13] DAYS_BEFORE
DAYS_BEFORE[:] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]


cdef inline int _digits(const uint8_t* at, int count) noexcept nogil:
    """Read so many digits; something negative where one is none."""
    cdef int i, number = 0
    for i in range(count):
        if not 48 <= at[i] <= 57:
            return -(1 << 20)
        number = number * 10 + (at[i] - 48)
    return number


cdef inline int64_t _days(int year, int month, int day) noexcept nogil:
    """Return the days since 1970 of a date from 1970 on; -1 where there is no such day."""
    cdef bint is_leap
    cdef int before, length
    if year < 1970 or not 1 <= month <= 12 or day < 1:
        return -1
    is_leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    length = 31 if month == 12 else DAYS_BEFORE[month + 1] - DAYS_BEFORE[month] + (is_leap and month == 2)
    if day > length:
        return -1
    before = year - 1
    return (
        (year - 1970) * 365 + (before // 4 - before // 100 + before // 400) - 477
        + DAYS_BEFORE[month] + (is_leap and month > 2) + day - 1
    )


cdef inline const uint8_t* _instant(const uint8_t* at, const uint8_t* end, int64_t* found) noexcept nogil:
    """Read milliseconds, or ISO 8601 with Z or an offset; NULL where neither is plainly there."""
    cdef int64_t days, fraction = 0
    cdef int hour, minute, second, sign, scale = 100
    cdef const uint8_t* begin
    if at >= end:
        return NULL
    if at[0] != 34:
        at = _whole(at, end, found)
        return at if at != NULL and found[0] >= EARLIEST_MS else NULL
    if end - at < 22 or at[5] != 45 or at[8] != 45 or at[14] != 58 or at[17] != 58:
        return NULL
    if at[11] != 84 and at[11] != 32:
        return NULL
    days = _days(_digits(at + 1, 4), _digits(at + 6, 2), _digits(at + 9, 2))
    hour, minute, second = _digits(at + 12, 2), _digits(at + 15, 2), _digits(at + 18, 2)
    if days < 0 or not 0 <= hour < 24 or not 0 <= minute < 60 or not 0 <= second < 60:
        return NULL
    found[0] = days * 86400000 + ((hour * 60 + minute) * 60 + second) * 1000
    at += 20
    if at[0] == 46:
        at += 1
        begin = at
        while at < end and 48 <= at[0] <= 57:
            fraction += (at[0] - 48) * scale
            scale //= 10
            at += 1
        if not 1 <= at - begin <= 9:
            return NULL
        found[0] += fraction
    if end - at >= 2 and at[0] == 90:
        at += 1
    elif end - at >= 7 and (at[0] == 43 or at[0] == 45):
        sign = 1 if at[0] == 43 else -1
        hour = _digits(at + 1, 2)
        at += 4 if at[3] == 58 else 3
        minute = _digits(at, 2)
        if not 0 <= hour < 24 or not 0 <= minute < 60:
            return NULL
        found[0] -= sign * (hour * 60 + minute) * 60000
        at += 2
    else:
        return NULL
    if at[0] != 34 or found[0] < EARLIEST_MS:
        return NULL
    return at + 1


cdef inline const uint8_t* _scalar(
    const uint8_t* at, const uint8_t* end, bint is_state, double* value
) noexcept:
    """Read what a key may have as its value; NULL where that is not plainly there."""
    if at < end and (at[0] == 45 or 48 <= at[0] <= 57):
        return _number(at, end, value)
    if end - at >= 4 and memcmp(at, b"null", 4) == 0:
        value[0] = NAN
        return at + 4
    if is_state and end - at >= 4 and memcmp(at, b"true", 4) == 0:
        value[0] = 1.0
        return at + 4
    if is_state and end - at >= 5 and memcmp(at, b"false", 5) == 0:
        value[0] = 0.0
        return at + 5
    return NULL


cdef Py_ssize_t _message(
    const uint8_t* at,
    const uint8_t* end,
    bytes text,
    const int32_t[:, ::1] slots,
    const double[:, ::1] conversions,
    int32_t[::1] points,
    int64_t[::1] times,
    double[::1] values,
    int64_t[::1] sequences,
    Py_ssize_t begin,
    Py_ssize_t document,
) noexcept:
    """Read a message of such a shape into the rows from one on; return how many there were, 0 for none."""
    cdef const uint8_t* shape = <const uint8_t*>PyBytes_AS_STRING(text)
    cdef Py_ssize_t i, length, row = begin, first = begin, before = 0
    cdef Py_ssize_t room = points.shape[0]
    cdef int kind, current = 0
    cdef int64_t time_ms = 0
    sequences[document] = -1
    for i in range(slots.shape[0]):
        length = slots[i, 0] - before
        if end - at < length or memcmp(at, shape + before, length) != 0:
            return 0
        at += length
        before = slots[i, 1]
        if slots[i, 4] != current:
            if row == room:
                return 0
            times[first:row] = time_ms
            current, first = slots[i, 4], row
            sequences[document + current] = -1
        kind = slots[i, 2]
        if kind == TIME:
            at = _instant(at, end, &time_ms)
        elif kind == SEQUENCE:
            at = _whole(at, end, &sequences[document + current])
        elif row == room:
            return 0
        else:
            at = _scalar(at, end, kind == STATE, &values[row])
            values[row] = values[row] * conversions[i, 0] + conversions[i, 1]
            points[row] = slots[i, 3]
            row += 1
        if at == NULL:
            return 0
    length = PyBytes_GET_SIZE(text) - before
    if end - at != length or memcmp(at, shape + before, length) != 0:
        return 0
    times[first:row] = time_ms
    return row - begin


def read_documents(
    const uint8_t[::1] data,
    const int32_t[:, ::1] spans,
    Py_ssize_t first,
    dict shapes,
    int32_t[::1] points,
    int64_t[::1] times,
    double[::1] values,
    int64_t[::1] sequences,
):
    cdef list found = []
    cdef Py_ssize_t message, count, row = 0, document = 0
    cdef const uint8_t* start = &data[0] if data.shape[0] else NULL
    cdef PyObject* known
    for message in range(first, spans.shape[0]):
        known = _of_topic(shapes, start, spans, message)
        if known == NULL or spans[message, 3] - spans[message, 2] > MOST_DOCUMENT_BYTES:
            break
        count = 0
        for shape in <tuple>known:
            if row == points.shape[0]:
                break
            count = _message(
                start + spans[message, 2], start + spans[message, 3], shape[0], shape[1], shape[2],
                points, times, values, sequences, row, document,
            )  # fmt: skip
            if count:
                row += count
                document += len(shape[3])
                found.append(shape)
                break
        if not count:
            break
    return found
