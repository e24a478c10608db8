"""A form made from a plugin's options: one widget for each, whoever wrote the plugin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from fieldmark.core.contracts.plugin import Options
from fieldmark.core.options import OptionField, option_fields, parse_options
from fieldmark.storage.errors import FieldmarkError
from fieldmark.ui.plain import plain

EMPTY = "automatic"
"""What an option shows that may be left empty, and is."""
_LARGEST_WHOLE = 2**53 - 1
"""A browser counts no further."""


def option_form(
    model: type[Options],
    key: str,
    *,
    choices: Mapping[str, Sequence[str]] = {},
    persist: Literal["page", "session"] | None = None,
) -> dict[str, Any]:
    """Show one widget per option, in the order they were declared, and return {name: value} of all of them.

    `key` keeps forms apart; the same key may show another model next time. `choices` is what there is to choose
    for an option that says `choices_from`: {"column": [...], "question": [...]}; anything else can still be
    typed. `persist` keeps what was typed while the form isn't shown. The values have the types that `parse_options`
    reads, which may still refuse them: see `problems`.
    """
    return {
        field.name: _WIDGETS[field.type](
            field,
            {
                "label": plain(_words(field.name)),
                "help": plain(field.description) or None,
                "key": f"{key}/{model.__module__}.{model.__qualname__}/{field.name}",
                "persist_state": persist,
            },
            choices.get(field.choices_from or "", ()),
        )
        for field in option_fields(model)
    }


def problems(model: type[Options], values: Mapping[str, Any], *, owner: str = "") -> bool:
    """Show in one sentence each what is wrong with what was typed; return whether anything is.

    `owner`, such as `trainer 'blur'`, is named in the sentences.
    """
    try:
        parse_options(model, values, owner=owner)
    except FieldmarkError as error:
        st.error(plain(str(error)))
        return True
    return False


def _bool(field: OptionField, shared: dict[str, Any], offered: Sequence[str]) -> bool | None:
    if not field.optional:
        return st.checkbox(value=bool(field.default), **shared)
    answers = {None: EMPTY, True: "yes", False: "no"}
    values = list(answers)
    chosen: bool | None = st.selectbox(
        options=values,
        index=values.index(None if field.default is None else bool(field.default)),
        format_func=lambda value: answers[value],
        **shared,
    )
    return chosen


def _int(field: OptionField, shared: dict[str, Any], offered: Sequence[str]) -> int | None:
    lowest, highest = -_LARGEST_WHOLE, _LARGEST_WHOLE
    if field.minimum is not None:
        lowest = math.floor(field.minimum) + 1 if field.minimum_excluded else math.ceil(field.minimum)
    if field.maximum is not None:
        highest = math.ceil(field.maximum) - 1 if field.maximum_excluded else math.floor(field.maximum)
    if _left_empty(field, shared):
        return None
    value = st.number_input(
        value=None if field.default is None else int(field.default),  # type: ignore[arg-type]
        min_value=max(lowest, -_LARGEST_WHOLE),
        max_value=min(highest, _LARGEST_WHOLE),
        step=1,
        **_emptiness(field),
        **shared,
    )
    return None if value is None else int(value)


def _float(field: OptionField, shared: dict[str, Any], offered: Sequence[str]) -> float | None:
    if _left_empty(field, shared):
        return None
    # An excluded bound can be typed all the same, as there is no next number to stop at; `problems` then says it.
    value = st.number_input(
        value=None if field.default is None else float(field.default),  # type: ignore[arg-type]
        min_value=None if field.minimum is None else float(field.minimum),
        max_value=None if field.maximum is None else float(field.maximum),
        step=_step(field.default),
        format="%g",
        **_emptiness(field),
        **shared,
    )
    return None if value is None else float(value)


def _text(field: OptionField, shared: dict[str, Any], offered: Sequence[str]) -> str | None:
    default = None if field.default is None else str(field.default)
    if offered:
        if _left_empty(field, shared):
            return None
        options = list(dict.fromkeys([*offered, *([] if default is None else [default])]))
        value = st.selectbox(
            options=options,
            index=None if default is None else options.index(default),
            accept_new_options=True,
            **_emptiness(field),
            **shared,
        )
    else:
        value = st.text_input(value=default, placeholder=EMPTY if field.optional else None, **shared)
    if value is None or value == "":
        return None if field.optional else ""
    return str(value)


def _choice(field: OptionField, shared: dict[str, Any], offered: Sequence[str]) -> str | None:
    options = [*([None] if field.optional else []), *field.choices]
    return st.selectbox(
        options=options,
        index=options.index(None if field.default is None else str(field.default)),
        format_func=lambda value: EMPTY if value is None else str(value),
        **shared,
    )


def _list(field: OptionField, shared: dict[str, Any], offered: Sequence[str]) -> list[str] | None:
    default = list(field.default) if isinstance(field.default, list) else []
    values = st.multiselect(
        options=list(dict.fromkeys([*default, *offered])),
        default=default,
        accept_new_options=True,
        placeholder="type and press Enter",
        **shared,
    )
    return [str(value) for value in values] if values or field.default is not None else None


_WIDGETS: Mapping[str, Callable[[OptionField, dict[str, Any], Sequence[str]], Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "text": _text,
    "path": _text,
    "choice": _choice,
    "list": _list,
}


def _left_empty(field: OptionField, shared: dict[str, Any]) -> bool:
    """Ask whether an option that is set from the start shall be left empty: clearing its widget would only bring
    back the default."""
    if not field.optional or field.default is None:
        return False
    return st.checkbox(
        f"{shared['label']}: {EMPTY}", key=f"{shared['key']}/empty", persist_state=shared["persist_state"]
    )


def _emptiness(field: OptionField) -> dict[str, Any]:
    """Return what an emptied widget shows: the default it then stands for."""
    return {"placeholder": EMPTY if field.optional else str(field.default)}


def _words(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _step(default: Any) -> float:
    """Return how far the buttons beside a number move it: a tenth of its size, rounded to a power of ten."""
    size = abs(float(default)) if default else 0.1
    return float(10.0 ** (math.floor(math.log10(size)) - 1)) if math.isfinite(size) else 1.0
