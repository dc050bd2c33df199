"""The loops that run once a message: compiled where this was built with a C compiler, else in Python.

Both give the same for every input; `collector.kernels.portable` says what each takes and gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.kernels import portable

if TYPE_CHECKING:
    _loops = portable
else:
    try:
        from collector.kernels import _native as _loops
    except ImportError:
        _loops = portable

frame, read_documents, read_values = _loops.frame, _loops.read_documents, _loops.read_values
