"""Ignite handlers for training, resuming, evaluating and writing results."""

from common.handlers.distributed import bare_network as bare_network
from common.handlers.distributed import gather_rows as gather_rows
from common.handlers.distributed import is_main_process as is_main_process
from common.handlers.epoch_seed import EpochSeed as EpochSeed
from common.handlers.failures import FailureLog as FailureLog
from common.handlers.flow_training import ClipGradients as ClipGradients
from common.handlers.flow_training import PrepareFlowBatch as PrepareFlowBatch
from common.handlers.flow_training import SkippedPairs as SkippedPairs
from common.handlers.history import History as History
from common.handlers.keep_best import KeepBest as KeepBest
from common.handlers.resume import ResumeLoader as ResumeLoader
from common.handlers.resume import ResumeSaver as ResumeSaver
from common.handlers.weights import load_state as load_state
from common.handlers.weights import load_weights as load_weights
from common.handlers.weights import save_state as save_state
from common.handlers.weights import start_from_pretrained as start_from_pretrained
