"""What can go wrong in the command line program itself.

* IoaError
  x SettingsError
"""


class IoaError(Exception):
    """Base of all errors of this package; the text says what to do next."""


class SettingsError(IoaError):
    """A flag, an environment variable or the settings file holds something wrong."""
