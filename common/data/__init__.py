"""What every reader shares: case stream, failures, caching, listing, ultrasound DICOM."""

from .caching import cached_dataset as cached_dataset
from .case_stream import CaseStream as CaseStream
from .dicom import is_dicom as is_dicom
from .dicom import read_dicom as read_dicom
from .dicom_pixels import decode_pixels as decode_pixels
from .failures import FailureLog as FailureLog
from .ultrasound_dicom import UltrasoundImage as UltrasoundImage
from .ultrasound_dicom import UltrasoundRegion as UltrasoundRegion
from .ultrasound_dicom import read_ultrasound as read_ultrasound
from .ultrasound_dicom import read_ultrasound_header as read_ultrasound_header
