"""Metrics, intervals and matching rules that MONAI lacks."""

from common.metrics.doppler_beats import Beat as Beat
from common.metrics.doppler_beats import Peak as Peak
from common.metrics.doppler_beats import pair_beats as pair_beats
from common.metrics.doppler_beats import summarise_beats as summarise_beats
from common.metrics.doppler_rows import PeakRow as PeakRow
from common.metrics.doppler_rows import a_f1 as a_f1
from common.metrics.doppler_rows import e_f1 as e_f1
from common.metrics.doppler_rows import image_counts as image_counts
from common.metrics.doppler_rows import mean_f1 as mean_f1
from common.metrics.doppler_rows import peak_rows as peak_rows
from common.metrics.elastography import contrast_to_noise as contrast_to_noise
from common.metrics.elastography import error_statistics as error_statistics
from common.metrics.elastography import strain_ratio as strain_ratio
from common.metrics.elastography import strain_signal_to_noise as strain_signal_to_noise
from common.metrics.elastography import window_metrics as window_metrics
from common.metrics.flow_rows import ElastographyRow as ElastographyRow
from common.metrics.flow_rows import MeanOf as MeanOf
from common.metrics.flow_rows import end_point_row as end_point_row
from common.metrics.peak_matching import Tolerance as Tolerance
from common.metrics.peak_matching import match_peaks as match_peaks
from common.metrics.peak_matching import peak_tolerance as peak_tolerance
from common.metrics.strain_case import case_figures as case_figures
from common.metrics.strain_case import inclusion_masks as inclusion_masks
from common.metrics.wave_agreement import ImageCounts as ImageCounts
from common.metrics.wave_agreement import wave_agreement as wave_agreement
