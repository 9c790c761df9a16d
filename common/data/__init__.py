"""What every reader shares: case stream, failures, caching, listing, ultrasound DICOM."""

from common.data.caching import cached_dataset as cached_dataset
from common.data.case_stream import CaseStream as CaseStream
from common.data.failures import FailureLog as FailureLog
from common.data.ultrasound_dicom import UltrasoundImage as UltrasoundImage
from common.data.ultrasound_dicom import UltrasoundRegion as UltrasoundRegion
from common.data.ultrasound_dicom import read_ultrasound as read_ultrasound
from common.data.ultrasound_dicom import read_ultrasound_header as read_ultrasound_header
