"""What every training shares: best model, history, resume, start weights, precision, processes."""

from common.training.best_model import KeepBest as KeepBest
from common.training.cross_validation import CrossValidation as CrossValidation
from common.training.epoch_seed import EpochSeed as EpochSeed
from common.training.finite_weights import StopIfNotFinite as StopIfNotFinite
from common.training.gather import gather_with_gradient as gather_with_gradient
from common.training.handler_group import HandlerGroup as HandlerGroup
from common.training.history import History as History
from common.training.history import draw_history as draw_history
from common.training.precision import MixedPrecisionInferer as MixedPrecisionInferer
from common.training.processes import bare_network as bare_network
from common.training.processes import distributed_network as distributed_network
from common.training.processes import gather_rows as gather_rows
from common.training.processes import is_main_process as is_main_process
from common.training.progress_bar import ProgressBar as ProgressBar
from common.training.resume import ResumeLoader as ResumeLoader
from common.training.resume import ResumeSaver as ResumeSaver
from common.training.weights import load_state as load_state
from common.training.weights import load_weights as load_weights
from common.training.weights import save_state as save_state
from common.training.weights import start_from_pretrained as start_from_pretrained
