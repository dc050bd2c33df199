# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops over messages, compiled. `collector.kernels.portable` says what each takes and gives."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

# `Flag` bits, as `facility.readings` has them; a test compares.
cdef enum:
    RETAINED = 1
    REDELIVERED = 2
    AT_MOST_ONCE = 4
    PUBLISH = 0x30
    MOST_BYTES = 65536
    MOST_DIGITS = 18
    MOST_POWER = 22
    VALUE = 1
    TIMESTAMP = 2
    QUALITY = 4

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


cdef inline const uint8_t* _number(const uint8_t* at, const uint8_t* end, double* found) noexcept nogil:
    """Read a number that comes out exact, or rounded once; NULL where it is not plainly such a one."""
    cdef const uint8_t* begin
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
    if at == begin or at - begin > MOST_DIGITS or (begin[0] == 48 and at - begin > 1):
        return NULL
    if at < end and at[0] == 46:
        at += 1
        begin = at
        while at < end and 48 <= at[0] <= 57:
            if digits >= EXACT // 10:
                return NULL
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
        if at == begin or (at < end and 48 <= at[0] <= 57):
            return NULL
        power = power - written if is_below else power + written
    if digits >= EXACT or power < -MOST_POWER or power > MOST_POWER or (is_negative and not digits):
        return NULL
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
) noexcept nogil:
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
        topic = PyBytes_FromStringAndSize(<const char*>start + spans[row, 0], spans[row, 1] - spans[row, 0])
        route = PyDict_GetItem(routes, topic)
        if route == NULL or not PyLong_CheckExact(<object>route):
            break
        if spans[row, 3] - spans[row, 2] > MOST_BYTES:
            break
        if not _value(start + spans[row, 2], start + spans[row, 3], &values[count], &times[count], &is_good):
            break
        points[count] = <int32_t>(<object>route)
        good[count] = is_good
        count += 1
    return count
