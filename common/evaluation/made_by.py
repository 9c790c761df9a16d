"""What a result was made by: the weights, by their content, and every setting that may change it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Where things are, and how the work is done: results are the same whatever these are.
_WITHOUT_EFFECT = (
    *("bundle_root", "weights", "trained", "device", "num_workers", "batch_size"),
    *("skip_finished", "dicom_results", "load", "run"),
)


def made_by(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Return `weights_sha256` and `settings` of a run: what its JSON files name beside each result.

    Args:
        resolved: what is resolved of the config, by id; "weights" names the file, "model_dirs" those of several models.
    """
    files = weight_files(resolved)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
    settings = {
        name: _plain(value)
        for name, value in sorted(resolved.items())
        if name not in _WITHOUT_EFFECT
        and not name.endswith(("_dir", "_dirs"))
        and name.isidentifier()
        and _is_plain(value)
    }
    return {"weights_sha256": digests[0] if len(digests) == 1 else digests, "settings": settings}


def weight_files(resolved: Mapping[str, Any]) -> list[Path]:
    """Return the file of weights of a run, or those of its several models."""
    return [Path(folder) / "model.pt" for folder in resolved.get("model_dirs", ())] or [Path(str(resolved["weights"]))]


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, (bool, int, float, str))


def _plain(value: Any) -> Any:
    """Return `value` as JSON gives it back; a file by its name and content, wherever it lies."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        path = Path(value)
        return f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else 'not there'}"
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value
