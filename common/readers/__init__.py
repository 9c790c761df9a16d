"""Files to tensors and datalists: one module a modality, one function a public dataset layout."""

from common.readers.doppler_calibration import CalibrationError as CalibrationError
from common.readers.doppler_calibration import DopplerCalibration as DopplerCalibration
from common.readers.doppler_calibration import peak_velocity_cm_s as peak_velocity_cm_s
from common.readers.doppler_calibration import spectral_calibration as spectral_calibration
from common.readers.doppler_datalist import doppler_cases as doppler_cases
from common.readers.doppler_datalist import doppler_datalist as doppler_datalist
from common.readers.doppler_image import DopplerImage as DopplerImage
from common.readers.doppler_image import read_doppler as read_doppler
from common.readers.doppler_labels import WAVES as WAVES
from common.readers.doppler_labels import DopplerLabel as DopplerLabel
from common.readers.doppler_labels import doppler_label as doppler_label
from common.readers.doppler_labels import read_label_rows as read_label_rows
