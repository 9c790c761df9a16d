"""Results as a DICOM structured report: measurements by name, value and unit, and what made them (TID 1500)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..figure import NOTE
from .dicom_origin import MANUFACTURER, SCHEME, Origin, equipment

Code = tuple[str, str, str]
"""Value, coding scheme and meaning."""

NO_UNIT: Code = ("1", "UCUM", "no units")
PERCENT: Code = ("%", "UCUM", "Percent")
CM_PER_S: Code = ("cm/s", "UCUM", "centimeter/second")
MEAN: Code = ("373098007", "SCT", "Mean")
STANDARD_DEVIATION: Code = ("386136009", "SCT", "Standard Deviation")
MINIMUM: Code = ("255605001", "SCT", "Minimum")
MAXIMUM: Code = ("56851009", "SCT", "Maximum")
COMMENT: Code = ("121106", "DCM", "Comment")


class Quantity(NamedTuple):
    """One number; a value of None is not known and is left out."""

    name: Code
    value: float | None
    unit: Code
    derivation: Code | None = None


class Group(NamedTuple):
    """Numbers that belong together, such as those of one beat, and what is to be said of them in words."""

    name: str
    quantities: Sequence[Quantity]
    comments: Sequence[str] = ()


class Report(NamedTuple):
    """What a case's report says, without what is the same for every method.

    Attributes:
        procedure, site: the examination, and the part of the body that is measured.
        groups: at least one.
    """

    procedure: Code
    site: Code
    groups: Sequence[Group]


def own_code(value: str, meaning: str) -> Code:
    """Return a code of this package, for what no public coding scheme has."""
    return value, SCHEME, meaning


def structured_report(report: Report, content: dict[str, Any], headers: Sequence[Any], origin: Origin) -> Any:
    """Return a Comprehensive SR that refers to the instances in `headers`.

    Args:
        report: the method's own measurements.
        content: the case's JSON, of which familiarity and doubts are taken.
        headers: of the source instances, all of one study.
        origin: what made the results.
    """
    from highdicom.sr import ComprehensiveSR, MeasurementReport

    uid = origin.uid(headers, "report")
    doubts = [f"DOUBTFUL: {reason}" for reason in content.get("doubts", [])]
    groups = [group._replace(comments=[*doubts, *group.comments]) for group in [*report.groups, *_familiarity(content)]]
    tree = MeasurementReport(
        observation_context=_observer(origin),
        procedure_reported=_coded(report.procedure),
        imaging_measurements=[_group(group, report.site, uid, headers, origin) for group in groups],
    )
    return ComprehensiveSR(
        evidence=headers,
        content=tree[0],
        series_instance_uid=origin.uid(headers, "report", "series"),
        series_number=9001,
        sop_instance_uid=uid,
        instance_number=1,
        is_complete=True,
        **equipment(origin, "report"),
    )


def _familiarity(content: dict[str, Any]) -> list[Group]:
    if content.get("familiarity") is None:
        return []
    name = own_code("familiarity", "Percentage of similar cases that are nearer to the training data")
    return [Group("familiarity", [Quantity(name, content["familiarity"], PERCENT)])]


def _observer(origin: Origin) -> Any:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(
        uid=origin.device_uid, name=origin.bundle, manufacturer_name=MANUFACTURER, model_name=origin.name
    )
    return ObservationContext(
        observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    )


def _group(group: Group, site: Code, uid: str, headers: Sequence[Any], origin: Origin) -> Any:
    from highdicom import sr

    made = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=origin.uid(headers, "report", group.name), identifier=f"{origin.bundle} {group.name}"
        ),
        algorithm_id=sr.AlgorithmIdentification(origin.name, origin.version, origin.parameters()),
        finding_sites=[sr.FindingSite(_coded(site))],
        measurements=[
            _measurement(quantity, value) for quantity in group.quantities if (value := quantity.value) is not None
        ],
        source_images=[
            sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID) for header in headers
        ],
    )
    contains = sr.RelationshipTypeValues.CONTAINS
    for text in (NOTE, *group.comments):
        made[0].ContentSequence.append(sr.TextContentItem(_coded(COMMENT), text, contains))
    return made


def _measurement(quantity: Quantity, value: float) -> Any:
    from highdicom import sr

    return sr.Measurement(
        name=_coded(quantity.name),
        value=value,
        unit=_coded(quantity.unit),
        derivation=None if quantity.derivation is None else _coded(quantity.derivation),
    )


def _coded(code: Code) -> Any:
    from highdicom.sr import CodedConcept

    value, scheme, meaning = code
    return CodedConcept(value, scheme, meaning)
