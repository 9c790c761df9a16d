"""Metrics, intervals and matching rules that MONAI lacks."""

from common.metrics.intervals import Interval as Interval
from common.metrics.intervals import bootstrap_interval as bootstrap_interval
from common.metrics.intervals import paired_difference as paired_difference
