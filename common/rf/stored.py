"""An array of a file as its header describes it; its values are read only when asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredArray:
    """One array of a file.

    Attributes:
        shape, dtype: what the header says; axes as MATLAB or numpy show them.
        read: reads the values.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], NDArray]

    @classmethod
    def of(cls, values: Any) -> "StoredArray":
        """Return an array that is read already."""
        array = np.asarray(values)
        return cls(array.shape, str(array.dtype), lambda: array)

    @property
    def kind(self) -> str:
        """Kind of a value as numpy names it: f, i, u, c, ...; O for what is no number."""
        try:
            return np.dtype(self.dtype).kind
        except TypeError:
            return "O"

    @property
    def is_frame(self) -> bool:
        """Whether it can hold frames: numbers along two or three axes, of which two have more than one entry."""
        return self.kind in "fiuc" and len(self.shape) in (2, 3) and min(self.shape) > 0 and sorted(self.shape)[-2] > 1

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"
