"""One monitor for each data folder: a lock for each part that runs, which ends with its process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TextIO

from facility.errors import MegawatchError
from megawatch.run.part import Part

FOLDER: Final = "locks"
TRIES: Final = 3
PAUSE_S: Final = 0.05


class AlreadyRuns(MegawatchError):  # noqa: N818 - says what was found
    """Another process runs a part of the monitor on the same data folder."""

    def __init__(self, part: Part, data: Path, process: str) -> None:
        who = f"process {process}" if process else "another process"
        super().__init__(f"{who} already runs the {part} of {data}; stop it first, or use another data_dir")


@contextmanager
def locked(data: Path, parts: Iterable[Part]) -> Iterator[None]:
    """Hold the locks of parts; the system lets go of them if we are killed.

    Args:
        data: The data folder; it is made where there is none.
        parts: Which parts run here.

    Raises:
        AlreadyRuns: Where another process holds one.
    """
    folder = data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for part in sorted(parts):
            _hold(stack.enter_context((folder / part).open("a+", encoding="ascii")), part, data)
        yield


def holders(data: Path) -> dict[Part, str]:
    """Return which parts run on a data folder, and in which process; "" for one that could not say so.

    Args:
        data: The data folder.
    """
    found: dict[Part, str] = {}
    for part in Part:
        try:
            with (data / FOLDER / part).open(encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found[part] = file.read(20).strip()
        except OSError:
            continue
    return found


def _hold(file: TextIO, part: Part, data: Path) -> None:
    for left in reversed(range(TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if not left:
                file.seek(0)
                raise AlreadyRuns(part, data, file.read(20).strip()) from error
            time.sleep(PAUSE_S)  # another process may only be looking who runs
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
