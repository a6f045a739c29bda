"""The errors of this package; each text says what to do next.

* IoaError
  x SettingsError
    + UsageError
  x ProcessFailed
  x StudyError
  x NoResult
"""


class IoaError(Exception):
    """Base of all errors of this package."""


class SettingsError(IoaError):
    """A flag, an environment variable or the settings file holds a wrong value."""


class UsageError(SettingsError):
    """An option is missing, or options do not belong together."""


class ProcessFailed(IoaError):
    """A process of a local consortium did not do its work; the text names its log."""


class StudyError(IoaError):
    """A study cannot be run, written or read."""


class NoResult(IoaError):
    """There is no result, a file is not a result, or results cannot be written."""
