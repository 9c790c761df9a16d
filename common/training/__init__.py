"""What every training shares: best model, history, resume, start weights, precision, processes."""

from .best_model import KeepBest as KeepBest
from .epoch_seed import EpochSeed as EpochSeed
from .finite_weights import StopIfNotFinite as StopIfNotFinite
from .gather import gather_with_gradient as gather_with_gradient
from .history import History as History
from .history import draw_history as draw_history
from .precision import PrecisionInferer as PrecisionInferer
from .precision import default_precision as default_precision
from .precision import fast_precision as fast_precision
from .processes import bare_network as bare_network
from .processes import distributed_network as distributed_network
from .processes import gather_rows as gather_rows
from .processes import is_main_process as is_main_process
from .processes import leave_together as leave_together
from .progress_bar import ProgressBar as ProgressBar
from .resume import ResumeLoader as ResumeLoader
from .resume import ResumeSaver as ResumeSaver
from .trainer import Trainer as Trainer
from .weights import load_state as load_state
from .weights import load_weights as load_weights
from .weights import save_state as save_state
from .weights import start_from_pretrained as start_from_pretrained
