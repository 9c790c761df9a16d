"""Simulated data with known answers, written in the layouts of public datasets."""

from common.phantoms.cine_mr import simulate_cine_mr as simulate_cine_mr
from common.phantoms.echo import simulate_echo as simulate_echo
