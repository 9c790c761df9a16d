"""Simulated data with known answers, written in the layouts of public datasets."""

from common.phantoms.doppler import simulate_doppler as simulate_doppler
