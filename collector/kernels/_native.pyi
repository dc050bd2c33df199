from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from collector.kernels.portable import Shape
from facility.readings import ByteArray, FloatArray, IntArray, PointArray

def frame(
    data: bytes | bytearray,
    at: int,
    end: int,
    has_properties: bool,
    spans: NDArray[np.int32],
    flags: ByteArray,
    numbers: IntArray,
) -> tuple[int, int]: ...
def read_values(
    data: bytes,
    spans: NDArray[np.int32],
    first: int,
    routes: Mapping[bytes, object],
    points: PointArray,
    times: IntArray,
    values: FloatArray,
    good: ByteArray,
) -> int: ...
def read_documents(
    data: bytes,
    spans: NDArray[np.int32],
    first: int,
    shapes: Mapping[bytes, tuple[Shape, ...]],
    points: PointArray,
    times: IntArray,
    values: FloatArray,
    sequences: IntArray,
) -> list[Shape]: ...
