"""Ignite handlers for training, resuming, evaluating and writing results."""

from common.handlers.doppler_evaluation import DopplerEvaluation as DopplerEvaluation
from common.handlers.doppler_results import DopplerResults as DopplerResults
from common.handlers.doppler_rows import doppler_row as doppler_row
from common.handlers.start_mode import start_in_mode as start_in_mode
