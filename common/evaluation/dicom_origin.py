"""What made the results of a run, as every DICOM object says it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data.dicom_source import derived_uid
from ..training.weights import sha256_of
from .made_by import made_by, weight_files

MANUFACTURER = "cardiac-neonatal-bundles"
SCHEME = "99CNB"
_LONGEST_TEXT = 64  # of the value representation LO
# What names cases and objects.
_OF_THE_OBJECTS = ("anonymous_names", "uid_root")
_BESIDE = (".json", ".familiarity.pt")


class Origin(NamedTuple):
    """What made the results of a run.

    Attributes:
        bundle: name of the bundle.
        name, version, method: of the model, from the bundle's metadata; the method is its first reference.
        weights_sha256: of the file of weights, or of each.
        beside_sha256: of what lies beside the weights and has a part in results: threshold, calibration, familiarity.
        settings: all settings that the results depend on, as JSON.
        uid_root: root of the UIDs of all objects.
    """

    bundle: str
    name: str
    version: str
    method: str
    weights_sha256: str
    beside_sha256: str
    settings: str
    uid_root: str

    @property
    def device_uid(self) -> str:
        """UID of this model with these weights."""
        return derived_uid(self.uid_root, self.bundle, self.version, self.weights_sha256)

    @property
    def serial_number(self) -> str:
        """SHA-256 of the weights; of several, of all their sums together."""
        several = "," in self.weights_sha256
        return hashlib.sha256(self.weights_sha256.encode()).hexdigest() if several else self.weights_sha256

    def uid(self, headers: Sequence[Any], *parts: str) -> str:
        """Return the UID of an object: the same for the same input, weights and settings."""
        instances = hashlib.sha256("\n".join(sorted(str(h.SOPInstanceUID) for h in headers)).encode()).hexdigest()
        return derived_uid(self.uid_root, self.device_uid, self.beside_sha256, self.settings, instances, *parts)

    def parameters(self) -> list[str]:
        """Return what is said of the algorithm besides its name and version."""
        return [f"method: {self.method}", f"weights SHA-256: {self.weights_sha256}", f"settings: {self.settings}"]


def read_origin(bundle_root: str | Path, resolved: Mapping[str, Any], uid_root: str) -> Origin:
    """Return the origin of a run.

    Args:
        bundle_root: folder of the bundle.
        resolved: what is resolved of the config, by id, as :func:`made_by` takes it.
        uid_root: root of the UIDs of all objects.
    """
    root, made = Path(bundle_root), made_by(resolved)
    metadata = json.loads((root / "configs" / "metadata.json").read_text(encoding="utf-8"))
    digests = made["weights_sha256"]
    settings = {name: value for name, value in made["settings"].items() if name not in _OF_THE_OBJECTS}
    return Origin(
        bundle=root.resolve().name,
        name=metadata["name"],
        version=metadata["version"],
        method=metadata["references"][0],
        weights_sha256=digests if isinstance(digests, str) else ", ".join(digests),
        beside_sha256=_sha256_beside(weight_files(resolved)),
        settings=json.dumps(settings, sort_keys=True),
        uid_root=uid_root,
    )


def _sha256_beside(weights: Sequence[Path]) -> str:
    found = {
        path
        for folder in {file.parent for file in weights}
        for path in folder.glob("*")
        if path.name.endswith(_BESIDE) and not {"pretrained", "previous"} & set(path.name.split("."))
    }
    return hashlib.sha256("".join(sorted(sha256_of(path) for path in found)).encode()).hexdigest()


def equipment(origin: Origin, word: str) -> dict[str, Any]:
    """Return the arguments that every object of highdicom takes: what made it, and in a word what it is."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    scheme = CodingSchemeIdentificationItem(SCHEME, name=MANUFACTURER, responsible_organization=MANUFACTURER)
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": origin.name[:_LONGEST_TEXT],
        "software_versions": f"{origin.bundle} {origin.version}"[:_LONGEST_TEXT],
        "device_serial_number": origin.serial_number,
        "series_description": f"{word}, {origin.bundle}: research use only"[:_LONGEST_TEXT],
        "coding_schemes": [scheme],
    }
