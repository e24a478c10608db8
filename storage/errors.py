"""The one exception whose text is meant for a person."""


class FieldmarkError(Exception):
    """Its message names the input and says what to do; no face shows a traceback for it."""


class NotSaved(FieldmarkError):
    """The database could not write, for want of disk, memory or quiet; nothing changed, and it may go another time."""


class NotFound(FieldmarkError):
    """What the message names isn't there (any more); a web address of it answers 404."""
