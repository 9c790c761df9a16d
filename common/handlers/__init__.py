"""Ignite handlers for training, resuming, evaluating and writing results."""

from common.handlers.doppler_evaluation import DopplerEvaluation as DopplerEvaluation
from common.handlers.doppler_results import DopplerResults as DopplerResults
from common.handlers.doppler_rows import doppler_row as doppler_row
from common.handlers.elastography import ElastographyEvaluation as ElastographyEvaluation
from common.handlers.elastography_results import ElastographyResults as ElastographyResults
from common.handlers.elastography_results import quality_map as quality_map
from common.handlers.flow_training import ClipGradients as ClipGradients
from common.handlers.flow_training import PrepareFlowBatch as PrepareFlowBatch
from common.handlers.flow_training import SkippedPairs as SkippedPairs
from common.handlers.start_mode import start_in_mode as start_in_mode
