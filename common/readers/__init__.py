"""Files to tensors and datalists: one module a modality, one function a public dataset layout."""

from common.readers.caching import cached_dataset as cached_dataset
from common.readers.case_stream import CaseStream as CaseStream
from common.readers.cine_datalist import acdc_datalist as acdc_datalist
from common.readers.cine_datalist import cine_cases as cine_cases
from common.readers.cine_datalist import cine_datalist as cine_datalist
from common.readers.cine_datalist import folder_datalist as folder_datalist
from common.readers.cine_datalist import kaggle_datalist as kaggle_datalist
from common.readers.cine_datalist import mnms_datalist as mnms_datalist
from common.readers.cine_datalist import sunnybrook_datalist as sunnybrook_datalist
from common.readers.cine_folds import cine_folds as cine_folds
from common.readers.cine_labels import ejection_fraction as ejection_fraction
from common.readers.cine_labels import ejection_fraction_from_contours as ejection_fraction_from_contours
from common.readers.cine_labels import ejection_fraction_from_masks as ejection_fraction_from_masks
from common.readers.cine_labels import hf_class as hf_class
from common.readers.cine_labels import ventricular_volumes_ml as ventricular_volumes_ml
from common.readers.cine_mr import Cine as Cine
from common.readers.cine_mr import read_cine as read_cine
from common.readers.rf_formats import RfRecord as RfRecord
from common.readers.rf_formats import RfSettings as RfSettings
from common.readers.rf_formats import read_rf as read_rf
from common.readers.rf_ultrasound import rf_csv_pairs as rf_csv_pairs
from common.readers.rf_ultrasound import rf_datalist as rf_datalist
from common.readers.rf_ultrasound import rf_pairs as rf_pairs
