"""Batches survive being bytes, whatever is in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facility.errors import StoreCorrupt
from facility.readings import COLUMNS, Batch
from store.journal.columns import decode, encode
from testing.builders import T0_MS, a_batch


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Draw a batch of any readings."""
    count = draw(st.integers(0, 40))
    times = hnp.arrays(np.int64, count, elements=st.integers(0, 2**45))
    return Batch.of(
        [
            draw(hnp.arrays(np.int32, count, elements=st.integers(0, 2**31 - 1))),
            draw(times),
            draw(times),
            draw(hnp.arrays(np.float64, count, elements=st.floats(allow_infinity=False))),
            draw(hnp.arrays(np.uint8, count)),
            draw(hnp.arrays(np.uint8, count)),
        ]
    )


@given(batches())
def test_every_batch_comes_back_bit_for_bit(batch: Batch) -> None:
    """What is read from the journal is what was received."""
    again = decode(encode(batch), "here")

    for column in COLUMNS:
        assert getattr(again, column).tobytes() == getattr(batch, column).tobytes()


@given(st.data())
def test_damage_never_becomes_another_reading(data: st.DataObject) -> None:
    """A flipped bit is noticed, or it lay where deflate has bits that mean nothing."""
    batch = a_batch([(1, T0_MS, 90.5), (2, T0_MS + 1, 91.0)])
    body = bytearray(encode(batch))
    body[data.draw(st.integers(14, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    try:
        again = decode(bytes(body), "here")
    except StoreCorrupt:
        return

    assert again.value.tobytes() == batch.value.tobytes()


def test_a_cut_body_is_noticed() -> None:
    """A torn write never becomes a shorter batch."""
    body = encode(a_batch([(1, T0_MS, 90.5), (2, T0_MS + 1, 91.0)]))

    for length in range(len(body)):
        with pytest.raises(StoreCorrupt):
            decode(body[:length], "here")
