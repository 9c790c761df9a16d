"""Errors that name the file, what was expected, what was found and the remedy."""


class UnusableFileError(ValueError):
    """A file cannot serve: damaged, of another kind, or without what the method needs."""


class NoDataError(ValueError):
    """A folder holds no case in any layout that is understood."""


class FailedCasesError(RuntimeError):
    """Some cases of a batch failed; the others are written."""


class OutputFolderError(ValueError):
    """A folder that results must not be written to."""


class StudyError(ValueError):
    """A study that cannot be run as it was asked for."""


class NoWeightsError(FileNotFoundError):
    """A bundle has no trained weights."""


class DivergedError(RuntimeError):
    """A training whose weights are no longer numbers."""
