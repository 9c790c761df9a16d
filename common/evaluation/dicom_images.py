"""Results as DICOM images: a picture as secondary capture, masks as segmentations, probabilities as parametric maps."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from ..figure import NOTE
from .dicom_origin import MANUFACTURER, Origin, equipment
from .dicom_report import NO_UNIT, Code

MORPHOLOGICALLY_ABNORMAL: Code = ("49755003", "SCT", "Morphologically Abnormal Structure")
LESION: Code = ("52988006", "SCT", "Lesion")
_LONGEST_LABEL = 16  # of the value representation CS


class Segment(NamedTuple):
    """One mask or probability on the frames of its source.

    Attributes:
        name: what is segmented, one word.
        kind: its code.
        site: the part of the body.
        files: one DICOM file for each of the `values`, or the one file that holds all frames.
        values: (N, H, W), boolean, or probabilities from 0 to 1.
    """

    name: str
    kind: Code
    site: Code
    files: Sequence[Path]
    values: NDArray[Any]


def secondary_capture(picture: Path, headers: Sequence[Any], origin: Origin) -> Any:
    """Return a picture as an RGB secondary capture that names the instances in `headers` as its sources."""
    from highdicom.sc import SCImage
    from PIL import Image
    from pydicom.dataset import Dataset

    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    made = SCImage.from_ref_dataset(
        headers[0],
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),  # removed below: the axes of a figure are none of the patient's
        series_instance_uid=origin.uid(headers, "picture", "series"),
        series_number=9002,
        sop_instance_uid=origin.uid(headers, "picture"),
        instance_number=1,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **equipment(origin, "picture"),
    )
    made.copy_patient_and_study_information(headers[0])
    for keyword in ("PatientOrientation", "Laterality"):
        setattr(made, keyword, None)
    made.BurnedInAnnotation = "YES"
    made.ImageComments = NOTE
    made.DerivationDescription = f"figure of {origin.bundle} {origin.version}, weights {origin.weights_sha256}"
    made.SourceImageSequence = []
    for header in headers:
        reference = Dataset()
        reference.ReferencedSOPClassUID = header.SOPClassUID
        reference.ReferencedSOPInstanceUID = header.SOPInstanceUID
        made.SourceImageSequence.append(reference)
    return made


def segmentation(segment: Segment, headers: Sequence[Any], origin: Origin) -> Any:
    """Return a binary or fractional segmentation on the frames of its source.

    Args:
        segment: what is shown, on frames in the order of `headers`.
        headers: of the source's instances, one a frame, or one with all frames.
        origin: what made it.

    Raises:
        UnusableFileError: if the source has no frame of reference.
    """
    from highdicom.seg import Segmentation

    check_placed(segment.files, headers)
    fractional = segment.values.dtype != bool
    word = "probability" if fractional else "mask"
    made = Segmentation(
        headers,
        segment.values,
        segmentation_type="FRACTIONAL" if fractional else "BINARY",
        segment_descriptions=[_description(segment, headers, origin)],
        series_instance_uid=origin.uid(headers, word, "series"),
        series_number=9003 + fractional,
        sop_instance_uid=origin.uid(headers, word),
        instance_number=1,
        omit_empty_frames=False,
        content_description=f"{segment.name}, {word}; research use only",
        content_label=f"{segment.name} {word}".upper().replace(" ", "_")[:_LONGEST_LABEL],
        **equipment(origin, f"{segment.name} {word}"),
    )
    made.ImageComments = NOTE
    derive_dimension_uids(made, origin.uid(headers, word, "dimensions"))
    return made


def parametric_map(segment: Segment, headers: Sequence[Any], origin: Origin) -> Any:
    """Return probabilities as a parametric map of 32-bit numbers, exactly as they are, on the frames of the source.

    Arguments and errors are those of :func:`segmentation`.
    """
    from highdicom.pm import ParametricMap, RealWorldValueMapping
    from highdicom.sr import CodedConcept

    check_placed(segment.files, headers)
    mapping = RealWorldValueMapping(
        lut_label="PROBABILITY",
        lut_explanation=f"probability of {segment.name}",
        unit=CodedConcept(*NO_UNIT),
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
    )
    made = ParametricMap(
        headers,
        np.asarray(segment.values, np.float32),
        series_instance_uid=origin.uid(headers, "map", "series"),
        series_number=9005,
        sop_instance_uid=origin.uid(headers, "map"),
        instance_number=1,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        content_description=f"{segment.name}, probability; research use only",
        content_label=f"{segment.name} map".upper().replace(" ", "_")[:_LONGEST_LABEL],
        **_window(),
        **equipment(origin, f"{segment.name} probability map"),
    )
    made.ImageComments = NOTE
    made.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy(segment)]
    derive_dimension_uids(made, origin.uid(headers, "map", "dimensions"))
    return made


def _anatomy(segment: Segment) -> Any:
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset

    anatomy = Dataset()
    anatomy.FrameLaterality = "U"  # not a part of the body that there are two of
    anatomy.AnatomicRegionSequence = [CodedConcept(*segment.site)]
    return anatomy


def _window() -> dict[str, Any]:
    """Return how highdicom is told that probabilities from 0 to 1 fill the window: since 0.23 in another way."""
    from highdicom import VOILUTTransformation
    from highdicom.pm import ParametricMap

    window: dict[str, Any] = {"window_center": 0.5, "window_width": 1.0}
    if "voi_lut_transformations" in inspect.signature(ParametricMap).parameters:
        return {"voi_lut_transformations": [VOILUTTransformation(**window)]}
    return window


def check_placed(files: Sequence[Path], headers: Sequence[Any]) -> None:
    """Check that the source has one frame of reference and, in files of one frame, the thickness of its slices.

    Args:
        files: those of `headers`.
        headers: of the source's instances.

    Raises:
        UnusableFileError: if one lacks either, or has another frame of reference than the first.
    """
    first = headers[0].get("FrameOfReferenceUID")
    for file, header in zip(files, headers, strict=True):
        if header.get("FrameOfReferenceUID") != first or not first:
            found = "another than in " + files[0].name if header.get("FrameOfReferenceUID") and first else "none"
            expected = "one frame of reference (0020,0052)"
        elif "PerFrameFunctionalGroupsSequence" not in header and header.get("SliceThickness") is None:
            found, expected = "none", "a slice thickness (0018,0050)"
        else:
            continue
        raise UnusableFileError(
            f"{file}: expected {expected}, without which no segmentation or map has a place in the patient, found "
            f"{found}; export the series from the scanner again"
        )


def _description(segment: Segment, headers: Sequence[Any], origin: Origin) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        name=origin.name,
        family=codes.DCM.ArtificialIntelligence,
        version=origin.version,
        source=MANUFACTURER,
        parameters={"weights SHA-256": origin.weights_sha256, "settings": origin.settings},
    )
    category, kind, site = (CodedConcept(*code) for code in (MORPHOLOGICALLY_ABNORMAL, segment.kind, segment.site))
    return SegmentDescription(
        segment_number=1,
        segment_label=segment.name,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=origin.uid(headers, segment.name, "tracking"),
        tracking_id=f"{origin.bundle} {segment.name}",
        anatomic_regions=[site],
    )


def derive_dimension_uids(made: Any, uid: str) -> None:
    """Replace the UID of the dimensions, which highdicom draws by chance."""
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
