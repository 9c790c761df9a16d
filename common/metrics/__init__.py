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
from common.metrics.peak_matching import Tolerance as Tolerance
from common.metrics.peak_matching import match_peaks as match_peaks
from common.metrics.peak_matching import peak_tolerance as peak_tolerance
from common.metrics.wave_agreement import ImageCounts as ImageCounts
from common.metrics.wave_agreement import wave_agreement as wave_agreement
