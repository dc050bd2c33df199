"""What the processes of a program have needed: CPU and memory, of it and of all that it started."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil


def cpu_s(pid: int) -> float:
    """Return the CPU that a process and all that it started have spent, user and system [s]."""
    spent = 0.0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent += times.user + times.system + times.children_user + times.children_system
    return spent


def peak_mb(pid: int) -> float:
    """Return the most memory that a process and what it started have held, each at its own peak [MB]."""
    return sum(_figure_mb(process.pid, "VmHWM:") for process in _tree(pid))


def memory_mb(pid: int) -> float:
    """Return the memory that a process and what it started hold now [MB]."""
    return sum(_figure_mb(process.pid, "VmRSS:") for process in _tree(pid))


def has_ended(pid: int) -> bool:
    """Tell whether a process that we started has ended; what it has needed can still be asked."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _tree(pid: int) -> list[psutil.Process]:
    first = psutil.Process(pid)
    return [first, *first.children(recursive=True)]


def _figure_mb(pid: int, name: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1_024 / 1e6
    return 0.0
