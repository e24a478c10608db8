"""Options of a plugin: what they are for a form, how they are read, and which ones are refused."""

from __future__ import annotations

import csv
import difflib
import enum
import io
import math
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fieldmark.core.contracts.plugin import Options
from fieldmark.storage.errors import FieldmarkError

OptionValues: TypeAlias = Sequence[str] | Mapping[str, Any]
"""`["bins=16"]` from a command line, or `{"bins": 16}` from a form or REST."""
OptionType = Literal["bool", "int", "float", "text", "choice", "list", "path"]

_ALLOWED = "bool, int, float, str, an Enum or Literal of strings, list[str] or pathlib.Path, each with or without None"
_PLAIN: dict[type, OptionType] = {bool: "bool", int: "int", float: "float", str: "text", Path: "path"}


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option, as plain data that a form, `--help` and REST can show."""

    name: str
    type: OptionType
    default: bool | int | float | str | list[str] | None
    """As in JSON: a path is a string, an Enum member its value."""
    description: str
    optional: bool = False
    """None is allowed; on a command line it is written as nothing: `name=`."""
    choices: tuple[str, ...] = ()
    """Every allowed value, for the type `choice`."""
    minimum: float | None = None
    maximum: float | None = None
    minimum_excluded: bool = False
    """True: the value must be above `minimum`; False: at least `minimum`."""
    maximum_excluded: bool = False
    choices_from: str | None = None
    """`column` or `question`: offer the fields of that kind which `Importer.describe` found."""

    def allowed(self) -> str:
        """Return what may be given, as the end of the sentence "it must be ..."."""
        words = {
            "bool": "true or false",
            "int": "a whole number",
            "float": "a number",
            "text": "text",
            "choice": "one of " + ", ".join(self.choices),
            "list": "a list separated by commas",
            "path": "a path",
        }[self.type]
        words += _range_words(self)
        return f"{words}, or nothing" if self.optional else words


def parse_options(model: type[Options], values: OptionValues = (), *, owner: str = "") -> Options:
    """Return validated options from `name=value` strings or from a mapping.

    In strings a list is separated by commas (quote an entry that holds one: `a,"b,c"`), and an empty value is
    None where None is allowed. `-` and `_` in names are the same. `owner`, such as `backbone 'blur'`, is named
    in messages. Raises `FieldmarkError` that names the option, what is allowed, and the nearest name.
    """
    fields = {field.name: field for field in option_fields(model)}
    given: dict[str, Any] = {}
    for written, value in _pairs(values, owner):
        name = written.replace("-", "_")
        field = fields.get(name)
        if field is None:
            raise FieldmarkError(_unknown(written, list(fields), owner))
        if name in given:
            raise FieldmarkError(f"Option '{name}'{_of(owner)} is given twice: give it once.")
        given[name] = _from_text(field, value)
        if isinstance(given[name], float) and not math.isfinite(given[name]):
            raise FieldmarkError(_refusal(field, value, owner))
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise FieldmarkError(_explain(error, fields, owner)) from None


def option_fields(model: type[Options]) -> list[OptionField]:
    """Return the options of an admitted model in the order they were declared."""
    properties = model.model_json_schema()["properties"] if model.model_fields else {}
    defaults = model.model_construct().model_dump(mode="json", warnings=False)
    return [
        _option_field(name, field, properties.get(name, {}), defaults.get(name))
        for name, field in model.model_fields.items()
    ]


def refused_fields(model: type[Options]) -> list[str]:
    """Return one sentence for each reason to refuse this model; empty when it is fine."""
    reasons: list[str] = []
    if model.model_config.get("extra") != "forbid":
        reasons.append("The options model must keep extra='forbid'.")
    for name, field in model.model_fields.items():
        if field.is_required():
            reasons.append(f"Option '{name}' has no default.")
        if not (field.description or "").strip():
            reasons.append(f"Option '{name}' has no description.")
        if field.alias or field.validation_alias or field.serialization_alias:
            reasons.append(f"Option '{name}' has an alias; rename the field instead.")
        if _classify(field.annotation) is None:
            reasons.append(
                f"Option '{name}' has the type {_type_words(field.annotation)}; allowed are {_ALLOWED}."
            )
    return reasons or _bad_defaults(model)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant, if any is near."""
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return folded[found[0]] if found else None


def shown(value: object) -> str:
    """Return a value as it appears in a message: quoted, on one line, at most 80 characters."""
    text = repr(value) if isinstance(value, str) else repr(str(value))
    return text if len(text) <= 80 else text[:76] + "...'"


def _pairs(values: OptionValues, owner: str) -> Iterable[tuple[str, Any]]:
    if isinstance(values, Mapping):
        yield from ((str(name), value) for name, value in values.items())
        return
    for pair in [values] if isinstance(values, str) else values:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise FieldmarkError(f"Option {shown(pair)}{_of(owner)} has no value: write it as name=value.")
        yield name.strip(), value


