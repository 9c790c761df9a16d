"""Ignite handlers for training, resuming, evaluating and writing results."""

from common.handlers.clips import ClipInferer as ClipInferer
from common.handlers.clips import PrepareViews as PrepareViews
from common.handlers.distributed import bare_network as bare_network
from common.handlers.distributed import distributed_network as distributed_network
from common.handlers.distributed import gather_rows as gather_rows
from common.handlers.distributed import is_main_process as is_main_process
from common.handlers.epoch_seed import EpochSeed as EpochSeed
from common.handlers.evaluation import EvaluationRow as EvaluationRow
from common.handlers.evaluation import write_evaluation as write_evaluation
from common.handlers.failures import FailureLog as FailureLog
from common.handlers.handler_group import HandlerGroup as HandlerGroup
from common.handlers.heart_failure import HeartFailureEvaluation as HeartFailureEvaluation
from common.handlers.heart_failure import HeartFailureResults as HeartFailureResults
from common.handlers.heart_failure import section_row as section_row
from common.handlers.history import History as History
from common.handlers.keep_best import KeepBest as KeepBest
from common.handlers.progress_bar import ProgressBar as ProgressBar
from common.handlers.restoration_picture import RestorationPicture as RestorationPicture
from common.handlers.resume import ResumeLoader as ResumeLoader
from common.handlers.resume import ResumeSaver as ResumeSaver
from common.handlers.rows import RowCollector as RowCollector
from common.handlers.rows import RowMetric as RowMetric
from common.handlers.weights import load_state as load_state
from common.handlers.weights import load_weights as load_weights
from common.handlers.weights import save_state as save_state
from common.handlers.weights import start_from_pretrained as start_from_pretrained
