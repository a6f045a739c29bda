"""What can go wrong with a study."""

from ioa.errors import IoaError


class StudyError(IoaError):
    """A study cannot be run or read; the text says what to do next."""
