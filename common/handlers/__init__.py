"""Ignite handlers for training, resuming, evaluating and writing results."""

from common.handlers.clips import ClipInferer as ClipInferer
from common.handlers.clips import PrepareViews as PrepareViews
from common.handlers.doppler_evaluation import DopplerEvaluation as DopplerEvaluation
from common.handlers.doppler_results import DopplerResults as DopplerResults
from common.handlers.doppler_rows import doppler_row as doppler_row
from common.handlers.echo_transfer import FoldTable as FoldTable
from common.handlers.echo_transfer import camus_row as camus_row
from common.handlers.echo_transfer import camus_table as camus_table
from common.handlers.echo_transfer import infarction_row as infarction_row
from common.handlers.echo_transfer import infarction_table as infarction_table
from common.handlers.echo_weights import start_from_echo_weights as start_from_echo_weights
from common.handlers.ef_results import EjectionFractionResults as EjectionFractionResults
from common.handlers.ejection_fraction import EjectionFractionEvaluation as EjectionFractionEvaluation
from common.handlers.ejection_fraction import ejection_fraction_row as ejection_fraction_row
from common.handlers.ejection_fraction import mean_label as mean_label
from common.handlers.ejection_fraction import rows_mean_absolute_error as rows_mean_absolute_error
from common.handlers.ejection_fraction import rows_r_squared as rows_r_squared
from common.handlers.elastography import ElastographyEvaluation as ElastographyEvaluation
from common.handlers.elastography_results import ElastographyResults as ElastographyResults
from common.handlers.elastography_results import quality_map as quality_map
from common.handlers.flow_training import ClipGradients as ClipGradients
from common.handlers.flow_training import PrepareFlowBatch as PrepareFlowBatch
from common.handlers.flow_training import SkippedPairs as SkippedPairs
from common.handlers.start_mode import start_in_mode as start_in_mode
