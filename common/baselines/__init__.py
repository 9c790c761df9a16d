"""Plain methods that results are measured against."""

from common.baselines.envelope_peaks import envelope_peaks as envelope_peaks
from common.baselines.estimates import ClassicalSettings as ClassicalSettings
from common.baselines.estimates import classical_flows as classical_flows
from common.baselines.glue import GlueSettings as GlueSettings
from common.baselines.glue import glue_displacement as glue_displacement
from common.baselines.ncc import Track as Track
from common.baselines.ncc import local_correlation as local_correlation
from common.baselines.ncc import track_by_correlation as track_by_correlation
