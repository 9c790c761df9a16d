"""Simulated data with known answers, written in the layouts of public datasets."""

from common.phantoms.cine_mr import simulate_cine_mr as simulate_cine_mr
from common.phantoms.doppler import simulate_doppler as simulate_doppler
