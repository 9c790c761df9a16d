"""Weights that a server trained, beside each other, and which of them are in use."""

import json
import re
import time
from pathlib import Path
from typing import Any

from ..errors import UnusableFileError
from ..files import write_json

VERSION = re.compile(r"\d{8}-\d{6}(-\d+)?")
SHIPPED = "bundle"
IN_USE, COMPARISON, WEIGHTS = "in_use.json", "comparison.json", "model.pt"


class Versions:
    """Folders with weights, named for the time they were trained at; a file says which is in use.

    Weights are never written over: others come into use by one small file that is replaced as a whole.

    Args:
        folder: holds the versions of one bundle; made when there is one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def weights(self) -> Path | None:
        """Weights in use; None for those of the bundle.

        Raises:
            UnusableFileError: if the file that names them is damaged or the weights are gone.
        """
        path = self.folder / IN_USE
        if not path.is_file():
            return None
        try:
            name = str(json.loads(path.read_text(encoding="utf-8"))["version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnusableFileError(f"{path}: expected a version, found {error!r}; remove the file") from error
        if name == SHIPPED:
            return None
        if name not in self.names():
            raise UnusableFileError(f"{path}: expected one of {self.names()}, found {name!r}; remove the file")
        return self.folder / name / WEIGHTS

    def names(self) -> list[str]:
        """Return the versions that have weights, the oldest first."""
        found = (path.parent.name for path in self.folder.glob(f"*/{WEIGHTS}"))
        return sorted(name for name in found if VERSION.fullmatch(name))

    def new(self) -> Path:
        """Make the folder of another version and return it."""
        stem = time.strftime("%Y%m%d-%H%M%S")
        for name in (stem, *(f"{stem}-{number}" for number in range(2, 100))):
            try:
                (self.folder / name).mkdir(parents=True)
            except FileExistsError:
                continue
            return self.folder / name
        raise FileExistsError(f"{self.folder / stem}: too many versions of one second")

    def use(self, name: str) -> None:
        """Bring a version into use from the next answer on; `bundle` stands for the bundle's own weights.

        Raises:
            ValueError: if there is no such version.
        """
        if name not in (SHIPPED, *self.names()):
            raise ValueError(f"weights: expected one of {', '.join((SHIPPED, *self.names()))}, found {name[:50]!r}")
        write_json(self.folder / IN_USE, {"version": name})

    def summary(self) -> dict[str, Any]:
        """Return which version is in use and how each compared with the weights before it."""
        weights = self.weights
        compared = {name: self.folder / name / COMPARISON for name in self.names()}
        return {
            "in_use": SHIPPED if weights is None else weights.parent.name,
            "versions": {
                name: json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
                for name, path in compared.items()
            },
        }
