"""Labels of series in an archive: a mask from a viewer becomes a DICOM segmentation beside its source, and back."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel import orientations
from numpy.typing import NDArray

from ..data.dicom import read_dicom, silent_pydicom
from ..data.dicom_source import UTF_8, derived_uid, read_instances
from ..data.dicom_volume import DicomVolume, read_dicom_geometry
from ..errors import UnusableFileError
from ..evaluation.dicom_images import LESION, MORPHOLOGICALLY_ABNORMAL, check_placed, derive_dimension_uids
from ..evaluation.dicom_origin import MANUFACTURER, SCHEME
from ..evaluation.dicom_report import own_code
from ..figure import NOTE

UID_ROOT = "2.25"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MOST_SEGMENTS = 255
_LONGEST_NAME = 64
_OFF_GRID = 0.01  # of a voxel


def label_series_uid(series: str, tag: str) -> str:
    """Return the UID of the series that holds the labels of a series with that tag."""
    return derived_uid(UID_ROOT, "label", series, tag)


def label_to_dicom(
    label: Path, series: Path, target: Path, tag: str, info: Mapping[str, Any], saved: Sequence[str]
) -> bool:
    """Write a mask as a binary DICOM segmentation of a series; return False if the newest one there says the same.

    Args:
        label: NIfTI, MetaImage or NRRD on the grid of the series, its axes in any order; whole numbers from 1, and 0.
        series: file or folder of the source.
        target: file to write.
        tag: of the label.
        info: what the client says; `label_info` lists `name` and `idx` of the labels.
        saved: UIDs of the segmentations that were stored before with this tag, the newest last.

    Raises:
        UnusableFileError: if the label does not lie on the grid of the series, or its values are no labels.
    """
    volume = read_dicom_geometry(series)
    files, frames = volume.in_files(_on_grid(label, volume))
    names = _names(label, frames, info)
    headers = read_instances(files, False, UID_ROOT)
    check_placed(files, headers)
    uid = label_series_uid(str(headers[0].SeriesInstanceUID), tag)
    content = hashlib.sha256(frames.tobytes() + "\n".join(names).encode()).hexdigest()
    if saved and saved[-1] == derived_uid(UID_ROOT, uid, content, len(saved)):
        return False
    with silent_pydicom():
        made = _segmentation(headers, frames, names, tag, uid, len(saved) + 1, content)
        made.save_as(target)
    return True


def label_from_dicom(segmentation: Path, series: Path, target: Path) -> None:
    """Write a segmentation of :func:`label_to_dicom` as NIfTI on the grid of its series.

    Raises:
        UnusableFileError: if it is of other instances.
    """
    from highdicom.seg import Segmentation

    volume = read_dicom_geometry(series)
    uids = {frame.file: str(read_dicom(frame.file, tags=["SOPInstanceUID"]).SOPInstanceUID) for frame in volume.frames}
    with silent_pydicom():
        read = Segmentation.from_dataset(read_dicom(segmentation))
        try:
            if len(uids) == len(volume.frames):
                voxels = read.get_pixels_by_source_instance(list(uids.values()), combine_segments=True)
            else:
                numbers = [frame.number + 1 for frame in volume.frames]
                (uid,) = uids.values()
                voxels = read.get_pixels_by_source_frame(uid, numbers, combine_segments=True)
        except (KeyError, ValueError):
            raise UnusableFileError(
                f"{segmentation.name}: expected a segmentation of the series in the archive, found one of others; "
                "save the label again"
            ) from None
    nibabel.save(nibabel.Nifti1Image(voxels.T.astype(np.uint8), volume.affine), target)


def _segmentation(
    headers: Sequence[Any],
    frames: NDArray[np.uint8],
    names: Sequence[str],
    tag: str,
    uid: str,
    number: int,
    content: str,
) -> Any:
    from highdicom.coding_schemes import CodingSchemeIdentificationItem
    from highdicom.seg import Segmentation

    sop_uid = derived_uid(UID_ROOT, uid, content, number)
    made = Segmentation(
        headers,
        frames,
        segmentation_type="BINARY",
        segment_descriptions=[_description(k, name, sop_uid) for k, name in enumerate(names, 1)],
        series_instance_uid=uid,
        series_number=9010,
        series_description=f"label {tag}: research use only",
        sop_instance_uid=sop_uid,
        instance_number=number,
        omit_empty_frames=False,
        content_description=f"label {tag}, saved from a viewer; research use only",
        content_label="LABEL",
        manufacturer=MANUFACTURER,
        manufacturer_model_name="label server",
        software_versions="common.label",
        device_serial_number="0",
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, MANUFACTURER, responsible_organization=MANUFACTURER)],
    )
    made.ImageComments, made.SpecificCharacterSet = NOTE, UTF_8
    derive_dimension_uids(made, derived_uid(UID_ROOT, sop_uid, "dimensions"))
    return made


def _description(number: int, name: str, sop_uid: str) -> Any:
    """Return a segment that a person answers for: drawn, or taken over from a model."""
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept

    kind = LESION if name.lower() == "lesion" else own_code(f"label_{number}", name)
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=CodedConcept(*MORPHOLOGICALLY_ABNORMAL),
        segmented_property_type=CodedConcept(*kind),
        algorithm_type="MANUAL",
        tracking_uid=derived_uid(UID_ROOT, sop_uid, number),
        tracking_id=name,
    )


def _names(label: Path, frames: NDArray[np.uint8], info: Mapping[str, Any]) -> list[str]:
    """Return the names of labels 1, 2, ...: those that the client gives, and `label K` for the others."""
    given: dict[int, Any] = {}
    for entry in info.get("label_info") or []:
        index, name = (entry.get("idx"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        named = isinstance(name, str) and name.isprintable() and 0 < len(name) <= _LONGEST_NAME
        if not isinstance(index, int) or not 0 < index <= _MOST_SEGMENTS or not named:
            raise UnusableFileError(
                f"label_info: expected entries with idx from 1 to {_MOST_SEGMENTS} and a name of at most "
                f"{_LONGEST_NAME} letters, found {str(entry)[:100]}"
            )
        given[index] = name
    numbers = sorted({*given, *map(int, np.unique(frames))} - {0})
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise UnusableFileError(
            f"{label.name}: expected labels that count from 1 without a gap, found {numbers[:10] or 'none'}; an "
            "empty mask needs its labels' names in label_info"
        )
    return [given.get(number, f"label {number}") for number in numbers]


def _on_grid(label: Path, volume: DicomVolume) -> NDArray[np.uint8]:
    """Return the voxels (columns, rows, slices) of a label that has the voxels of the series, in whatever order."""
    try:
        image = sitk.ReadImage(str(label))
    except RuntimeError:
        raise UnusableFileError(
            f"{label.name}: expected a volume of labels, found a damaged file; save it again"
        ) from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UnusableFileError(f"{label.name}: expected a volume of labels with three axes, found {image.GetSize()}")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine, voxels = _LPS_TO_RAS @ affine, sitk.GetArrayFromImage(image).T
    turn = orientations.ornt_transform(*map(orientations.io_orientation, (affine, volume.affine)))
    affine = affine @ orientations.inv_ornt_aff(turn, voxels.shape)
    voxels = orientations.apply_orientation(voxels, turn)
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0).min()
    corners = np.array([[0, 0, 0, 1], [*np.subtract(volume.size, 1), 1]])
    off = np.abs(corners @ (affine - volume.affine).T).max()
    if voxels.shape != volume.size or off > _OFF_GRID * spacing:
        raise UnusableFileError(
            f"{label.name}: expected the grid of the series, {volume.size} voxels, found {voxels.shape}, up to "
            f"{off:.3g} mm off; save the label on the grid of its image"
        )
    values = np.asarray(voxels)
    if not np.isin(values, np.arange(_MOST_SEGMENTS + 1)).all():
        raise UnusableFileError(f"{label.name}: expected whole numbers from 0 to {_MOST_SEGMENTS}, found others")
    return values.astype(np.uint8)
