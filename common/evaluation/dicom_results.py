"""Results as DICOM objects beside the source: what `--dicom_results true` adds to an inference."""

import importlib.util
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from ..data.case_stream import CaseStream
from ..data.dicom import fault_of, silent_pydicom
from ..data.dicom_source import UTF_8, checked_root, read_instances
from ..data.output import safe_name
from ..errors import UnusableFileError
from ..files import replacing
from .case_results import CaseResults
from .dicom_images import parametric_map, secondary_capture, segmentation
from .dicom_origin import read_origin
from .dicom_report import structured_report

FOLDER = "dicom"
# What highdicom raises for attributes that are missing or not as the standard has them.
_HEADER_FAULTS = (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError)


class DicomResults:
    """Writes each case's report, picture and segmentations to `OUTPUT/dicom/`, filed under the source's patient.

    A case whose objects cannot be written goes to `failed.csv` with the reason; its other results stay.

    Args:
        results: what writes JSON and figures; it comes before this one among the handlers.
        dataset: the cases.
        bundle_root: folder of the bundle, whose metadata name the model.
        resolved: what is resolved of the config, by id (`__local_refs`); its settings are part of the objects.
        write: whether to write any object.
        anonymous: whether to write them without patient and study, and with other UIDs.
        uid_root: root of new UIDs.

    Raises:
        ValueError: if `uid_root` is no root.
    """

    def __init__(
        self,
        results: CaseResults,
        dataset: CaseStream,
        bundle_root: str,
        resolved: Mapping[str, Any],
        write: bool = False,
        anonymous: bool = False,
        uid_root: str = "2.25",
    ) -> None:
        self.results, self.dataset, self.bundle_root, self.resolved = results, dataset, bundle_root, resolved
        self.write, self.anonymous, self.uid_root = write, anonymous, checked_root(uid_root)

    def attach(self, engine: Engine) -> None:
        """Write during the run of `engine`."""
        if self.write:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._write_new)

    def _start(self, engine: Engine) -> None:
        if importlib.util.find_spec("highdicom") is None:
            raise ValueError(
                "dicom_results: expected the package highdicom, found none; pip install "
                "'cardiac-neonatal-bundles[dicom]', or leave out --dicom_results"
            )
        self._sources = dict(reversed(self.dataset.named_sources()))  # of two cases of a name the first is read
        self._origin = read_origin(self.bundle_root, self.resolved, self.uid_root)
        self._finished, self._done = frozenset(self.results.rows), set(self.results.rows)  # with --skip_finished
        if not self.results.failures.rank:
            self._write_all(self._finished & self._sources.keys())

    def _write_new(self, engine: Engine) -> None:
        new = self.results.rows.keys() - self._done
        self._done |= new
        self._write_all(new)

    def _write_all(self, cases: Collection[str]) -> None:
        for case in sorted(cases):
            with self.results.failures.guard(case):
                self._write_case(case)

    def _write_case(self, case: str) -> None:
        source = self._sources[case]
        files = self.results.dicom_files(source)
        if not files:
            raise UnusableFileError(
                f"no DICOM objects: expected a case in DICOM files, found {case} in others; leave out --dicom_results"
            )
        read = partial(read_instances, anonymous=self.anonymous, uid_root=self.uid_root)
        headers = _told(files[0], read, files)
        content = self.results.read_json(case)
        report = self.results.report(content)
        if report is not None:
            self._save(case, "report", files[0], structured_report, report, content, headers, self._origin)
        picture = self.results.output.folder / f"{safe_name(case)}.png"
        self._save(case, "picture", files[0], secondary_capture, picture, headers, self._origin)
        for ending, segment in self.results.segments(content, source).items():
            frames = _told(segment.files[0], read, segment.files)
            self._save(case, ending, segment.files[0], segmentation, segment, frames, self._origin)
            if segment.values.dtype != bool:
                self._save(case, f"{ending}_map", segment.files[0], parametric_map, segment, frames, self._origin)

    def _save(self, case: str, ending: str, file: Path, make: Callable[..., Any], *arguments: Any) -> None:
        """Write one object; what is wrong with it goes to `failed.csv` and takes no other one down."""
        path: Path = self.results.output.file(f"{FOLDER}/{safe_name(case)}_{ending}.dcm")
        if case in self._finished and path.is_file():
            return
        with self.results.failures.guard(case), silent_pydicom():
            made = _told(file, make, *arguments)
            made.SpecificCharacterSet = UTF_8
            with replacing(path) as temporary:
                made.save_as(temporary)


def _told(file: Path, make: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `make` returns; errors of libraries lose their text, which may quote the patient, and name `file`."""
    try:
        with silent_pydicom():
            return make(*arguments)
    except UnusableFileError as error:
        raise UnusableFileError(f"no DICOM objects: {error}") from None
    except _HEADER_FAULTS as error:
        raise UnusableFileError(
            f"no DICOM objects: {file}: expected a header from which they can be made, found {fault_of(error)}; export "
            "the series again"
        ) from None
