"""Simulated data with known answers, written in the layouts of public datasets."""

from common.phantoms.doppler import simulate_doppler as simulate_doppler
from common.phantoms.elastic_inclusion import CircularInclusion as CircularInclusion
from common.phantoms.rf_ultrasound import Disturbance as Disturbance
from common.phantoms.rf_ultrasound import RfAcquisition as RfAcquisition
from common.phantoms.rf_ultrasound import rf_pair as rf_pair
from common.phantoms.rf_ultrasound import simulate_rf_ultrasound as simulate_rf_ultrasound
from common.phantoms.smooth_motion import SmoothMotion as SmoothMotion
