"""What every evaluation shares: rows, intervals, tables, per-case results."""

from ..figure import NOTE as NOTE
from ..figure import figure as figure
from .case_results import CaseResults as CaseResults
from .dicom_results import DicomResults as DicomResults
from .evaluation import Evaluation as Evaluation
from .familiarity import Familiarity as Familiarity
from .familiarity import FamiliarityCheck as FamiliarityCheck
from .familiarity import FitFamiliarity as FitFamiliarity
from .intervals import Interval as Interval
from .intervals import bootstrap_interval as bootstrap_interval
from .intervals import paired_difference as paired_difference
from .restoration import restoration_ratio as restoration_ratio
from .restoration import restoration_row as restoration_row
from .restoration import restored_mse as restored_mse
from .rows import RowCollector as RowCollector
from .rows import RowMetric as RowMetric
from .table import EvaluationRow as EvaluationRow
from .table import write_evaluation as write_evaluation
