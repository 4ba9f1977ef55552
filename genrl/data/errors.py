"""Every error genrl raises on purpose: one clear sentence that names what is wrong and the remedy."""


class GenrlError(Exception):
    """Base of all errors raised by genrl."""


class DatasetError(GenrlError):
    """Something is wrong with a data set; subclasses say what."""


class DatasetIdError(DatasetError):
    """The id is not of the form ``(namespace/)name-vN``."""


class DatasetMissingError(DatasetError):
    """No data set of that id is stored here or on the remote."""


class DatasetExistsError(DatasetError):
    """A data set of that id exists already and overwriting was not asked for."""


class EmptyDatasetError(DatasetError):
    """The data set holds no transition."""


class CorruptDatasetError(DatasetError):
    """A file is truncated, half-written or does not match its manifest."""


class NonFiniteError(DatasetError):
    """A value is NaN or infinite."""


class OutOfSpaceError(DatasetError):
    """A value lies outside its space."""


class AlignmentError(DatasetError):
    """Observations and actions do not line up: T actions need T + 1 observations."""


class FlagError(DatasetError):
    """End flags are missing, doubled or in the middle of an episode."""


class UnsupportedSpaceError(GenrlError):
    """A space that this part of genrl does not support; the message says which are."""


class ConditionError(GenrlError):
    """A condition that a method does not understand or whose shape does not fit."""


class CheckpointError(GenrlError):
    """A checkpoint that cannot be read: wrong format version, not from genrl, truncated."""


class ConfigurationError(GenrlError):
    """A combination of settings that cannot work."""


class DivergenceError(GenrlError):
    """A fit led to weights, or guidance to states, that are no numbers."""


class WorkerError(GenrlError):
    """A process that worked for this one died."""


class NothingAcceptedError(GenrlError):
    """Not one of the candidates was good enough; the message says how near the best came."""


class OracleError(GenrlError):
    """A reward that failed, or gave what no GFlowNet can be trained on."""
