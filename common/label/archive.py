"""The studies of a server in an archive: series found, fetched and stored over DICOMweb."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .checks import checked_name
from .label_objects import label_series_uid
from .studies import FINAL

MODALITIES = ("US", "MR")
_STUDY, _SERIES, _MODALITY = "0020000D", "0020000E", "00080060"
_INSTANCE, _NUMBER = "00080018", "00200013"
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_ANY_SYNTAX = (("application/dicom", "*"),)


def is_archive(studies: str) -> bool:
    """Return whether `studies` is the address of an archive."""
    return studies.lower().startswith(("http://", "https://"))


def checked_archive(studies: str) -> str:
    """Return the address of an archive's DICOMweb services.

    Raises:
        ValueError: if it is none, or holds a login.
    """
    parts = urlsplit(studies)
    if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(
            f"--studies: expected an address such as http://127.0.0.1:8042/dicom-web, without a login, found "
            f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        )
    return studies.rstrip("/")


class ArchiveStudies:
    """Finds ultrasound and MR series by their UID, as :class:`Studies` finds files by their name.

    Nothing of the archive is kept: a series is fetched for one answer. Results are stored there if it is writable.

    Args:
        url: address of the DICOMweb services.
        writable: whether results are stored in the archive.
    """

    def __init__(self, url: str, writable: bool = False) -> None:
        from dicomweb_client import DICOMwebClient

        self.url, self.writable = checked_archive(url), writable
        self._client = DICOMwebClient(self.url)

    def list_images(self) -> dict[str, dict[str, str]]:
        """Return study, series and modality of each series by its UID."""
        return {one["series"]: one for modality in MODALITIES for one in self._search(Modality=modality)}

    def image(self, name: str, folder: Path, whole_study: bool = False) -> Path:
        """Fetch a series and return its file, or its folder if it has several.

        Args:
            name: UID of the series.
            folder: where to write; it is made.
            whole_study: whether to fetch all series of the same modality in its study.

        Raises:
            FileNotFoundError: if there is no such series.
        """
        found = self._found(name)
        wanted = self._search(StudyInstanceUID=found["study"], Modality=found["modality"]) if whole_study else [found]
        root = folder / name
        for number, series in enumerate(wanted):
            datasets = self._client.retrieve_series(found["study"], series["series"], media_types=_ANY_SYNTAX)
            for index, dataset in enumerate(datasets):
                target = root / (f"{number:03d}" if whole_study else "") / f"{index:05d}.dcm"
                target.parent.mkdir(parents=True, exist_ok=True)
                dataset.save_as(str(target))
        files = sorted(root.rglob("*.dcm"))
        if not files:
            raise FileNotFoundError(f"{name}: the archive gave no instance of this series")
        return files[0].rename(folder / f"{name}.dcm") if len(files) == 1 else root

    def store(self, files: Sequence[Path]) -> None:
        """Store objects in the archive, in the study that they name.

        Raises:
            PermissionError: if it is read-only.
            OSError: if the archive does not take one.
        """
        import pydicom

        self.check_writable()
        answer = self._client.store_instances([pydicom.dcmread(file) for file in files])
        refused = answer.get("FailedSOPSequence") or []
        if refused:
            raise OSError(f"{self.url}: expected to store {len(files)} objects, found that {len(refused)} are refused")

    def check_writable(self) -> None:
        """Check that results may be stored.

        Raises:
            PermissionError: if they may not.
        """
        if not self.writable:
            raise PermissionError("the archive is read-only; start the server with --writable")

    def get_image_info(self, name: str) -> dict[str, Any]:
        """Return study, series and modality, nothing of the patient."""
        return dict(self._found(name))

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Any = None) -> list[str]:
        """Return the UIDs of the series without a final label; a name of MONAI Label's, asked by its strategies."""
        labelled = self._labelled()
        return [name for name in sorted(self.list_images()) if label_series_uid(name, FINAL) not in labelled]

    def status(self) -> dict[str, Any]:
        """Return how many series there are and how many have a final label."""
        total, left = len(self.list_images()), len(self.get_unlabeled_images())
        return {"total": total, "completed": total - left, "label_tags": {FINAL: total - left}}

    def json(self) -> dict[str, Any]:
        """Return every series with its final label, in the form that MONAI Label's clients read."""
        labelled, objects = self._labelled(), {}
        for uid, found in self.list_images().items():
            has_label = label_series_uid(uid, FINAL) in labelled
            labels = {FINAL: {"ext": ".nii.gz", "info": {}}} if has_label else {}
            objects[uid] = {"image": {"ext": "", "info": found}, "labels": labels}
        return {"name": self.url, "description": "", "objects": objects}

    def add_image(self, name: str, sent: Path) -> str:
        """Refuse.

        Raises:
            PermissionError: always.
        """
        raise PermissionError("images are stored in the archive itself (STOW-RS), not through this server")

    def saved_labels(self, name: str, tag: str) -> list[str]:
        """Return the UIDs of the segmentations that were saved of a series with that tag, the newest last."""
        path = {"study_instance_uid": self._found(name)["study"], "series_instance_uid": label_series_uid(name, tag)}
        filters = {"SeriesInstanceUID": path["series_instance_uid"]}
        if not self._search(**filters):
            return []
        rows = [_values(one) for one in self._client.search_for_instances(**path, get_remaining=True)]
        return [str(row[_INSTANCE]) for row in sorted(rows, key=lambda row: int(row[_NUMBER]))]

    def label(self, name: str, tag: str, folder: Path) -> Path:
        """Fetch the newest segmentation that was saved of a series with that tag.

        Raises:
            FileNotFoundError: if there is none.
        """
        saved = self.saved_labels(name, tag)
        if not saved:
            raise FileNotFoundError(f"{name}: no label of this series with the tag {tag}")
        place = self._found(name)["study"], label_series_uid(name, tag), saved[-1]
        path = folder / "label.dcm"
        self._client.retrieve_instance(*place, media_types=_ANY_SYNTAX).save_as(str(path))
        return path

    def label_info(self, name: str, tag: str) -> dict[str, Any]:
        """Return the UID of the label's segmentation.

        Raises:
            FileNotFoundError: if there is none.
        """
        saved = self.saved_labels(name, tag)
        if not saved:
            raise FileNotFoundError(f"{name}: no label of this series with the tag {tag}")
        return {"series": label_series_uid(name, tag), "instance": saved[-1]}

    def _labelled(self) -> set[str]:
        return {one["series"] for one in self._search(Modality="SEG")}

    def _found(self, name: str) -> dict[str, str]:
        found = self._search(SeriesInstanceUID=checked_name(name)) if _UID.fullmatch(name) else []
        if not found:
            raise FileNotFoundError(f"{name[:64]}: no series of this UID in the archive; see /datastore/?output=all")
        return found[0]

    def _search(self, **filters: str) -> list[dict[str, str]]:
        found = self._client.search_for_series(search_filters=filters, get_remaining=True)
        rows = map(_values, found)
        return [
            {"study": str(row.get(_STUDY, "")), "series": str(row[_SERIES]), "modality": str(row.get(_MODALITY, ""))}
            for row in rows
            if row.get(_SERIES)
        ]


def _values(found: dict[str, Any]) -> dict[str, Any]:
    """Return the first value of each attribute of an answer in DICOM JSON."""
    return {tag: (one.get("Value") or [""])[0] for tag, one in found.items()}
