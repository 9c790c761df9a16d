"""Metrics, intervals and matching rules that MONAI lacks."""

from common.metrics.heart_failure import patient_auc as patient_auc
from common.metrics.heart_failure import section_auc as section_auc
from common.metrics.intervals import Interval as Interval
from common.metrics.intervals import bootstrap_interval as bootstrap_interval
from common.metrics.intervals import paired_difference as paired_difference
from common.metrics.restoration import restoration_ratio as restoration_ratio
from common.metrics.restoration import restoration_row as restoration_row
from common.metrics.restoration import restored_mse as restored_mse
