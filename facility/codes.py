"""What enumerations have in common whose members stand in arrays as small integers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np


class InArrays:
    """Mixin of integer enumerations that are compared with arrays: as fast as a plain integer is.

    NumPy asks the class of an operand whether it overrides operations. In Python 3.11 an enumeration answers
    what it does not have in Python code, which takes four times as long as comparing a small array. This
    answer is an array's own: nothing is overridden.
    """

    __slots__ = ()

    __array_ufunc__: Final[Any] = np.ndarray.__array_ufunc__