def _from_text(field: OptionField, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if field.type == "list":
        try:
            rows = list(csv.reader(io.StringIO(value, newline=""), skipinitialspace=True))
        except csv.Error as error:
            raise FieldmarkError(
                f"Option '{field.name}' can't be read as a list ({error}): write it as one,two,three."
            ) from None
        return [item.strip() for row in rows for item in row] if value.strip() else []
    if value == "" and field.optional:
        return None
    if field.type == "float":
        try:
            return float(value)
        except ValueError:
            return value
    return value.strip() if field.type in ("bool", "int", "choice") and value not in field.choices else value


def _explain(error: ValidationError, fields: Mapping[str, OptionField], owner: str) -> str:
    sentences = []
    for problem in error.errors(include_url=False, include_context=True):
        field = fields.get(str(problem["loc"][0])) if problem["loc"] else None
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, Exception):
            where = f"Option '{field.name}'" if field else "The options"
            sentences.append(f"{where}{_of(owner)}: {str(cause) or type(cause).__name__}")
        elif field is not None and field.type == "text" and isinstance(problem["input"], str):
            sentences.append(
                f"Option '{field.name}'{_of(owner)} can't be {shown(problem['input'])}: {problem['msg']}."
            )
        elif field is not None:
            sentences.append(_refusal(field, problem["input"], owner))
        else:
            sentences.append(f"The options{_of(owner)} can't be used: {problem['msg']}.")
    return " ".join(dict.fromkeys(sentences))


def _refusal(field: OptionField, value: object, owner: str) -> str:
    return f"Option '{field.name}'{_of(owner)} must be {field.allowed()}, not {shown(value)}."


def _unknown(name: str, known: list[str], owner: str) -> str:
    sentence = f"There is no option {shown(name)}{_of(owner)}."
    guess = nearest(name.replace("-", "_"), known)
    if guess:
        sentence += f" Did you mean '{guess}'?"
    return sentence + (f" Its options are: {', '.join(known)}." if known else " It has no options.")


def _of(owner: str) -> str:
    return f" of {owner}" if owner else ""


def _range_words(field: OptionField) -> str:
    low, high = (None if bound is None else f"{bound:g}" for bound in (field.minimum, field.maximum))
    if low is not None and high is not None and not (field.minimum_excluded or field.maximum_excluded):
        return f" from {low} to {high}"
    bounds = []
    if low is not None:
        bounds.append(f"above {low}" if field.minimum_excluded else f"of at least {low}")
    if high is not None:
        bounds.append(f"below {high}" if field.maximum_excluded else f"of at most {high}")
    return " " + " and ".join(bounds).replace("and of", "and") if bounds else ""


def _option_field(name: str, field: FieldInfo, schema: Mapping[str, Any], default: Any) -> OptionField:
    classified = _classify(field.annotation)
    if classified is None:
        raise TypeError(f"option {name!r} has a type that is refused at admission")
    kind, optional, choices = classified
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, Mapping) else {}
    source = extra.get("choices_from")
    bounds = {key: value for part in (schema, *schema.get("anyOf", ())) for key, value in part.items()}
    low, open_low = bounds.get("minimum"), bounds.get("exclusiveMinimum")
    high, open_high = bounds.get("maximum"), bounds.get("exclusiveMaximum")
    return OptionField(
        name=name,
        type=kind,
        default=default,
        description=(field.description or "").strip(),
        optional=optional,
        choices=choices,
        minimum=open_low if low is None else low,
        maximum=open_high if high is None else high,
        minimum_excluded=low is None and open_low is not None,
        maximum_excluded=high is None and open_high is not None,
        choices_from=source if isinstance(source, str) else None,
    )


def _classify(annotation: Any) -> tuple[OptionType, bool, tuple[str, ...]] | None:
    """Return type, whether None is allowed, and choices; None for a type that is refused."""
    if get_origin(annotation) is Annotated:
        return _classify(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not types.NoneType]
        inner = _classify(members[0]) if len(members) == 1 else None
        return (inner[0], True, inner[2]) if inner else None
    if annotation in _PLAIN:
        return _PLAIN[annotation], False, ()
    if get_origin(annotation) is list and get_args(annotation) == (str,):
        return "list", False, ()
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        choices = tuple(member.value for member in annotation)
    else:
        return None
    return (
        ("choice", False, choices) if choices and all(isinstance(choice, str) for choice in choices) else None
    )


def _type_words(annotation: Any) -> str:
    return (
        annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    )


def _bad_defaults(model: type[Options]) -> list[str]:
    try:
        model.model_validate(model.model_construct().model_dump())
    except ValidationError as error:
        return [
            f"The default of option '{problem['loc'][0] if problem['loc'] else model.__name__}' is not allowed by"
            " the option itself."
            for problem in error.errors()
        ]
    return []


def stored_options(options: Options) -> dict[str, Any]:
    """Return options as JSON holds them, every path made absolute: a worker runs in a folder of its own."""
    return {
        name: str(value.absolute()) if isinstance(value, Path) else plain
        for (name, value), plain in zip(options, options.model_dump(mode="json").values(), strict=True)
    }
