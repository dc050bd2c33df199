"""Files of the history and of means: older ones are taken, newer ones are refused or left with words."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from facility.errors import StoreForeign
from store.history.parquet import SEALED, VERSION, Sealed, load_sealed
from store.means import columnfile
from store.means.columnfile import load_columns, save_columns


def test_a_history_of_a_newer_version_is_refused_with_words(tmp_path: Path) -> None:
    """What its files mean, nobody knows here; nothing of it is touched."""
    content = Sealed(version=VERSION + 1).encode()
    (tmp_path / SEALED).write_bytes(content)

    with pytest.raises(StoreForeign, match="found version 2: run the version of Megawatch that wrote it"):
        load_sealed(tmp_path)

    assert (tmp_path / SEALED).read_bytes() == content


def test_a_history_that_says_no_checksum_is_taken(tmp_path: Path) -> None:
    """Older versions wrote none."""
    (tmp_path / SEALED).write_text('{"version":1,"seq":812,"tick_ms":5}')

    assert load_sealed(tmp_path) == Sealed(seq=812, tick_ms=5)


def columns_of(**columns: int) -> bytes:
    """Return columns as a file of older versions holds them, without a checksum."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.array(value) for name, value in columns.items()})
    return buffer.getvalue()


def summed(body: bytes) -> bytes:
    """Return the same with its checksum."""
    return zlib.crc32(body).to_bytes(4, "little") + body


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(columns_of(seq=7), id="no version, no checksum"),
        pytest.param(summed(columns_of(seq=7)), id="no version"),
        pytest.param(summed(columns_of(seq=7, version=1)), id="version 1"),
    ],
)
def test_columns_of_every_older_version_are_taken(tmp_path: Path, content: bytes) -> None:
    """They hold the same columns."""
    path = tmp_path / "means.npz"
    path.write_bytes(content)

    assert {name: int(column) for name, column in load_columns(path).items()} == {"seq": 7}


def test_columns_of_a_newer_version_are_left_with_words(tmp_path: Path) -> None:
    """The same names may mean something else there: what is open is made of what comes."""
    path = tmp_path / "means.npz"
    path.write_bytes(summed(columns_of(seq=7, version=2)))

    with capture_logs() as said:
        assert load_columns(path) == {}

    assert "found version 2" in said[0]["error"]


def test_columns_say_their_version(tmp_path: Path) -> None:
    """So that a later one is told apart."""
    path = tmp_path / "means.npz"
    save_columns(path, {"seq": np.array(7)})

    with np.load(io.BytesIO(path.read_bytes()[4:])) as found:
        assert int(found["version"]) == columnfile.VERSION
