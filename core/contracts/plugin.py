"""What every kind of plugin shares: a permanent name, a summary and an options model."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Generic, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from fieldmark.storage.errors import FieldmarkError


class PluginError(FieldmarkError):
    """Raise this to show the person a sentence instead of a traceback.

    Name the input that is wrong and say what to do about it.
    """


class Options(BaseModel):
    """A plugin's parameters: the form in the app, the flags on the command line, the fields over REST.

    Every field needs a default and a description. Allowed types: `bool`, `int`, `float`, `str`, an `Enum` or
    `Literal` of strings, `list[str]`, `pathlib.Path`, and any of them with `None`. A field may say
    `json_schema_extra={"choices_from": "column"}` (or `"question"`) to offer what `Importer.describe` found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


O = TypeVar("O", bound=Options, default=Options)


class Plugin(ABC, Generic[O]):
    """Base of every capability.

    `name` is lower-case kebab-case, unique in its kind, and stored with every label and prediction, so it can
    never change once released. Importing the module that defines a plugin must stay cheap: import torch and
    the like inside methods.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    options_model: ClassVar[type[Options]] = Options

    def __init__(self, options: O) -> None:
        self.options = options

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Plugin):
                for argument in get_args(base):
                    if isinstance(argument, type) and issubclass(argument, Options):
                        cls.options_model = argument
