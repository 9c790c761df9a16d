"""A line in a logit (Platt, 1999) beside the weights whose outputs it makes probabilities."""

import logging
import math
import os
from pathlib import Path

from ..errors import UnusableFileError
from ..files import read_sealed_json
from ..training.weights import sha256_of

_LOG = logging.getLogger(__name__)


def stored_line(
    path: str | os.PathLike[str], weights: str | os.PathLike[str] | None, without: str, remedy: str
) -> tuple[float, float] | None:
    """Return scale and offset of a calibration; None with a warning if there is none, or it is that of other weights.

    Args:
        path: JSON file with `scale`, `offset` and `model_sha256`, as :func:`common.files.write_sealed_json` writes it.
        weights: the weights that it must be of; None for any.
        without: what holds without a calibration, for the warning.
        remedy: how to make one.

    Raises:
        UnusableFileError: if the file is damaged or holds something else.
    """
    if not Path(path).is_file():
        _LOG.warning("%s: no calibration: %s; %s", path, without, remedy)
        return None
    content = read_sealed_json(path, "a calibration as JSON", f"delete it, then {remedy}")
    stored = content if isinstance(content, dict) else {}
    line = [stored.get(name) for name in ("scale", "offset")]
    scale, offset = (value if isinstance(value, int | float) else math.nan for value in line)
    if not (math.isfinite(scale) and math.isfinite(offset) and scale > 0):
        raise UnusableFileError(
            f"{path}: expected scale and offset of a calibration, found {line}; delete it, then {remedy}"
        )
    model = stored.get("model_sha256")
    if model and weights is not None and Path(weights).is_file() and model != sha256_of(weights):
        _LOG.warning("%s: of other weights than %s, not used; %s", path, weights, remedy)
        return None
    return scale, offset
