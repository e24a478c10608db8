"""The form made from options: its values are what `parse_options` reads, for every plugin there is."""

import enum
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from streamlit.testing.v1 import AppTest

from fieldmark.core.contracts.plugin import Options
from fieldmark.core.options import parse_options
from fieldmark.core.registry import Registered, load_registry
from fieldmark.ui import option_form

PLUGINS = load_registry().plugins


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Everything(Options):
    bins: int = Field(default=16, ge=2, le=256, description="Levels per channel")
    above: int = Field(default=5, gt=2, lt=9, description="Between")
    steps: int | None = Field(default=None, ge=1, description="Steps. Empty: 200")
    given: int | None = Field(default=7, description="A number that may be taken away")
    share: float | None = Field(default=0.5, description="Another such number")
    known: str | None = Field(
        default="id",
        description="A column that may be taken away",
        json_schema_extra={"choices_from": "column"},
    )
    rate: float = Field(default=0.001, gt=0, le=1, description="Step size")
    l2: float | None = Field(default=None, ge=0, description="Penalty")
    balance: bool = Field(default=True, description="Weigh rare labels more")
    maybe: bool | None = Field(default=None, description="Yes, no, or let it find out")
    title_text: str = Field(default="a title", description="A title with **stars** and <b>tags</b>")
    name: str | None = Field(default=None, description="A name")
    folders: list[str] = Field(default=["a", "b,c"], description="Folders to leave out")
    none_or_some: list[str] | None = Field(default=None, description="Some, or nothing")
    weights: Path | None = Field(default=None, description="A file of weights")
    colour: Colour = Field(default=Colour.BLUE, description="A colour")
    header: Literal["auto", "yes", "no"] | None = Field(default=None, description="Whether there is a header")
    column: str | None = Field(
        default=None, description="Image column", json_schema_extra={"choices_from": "column"}
    )
    columns: list[str] = Field(
        default=[], description="Columns to leave out", json_schema_extra={"choices_from": "column"}
    )


def page(model, choices):  # type: ignore[no-untyped-def]  # AppTest copies the text, without our imports
    """Show the form and its problems as a page."""
    import streamlit as st

    from fieldmark.ui.option_form import option_form, problems

    st.session_state["values"] = option_form(model, "form", choices=choices)
    st.session_state["refused"] = problems(model, st.session_state["values"], owner="trainer 'x'")


def form(model: type[Options] = Everything, choices: dict[str, list[str]] | None = None) -> AppTest:
    shown = AppTest.from_function(page, args=(model, choices or {})).run()
    assert not shown.exception
    return shown


def values(shown: AppTest) -> dict[str, Any]:
    assert not shown.exception
    found: dict[str, Any] = shown.session_state["values"]
    return found


def widget(shown: AppTest, label: str) -> Any:
    found = [element for element in shown.main if getattr(element, "label", None) == label]
    assert len(found) == 1, f"{len(found)} widgets are labelled {label}"
    return found[0]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.title)
def test_an_untouched_form_gives_every_plugin_its_defaults(plugin: Registered) -> None:
    model = plugin.cls.options_model
    shown = form(model)
    assert parse_options(model, values(shown)) == model()
    assert list(values(shown)) == list(model.model_fields)
    assert not shown.session_state["refused"]
    assert len(shown.main) == len(model.model_fields)


def test_there_are_plugins_of_every_kind_to_test() -> None:
    assert {plugin.kind for plugin in PLUGINS} == {"importer", "backbone", "trainer", "exporter"}


def test_the_interface_names_no_plugin() -> None:
    source = Path(option_form.__file__).read_text("utf-8")
    assert not [plugin.name for plugin in PLUGINS if f'"{plugin.name}"' in source]


def test_an_untouched_form_gives_the_defaults_of_every_type() -> None:
    shown = form()
    assert parse_options(Everything, values(shown)) == Everything()
    assert form(Options).session_state["values"] == {}


@pytest.mark.parametrize(
    ("label", "typed", "option", "value"),
    [
        ("Bins", 256, "bins", 256),
        ("Steps", 3, "steps", 3),
        ("Given", 8, "given", 8),
        ("Given: automatic", True, "given", None),
        ("Share: automatic", True, "share", None),
        ("Known: automatic", True, "known", None),
        ("Rate", 0.5, "rate", 0.5),
        ("L2", 0.25, "l2", 0.25),
        ("Balance", False, "balance", False),
        ("Maybe", False, "maybe", False),
        ("Title text", "NA, <b>x</b>", "title_text", "NA, <b>x</b>"),
        ("Title text", "", "title_text", ""),
        ("Name", "x=1", "name", "x=1"),
        ("Name", "", "name", None),
        ("Weights", "w/x.safetensors", "weights", Path("w/x.safetensors")),
        ("Colour", "red", "colour", Colour.RED),
        ("Header", "yes", "header", "yes"),
        ("Folders", ["a", "new, one"], "folders", ["a", "new, one"]),
        ("Folders", [], "folders", []),
        ("None or some", ["x"], "none_or_some", ["x"]),
    ],
)
def test_what_is_typed_arrives_as_it_is(label: str, typed: Any, option: str, value: Any) -> None:
    shown = form(choices={"column": ["id"]} if label.startswith("Known") else None)
    widget(shown, label).set_value(typed).run()
    assert not shown.session_state["refused"]
    options = parse_options(Everything, values(shown))
    assert options == Everything().model_copy(update={option: value})


@pytest.mark.parametrize(("label", "option", "default"), [("Bins", "bins", 16), ("Rate", "rate", 0.001)])
def test_an_emptied_number_that_needs_a_value_is_its_default_and_says_so(
    label: str, option: str, default: float
) -> None:
    shown = form()
    number = widget(shown, label)
    assert number.placeholder == str(default)
    number.set_value(None).run()
    assert values(shown)[option] == default


def test_bounds_stop_the_widgets_and_excluded_ones_lie_outside() -> None:
    shown = form()
    bins, above, rate = (widget(shown, label) for label in ("Bins", "Above", "Rate"))
    assert (bins.min, bins.max, bins.step) == (2, 256, 1)
    assert (above.min, above.max) == (3, 8)
    assert (rate.min, rate.max, rate.step) == (0.0, 1.0, 0.0001)


def test_columns_that_were_found_are_offered_and_others_can_be_typed() -> None:
    shown = form(choices={"column": ["image", "file.name[0]"]})
    column, columns = widget(shown, "Column"), widget(shown, "Columns")
    assert list(column.options) == list(columns.options) == ["image", "file.name[0]"]
    assert values(shown)["column"] is None
    column.set_value("file.name[0]")
    columns.set_value(["image"]).run()
    assert (values(shown)["column"], values(shown)["columns"]) == ("file.name[0]", ["image"])


def test_a_refused_value_is_explained_in_the_words_of_parse_options() -> None:
    shown = form()
    widget(shown, "Rate").set_value(0.0).run()
    assert shown.session_state["refused"]
    assert [error.value.replace("\\", "") for error in shown.error] == [
        "Option 'rate' of trainer 'x' must be a number above 0 and at most 1, not '0.0'."
    ]


def test_texts_of_a_plugin_are_no_markup() -> None:
    shown = form()
    assert widget(shown, "Title text").help == r"A title with \*\*stars\*\* and \<b\>tags\<\/b\>"
