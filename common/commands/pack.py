"""Bundles as zips that work anywhere: what `python -m common pack` writes."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..bundle import command_line, installed_bundles_folder
from ..errors import NoWeightsError
from ..files import replacing
from .carried_package import carried_name, carried_sources, renamed

WEIGHTS = "model.pt"
MODEL_FILES = (
    "calibration.json",
    "model.familiarity.pt",
    "model.json",
    WEIGHTS,
    "model.ts",
    "pretrained.json",
    "pretrained.pt",
    "threshold.json",
)
SUMS = "SHA256SUMS"

_DATE = (1980, 1, 1, 0, 0, 0)  # the first that the format knows
_MODE = 0o644
_STORED = (".pt", ".ts", ".png")  # does not shrink worth the time


def pack(bundles: Sequence[str], output: Path, without_weights: bool = False, folder: Path | None = None) -> list[Path]:
    """Write `B.zip`, the same bytes as `B_vVERSION.zip`, the sums of its contents, and the sums of all zips.

    The bytes depend on the contents alone. Two files of sums serve `sha256sum -c`: `SHA256SUMS` beside the zips, and
    `B_vVERSION.contents.sha256` in the folder where the zip was unpacked.

    Args:
        bundles: names.
        output: folder to write to; other zips in it stay, and are in `SHA256SUMS` too.
        without_weights: pack also a bundle that has no weights.
        folder: folder of the bundles; the checkout's by default.

    Returns:
        The paths `B.zip`.

    Raises:
        NoWeightsError: if a bundle has no weights; nothing is written then.
    """
    roots = [(folder or installed_bundles_folder()) / bundle for bundle in bundles]
    for root in roots:
        if not without_weights:
            _check_weights(root)
    paths = [_pack(root, output) for root in roots]
    zips = ((path.name, path.read_bytes()) for path in sorted(output.glob("*.zip")))
    with replacing(output / SUMS) as temporary:
        temporary.write_text(_sums(zips), encoding="utf-8")
    return paths


def bundle_contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of what a bundle's zip holds, in the order of the zip; the first folder is the bundle."""
    version = json.loads((root / "configs" / "metadata.json").read_text(encoding="utf-8"))["version"]
    package = carried_name(root.name, version)
    texts = _texts(root)
    files = {path: renamed(text, package).encode() for path, text in texts.items()}
    folder = package.replace(".", "/")
    files |= {f"{folder}/{path}": data for path, data in carried_sources("\n".join(texts.values())).items()}
    other = [root / "LICENSE", *(root / "models" / name for name in MODEL_FILES), *(root / "docs").glob("[!.]*")]
    unread = {path.relative_to(root).as_posix(): path for path in other if path.is_file()}
    for path in sorted(files | unread):
        yield f"{root.name}/{path}", files[path] if path in files else unread[path].read_bytes()


def _texts(root: Path) -> dict[str, str]:
    """Return the files that may name parts of `common`; plans of `studies/` simulate and stay with the repository."""
    paths = [*(root / "configs").glob("*.json"), *(root / "configs").glob("*.conf"), *(root / "docs").glob("*.md")]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _pack(root: Path, output: Path) -> Path:
    version = json.loads((root / "configs" / "metadata.json").read_text(encoding="utf-8"))["version"]
    target, versioned = output / f"{root.name}.zip", output / f"{root.name}_v{version}.zip"
    sums = versioned.with_suffix(".contents.sha256")
    with replacing(target) as packed, replacing(versioned) as copy, replacing(sums) as listed:
        with zipfile.ZipFile(packed, "w") as archive:
            listed.write_text(_sums(_added(archive, bundle_contents(root))), encoding="utf-8")
        shutil.copyfile(packed, copy)
    return target


def _added(archive: zipfile.ZipFile, contents: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield what is put into the archive, with fixed dates, permissions and compression."""
    for path, data in contents:
        entry = zipfile.ZipInfo(path, _DATE)
        entry.create_system = 3  # Unix, for the permissions
        entry.external_attr = _MODE << 16
        stored = path.endswith(_STORED)
        archive.writestr(entry, data, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED, None if stored else 9)
        yield path, data


def _sums(files: Iterator[tuple[str, bytes]]) -> str:
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files)


def _check_weights(root: Path) -> None:
    weights = root / "models" / WEIGHTS
    if not weights.is_file():
        shown = Path(root.parent.name) / root.name
        line = command_line(shown, "training", ["train.json"], {"dataset_dir": "DIR"})
        raise NoWeightsError(
            f"{weights}: expected weights, found none; make them with `{line}` or pack with --without-weights"
        )
