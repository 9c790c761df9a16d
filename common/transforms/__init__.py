"""Transforms of the five papers as array and dictionary pairs."""

from common.transforms.heat_maps import DrawHeatMaps as DrawHeatMaps
from common.transforms.heat_maps import DrawHeatMapsd as DrawHeatMapsd
from common.transforms.heat_maps import draw_heat_maps as draw_heat_maps
from common.transforms.load_doppler import LoadDopplerd as LoadDopplerd
from common.transforms.peak_decoding import DecodePeaksd as DecodePeaksd
from common.transforms.peak_decoding import decode_peaks as decode_peaks
from common.transforms.peak_decoding import keep_best_class as keep_best_class
from common.transforms.spectral_fit import FitSpectrum as FitSpectrum
from common.transforms.spectral_fit import FitSpectrumd as FitSpectrumd
from common.transforms.spectral_fit import to_image as to_image
from common.transforms.spectral_fit import to_network as to_network
from common.transforms.spectral_views import RandGain as RandGain
from common.transforms.spectral_views import RandGaind as RandGaind
from common.transforms.spectral_views import RandTraceAffine as RandTraceAffine
from common.transforms.spectral_views import RandTraceAffined as RandTraceAffined
from common.transforms.spectral_views import TwoViewsd as TwoViewsd
