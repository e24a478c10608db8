"""Calls into plugins: whatever one of them raises becomes a sentence that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fieldmark.storage.errors import FieldmarkError


@contextmanager
def blamed_on(plugin: str, *through: type[Exception]) -> Iterator[None]:
    """Turn what a plugin raises inside the block into a `FieldmarkError` that names the plugin.

    `plugin` is its title, such as `importer 'csv'`. A `FieldmarkError`, which a plugin raises as `PluginError`,
    is meant for the person and passes, and so does what is in `through`.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, (FieldmarkError, *through)):
            raise
        raise FieldmarkError(
            f"the {plugin} failed ({in_words(error)}): choose another, or report it to its author"
        ) from error


def in_words(error: BaseException) -> str:
    """Return type and text of an exception on one line."""
    text = " ".join(str(error).split())
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:400]
