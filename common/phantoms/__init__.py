"""Simulated data with known answers, written in the layouts of public datasets."""

from common.phantoms.cine_mr import simulate_cine_mr as simulate_cine_mr
from common.phantoms.neonatal_adc import NeonatalCase as NeonatalCase
from common.phantoms.neonatal_adc import neonatal_case as neonatal_case
from common.phantoms.neonatal_adc import simulate_neonatal_adc as simulate_neonatal_adc
from common.phantoms.doppler import simulate_doppler as simulate_doppler
from common.phantoms.echo import simulate_echo as simulate_echo
