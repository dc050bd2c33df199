"""The loops that run once a message: compiled where this was built with a C compiler, else in Python.

Either way they give the same for every input. `IS_NATIVE` tells which run.
"""

from __future__ import annotations

from typing import Final

try:
    from collector.kernels._native import frame, read_documents, read_values

    IS_NATIVE: Final = True
except ImportError:
    from collector.kernels.portable import frame, read_documents, read_values

    IS_NATIVE: Final = False  # type: ignore[misc]

__all__ = ["IS_NATIVE", "frame", "read_documents", "read_values"]
