"""Disks for tests: watched, refusing, and such on which a process is killed or the power fails at a step."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.history.dataset import Disk, Fill


@contextmanager
def small_disk(folder: Path, size: str, *, inodes: int | None = None) -> Iterator[Path]:
    """Yield a file system of its own; skip, with the reason, where none may be mounted.

    Args:
        folder: Where; it is made.
        size: How much it holds, as mount takes it: `8m`.
        inodes: How many files and folders it holds; None for the system's choice.
    """
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by the superuser")
    folder.mkdir()
    options = f"size={size}" if inodes is None else f"size={size},nr_inodes={inodes}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no small file system may be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - where it is differs


class KilledError(BaseException):
    """The process is no more: nothing is tidied up."""


class WatchedDisk(Disk):
    """A disk on which something is done before each step.

    Args:
        look: Called before each step; what it raises ends the step.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def make_folder(self, path: Path) -> None:
        """Make a folder."""
        self._look()
        super().make_folder(path)

    def write(self, path: Path, fill: Fill) -> None:
        """Write a file."""
        self._look()
        super().write(path, fill)

    def rename(self, path: Path, to: Path) -> None:
        """Rename a file."""
        self._look()
        super().rename(path, to)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        self._look()
        super().remove(path)

    def sync(self, path: Path) -> None:
        """Sync a file or a folder."""
        self._look()
        super().sync(path)


class MortalDisk(WatchedDisk):
    """A disk on which something happens in place of a step.

    Args:
        step: Before which step, counted from 0.
        happens: Called in place of that step.
    """

    def __init__(self, step: int, happens: Callable[[], None]) -> None:
        super().__init__(self._step)
        self.left = step
        self._happens = happens

    def write(self, path: Path, fill: Fill) -> None:
        """Write a file; half of it, if it happens."""
        if self.left == 0:
            fill(path)
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        super().write(path, fill)

    def _step(self) -> None:
        self.left -= 1
        if self.left == -1:
            self._happens()


class ForgetfulDisk(MortalDisk):
    """A disk of which a power cut leaves only what was synced: a name only if its folder was.

    Args:
        root: What is written.
        kept: Where that is put which would be left.
        step: Before which step the power fails.
    """

    def __init__(self, root: Path, kept: Path, step: int) -> None:
        super().__init__(step, die)
        self._root = root
        self._kept = kept

    def sync(self, path: Path) -> None:
        """Sync a file or a folder, and keep it."""
        super().sync(path)
        kept = self._kept / path.relative_to(self._root)
        if not path.is_dir() or not kept.is_dir():
            return
        names = {child.name for child in path.iterdir()}
        for child in kept.iterdir():
            if child.name not in names:
                child.unlink()
        for name in names:
            if (path / name).is_dir():
                (kept / name).mkdir(exist_ok=True)
            else:
                shutil.copyfile(path / name, kept / name)


def die() -> None:
    """Be killed."""
    raise KilledError


def refuse() -> None:
    """Say that the disk is full."""
    raise OSError(errno.ENOSPC, "No space left on device")
