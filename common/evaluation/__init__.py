"""What every evaluation shares: rows, intervals, tables, per-case results."""

from common.evaluation.case_results import CaseResults as CaseResults
from common.evaluation.intervals import Interval as Interval
from common.evaluation.intervals import bootstrap_interval as bootstrap_interval
from common.evaluation.intervals import paired_difference as paired_difference
from common.evaluation.restoration import restoration_ratio as restoration_ratio
from common.evaluation.restoration import restoration_row as restoration_row
from common.evaluation.restoration import restored_mse as restored_mse
from common.evaluation.rows import RowCollector as RowCollector
from common.evaluation.rows import RowMetric as RowMetric
from common.evaluation.table import EvaluationRow as EvaluationRow
from common.evaluation.table import write_evaluation as write_evaluation
