"""Simulated data with known answers, written in the layouts of public datasets."""

from common.phantoms.echo import simulate_echo as simulate_echo
