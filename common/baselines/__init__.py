"""Plain methods that results are measured against."""

from common.baselines.envelope_peaks import envelope_peaks as envelope_peaks
