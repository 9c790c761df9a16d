"""Files to tensors and datalists: one module a modality, one function a public dataset layout."""

from common.readers.ultrasound_dicom import UltrasoundImage as UltrasoundImage
from common.readers.ultrasound_dicom import UltrasoundRegion as UltrasoundRegion
from common.readers.ultrasound_dicom import read_ultrasound as read_ultrasound
