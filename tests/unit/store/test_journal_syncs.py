"""Syncs that fail: what is acknowledged is there after a power cut, whatever the disk has dropped."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import store.sqlite
from facility.errors import StoreUnavailable
from store.journal.journal import Journal
from store.sqlite import transaction
from testing.builders import T0_MS
from testing.store.journals import ENTRY_READINGS, Reading, everything, failing, many, noisy, rows_of
from tests.unit.store.forgetful import run_on_forgetful_disk

READINGS = 400
FOR_EVER = -1

APPENDING = """
from contextlib import suppress
from facility.errors import StoreUnavailable
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.store.journals import noisy

def is_taken(number):
    # Append once; the journal may have to be made first.
    global journal
    with suppress(StoreUnavailable):
        if journal is None:
            journal = Journal(root)
        journal.append(noisy(number, {readings}), T0_MS + number)
        return True
    return False

journal, images = None, []
for number in range({first}, {last}):
    if number == {fails_from}:
        disk.forgetful_fail({fails})
    {meanwhile}
    for attempt in range(40 if {fails} >= 0 else 8):
        taken = is_taken(number)
        if {fails_from} <= number:
            image = cuts / f"{{number}}-{{attempt}}-{first}"
            images.append((str(cut_power(kept, image)), number + 1 if taken else number))
        if taken:
            break
    else:
        break
print(json.dumps([images, disk.forgetful_failed()]), flush=True)
os._exit(0)
"""


def program(*, fails: int, first: int = 0, fails_from: int, last: int, meanwhile: str = "pass") -> str:
    """Return a program that appends intakes one after the other, each until it is taken, and is then killed.

    Args:
        fails: How many syncs fail, for ever where it is less than 0.
        first: The first intake.
        fails_from: Before which intake they begin to fail; from then on it keeps after each attempt what a
            power cut would leave.
        last: The first intake that is not appended any more.
        meanwhile: What is done before each intake.
    """
    return APPENDING.format(
        readings=READINGS,
        fails=fails,
        first=first,
        fails_from=fails_from,
        last=last,
        meanwhile=meanwhile,
    )


def rows(number: int) -> list[Reading]:
    """Return the readings of the intake with a number."""
    batch = noisy(number, READINGS).batch
    return list(zip(batch.point.tolist(), batch.source_ms.tolist(), batch.value.tolist(), strict=True))


def check_image(image: Path, acknowledged: int) -> None:
    """Make sure that an image has what was acknowledged, and of the next intake all or nothing."""
    with closing(Journal(image)) as journal:
        found = rows_of(everything(journal))
        expected = [row for number in range(acknowledged) for row in rows(number)]
        assert found[: len(expected)] == expected, f"{image.name}: {acknowledged} were acknowledged"
        assert found[len(expected) :] in ([], rows(acknowledged)), image.name
        assert journal.account().stored == len(found), image.name


@pytest.mark.parametrize("fails", [1, 2, 10, FOR_EVER])
@pytest.mark.parametrize("fails_from", [0, 3], ids=["from the first", "later"])
def test_what_is_acknowledged_survives_a_power_cut_at_every_moment_of_failing_syncs(
    tmp_path: Path, fails: int, fails_from: int
) -> None:
    """A sync that succeeds after one that failed says nothing of what was written before."""
    images, failed = run_on_forgetful_disk(
        program(fails=fails, fails_from=fails_from, last=fails_from + 4), tmp_path
    )

    assert failed == fails or fails == FOR_EVER < 0 < failed
    assert len(images) >= (8 if fails == FOR_EVER else 5)
    assert images[-1][1] == (fails_from if fails == FOR_EVER else fails_from + 4)
    for image, acknowledged in images:
        check_image(Path(image), acknowledged)


@pytest.mark.parametrize("fails", [1, 10])
def test_syncs_that_fail_while_the_log_is_copied_cost_nothing(tmp_path: Path, fails: int) -> None:
    """SQLite copies its log into the database now and then, and does not say whether that failed."""
    images, _ = run_on_forgetful_disk(program(fails=fails, fails_from=246, last=260), tmp_path)

    assert images[-1][1] == 260
    for image, acknowledged in (images[0], images[len(images) // 2], images[-1]):
        check_image(Path(image), acknowledged)


@pytest.mark.parametrize("fails", [0, 2, 10])
def test_what_a_killed_process_could_not_sync_is_not_believed_by_the_next_one(
    tmp_path: Path, fails: int
) -> None:
    """It is found as if it were stored; what is acknowledged then must be there all the same."""
    first, _ = run_on_forgetful_disk(program(fails=FOR_EVER, fails_from=3, last=5), tmp_path)
    assert first[-1][1] == 3

    images, failed = run_on_forgetful_disk(program(fails=fails, first=3, fails_from=3, last=8), tmp_path)

    assert failed == fails
    assert images[-1][1] == 8
    for image, acknowledged in images:
        check_image(Path(image), acknowledged)


BESIDE = """if number == 2:
        import sqlite3
        from store.journal.follower import JournalFollower
        follower = JournalFollower(root)
        looker = sqlite3.connect(root / "journal.sqlite", isolation_level=None)
        looker.execute("BEGIN")
        looker.execute("SELECT * FROM entry").fetchone()
    if number >= 2:
        follower.set_reader("rules", number)
"""


def test_what_another_process_wrote_without_a_sync_costs_nothing(tmp_path: Path) -> None:
    """It lies in the log before what comes then, and somebody who reads keeps the log from beginning anew."""
    images, _ = run_on_forgetful_disk(program(fails=2, fails_from=2, last=6, meanwhile=BESIDE), tmp_path)

    assert images[-1][1] == 6
    for image, acknowledged in images:
        check_image(Path(image), acknowledged)


# The same within the process --------------------------------------------------------------


@pytest.mark.parametrize("is_started", [False, True], ids=["at the start", "after a failed sync"])
def test_nothing_is_appended_before_what_was_written_is_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_started: bool
) -> None:
    """It is written again and synced; until the disk takes that, it takes nothing."""
    refused = OSError(errno.EIO, "Input/output error")

    def refuses(_: Path) -> None:
        raise refused

    with closing(Journal(tmp_path)) as journal:
        if is_started:
            journal.append(many(0), T0_MS)
            with monkeypatch.context() as failing_once:
                sync = failing(transaction, sqlite3.SQLITE_IOERR_FSYNC, was_taken=False)
                failing_once.setattr(store.sqlite, "transaction", sync)
                with pytest.raises(StoreUnavailable, match="disk I/O error"):
                    journal.append(many(1), T0_MS)
        before = rows_of(everything(journal))
        monkeypatch.setattr(store.sqlite, "_write_again", refuses)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="Input/output error"):
                journal.append(many(1), T0_MS)
        assert rows_of(everything(journal)) == before
        monkeypatch.undo()

        assert journal.append(many(1), T0_MS).stored == ENTRY_READINGS

        assert journal.account().stored == len(rows_of(everything(journal)))


def test_a_folder_whose_names_can_not_be_synced_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is of no use after a power cut if its name is gone; SQLite does not say when it could not."""
    whole = os.fsync
    folder = tmp_path.stat().st_ino

    def refuses(file: int) -> None:
        if os.fstat(file).st_ino == folder:
            raise OSError(errno.EIO, "Input/output error")
        whole(file)

    with closing(Journal(tmp_path)) as journal:
        monkeypatch.setattr(os, "fsync", refuses)
        with pytest.raises(StoreUnavailable, match="Input/output error"):
            journal.append(many(1), T0_MS)
