"""Metrics, intervals and matching rules that MONAI lacks."""

from common.metrics.heart_failure import patient_auc as patient_auc
from common.metrics.heart_failure import section_auc as section_auc
from common.metrics.intervals import Interval as Interval
from common.metrics.intervals import bootstrap_interval as bootstrap_interval
from common.metrics.intervals import paired_difference as paired_difference
from common.metrics.regression import Agreement as Agreement
from common.metrics.regression import Band as Band
from common.metrics.regression import area_under_curve_below as area_under_curve_below
from common.metrics.regression import bland_altman as bland_altman
from common.metrics.regression import error_by_band as error_by_band
from common.metrics.regression import feature_order_correlation as feature_order_correlation
from common.metrics.regression import mean_absolute_error as mean_absolute_error
from common.metrics.regression import pearson_correlation as pearson_correlation
from common.metrics.regression import r_squared as r_squared
from common.metrics.regression import root_mean_square_error as root_mean_square_error
from common.metrics.restoration import restoration_ratio as restoration_ratio
from common.metrics.restoration import restoration_row as restoration_row
from common.metrics.restoration import restored_mse as restored_mse
