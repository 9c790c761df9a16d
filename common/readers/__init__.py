"""Files to tensors and datalists: one module a modality, one function a public dataset layout."""

from common.readers.caching import cached_dataset as cached_dataset
from common.readers.case_stream import CaseStream as CaseStream
