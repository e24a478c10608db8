"""Options as a person meets them: on a command line, in a form, in a message."""

import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from fieldmark.core.contracts.plugin import Options
from fieldmark.core.options import option_fields, parse_options, refused_fields
from fieldmark.storage.errors import FieldmarkError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Everything(Options):
    bins: int = Field(default=16, ge=2, le=256, description="Levels per channel")
    rate: float = Field(default=0.1, gt=0, le=1, description="Step size")
    balance: bool = Field(default=False, description="Weigh rare labels more")
    title: str = Field(default="", max_length=5, description="A title")
    folders: list[str] = Field(default=["a"], description="Folders to leave out")
    weights: Path | None = Field(default=None, description="A file of weights")
    colour: Colour = Field(default=Colour.RED, description="A colour")
    header: Literal["auto", "yes", "no"] = Field(default="auto", description="Whether there is a header")
    column: str | None = Field(
        default=None, description="Image column", json_schema_extra={"choices_from": "column"}
    )
    steps: Annotated[int, Field(gt=0)] | None = Field(default=None, description="Steps")


def refusal(*pairs: str, model: type[Options] = Everything) -> str:
    with pytest.raises(FieldmarkError) as caught:
        parse_options(model, pairs, owner="importer 'x'")
    return str(caught.value)


def test_every_type_is_read_from_a_command_line() -> None:
    pairs = [
        "bins=3",
        "rate=1e-2",
        "balance=yes",
        "title=NA",
        'folders=b, c,"d,e"',
        "weights=w/x.safetensors",
    ]
    options = parse_options(Everything, [*pairs, "colour=blue", "header=no", "column=a=b", "steps=4"])
    assert options == Everything(
        bins=3,
        rate=0.01,
        balance=True,
        title="NA",
        folders=["b", "c", "d,e"],
        weights=Path("w/x.safetensors"),
        colour=Colour.BLUE,
        header="no",
        column="a=b",
        steps=4,
    )


def test_nothing_means_none_only_where_none_is_allowed() -> None:
    options = parse_options(Everything, ["weights=", "column=", "title=", "folders="])
    assert options == Everything(weights=None, column=None, title="", folders=[])
    assert refusal("bins=") == "Option 'bins' of importer 'x' must be a whole number from 2 to 256, not ''."


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("bins=many", "Option 'bins' of importer 'x' must be a whole number from 2 to 256, not 'many'."),
        ("bins=1", "Option 'bins' of importer 'x' must be a whole number from 2 to 256, not '1'."),
        ("rate=0", "Option 'rate' of importer 'x' must be a number above 0 and at most 1, not '0.0'."),
        ("rate=nan", "Option 'rate' of importer 'x' must be a number above 0 and at most 1, not 'nan'."),
        ("balance=perhaps", "Option 'balance' of importer 'x' must be true or false, not 'perhaps'."),
        ("colour=green", "Option 'colour' of importer 'x' must be one of red, blue, not 'green'."),
        ("steps=0", "Option 'steps' of importer 'x' must be a whole number above 0, or nothing, not '0'."),
        (
            "title=too long",
            "Option 'title' of importer 'x' can't be 'too long': String should have at most 5 characters.",
        ),
        ("balance", "Option 'balance' of importer 'x' has no value: write it as name=value."),
        ("=5", "Option '=5' of importer 'x' has no value: write it as name=value."),
    ],
)
def test_a_bad_value_is_refused_in_a_sentence(pair: str, sentence: str) -> None:
    assert refusal(pair) == sentence


def test_an_unknown_option_suggests_the_nearest() -> None:
    message = refusal("colur=red")
    assert message.startswith(
        "There is no option 'colur' of importer 'x'. Did you mean 'colour'? Its options are: bins,"
    )
    assert refusal("a=1", model=Options) == "There is no option 'a' of importer 'x'. It has no options."


def test_an_option_given_twice_is_refused_whichever_dash_is_used() -> None:
    class Dashed(Options):
        learning_rate: float = Field(default=0.1, description="Step size")

    assert parse_options(Dashed, ["learning-rate=2"]) == Dashed(learning_rate=2)
    message = refusal("learning-rate=1", "learning_rate=2", model=Dashed)
    assert message == "Option 'learning_rate' of importer 'x' is given twice: give it once."


def test_a_mapping_keeps_its_types_and_reports_every_bad_value() -> None:
    assert parse_options(Everything, {"bins": 4, "folders": ["x,y"]}) == Everything(bins=4, folders=["x,y"])
    with pytest.raises(FieldmarkError) as caught:
        parse_options(Everything, {"bins": [], "folders": [1]})
    assert "Option 'bins' must be" in str(caught.value)
    assert "Option 'folders' must be a list separated by commas" in str(caught.value)


def test_the_plugins_own_rule_speaks_for_itself() -> None:
    class Ordered(Options):
        low: int = Field(default=0, description="Low")
        high: int = Field(default=1, description="High")

        @model_validator(mode="after")
        def order(self) -> "Ordered":
            if self.low > self.high:
                raise ValueError("low must not be above high.")
            return self

    assert refusal("low=5", model=Ordered) == "The options of importer 'x': low must not be above high."


@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_command_line_gives_options_or_a_sentence(pairs: list[str]) -> None:
    try:
        options = parse_options(Everything, pairs)
    except FieldmarkError as error:
        assert str(error)
    else:
        assert isinstance(options, Everything)


@given(st.sampled_from([field.name for field in option_fields(Everything)]), st.text(max_size=30))
def test_any_value_gives_options_or_a_sentence_that_names_the_option(name: str, value: str) -> None:
    try:
        options = parse_options(Everything, [f"{name}={value}"])
    except FieldmarkError as error:
        assert f"'{name}'" in str(error)
    else:
        assert parse_options(Everything, options.model_dump()) == options


def test_fields_describe_a_form() -> None:
    fields = {field.name: field for field in option_fields(Everything)}
    assert [field.type for field in fields.values()] == [
        "int", "float", "bool", "text", "list", "path", "choice", "choice", "text", "int",
    ]  # fmt: skip
    assert (fields["bins"].minimum, fields["bins"].maximum, fields["bins"].default) == (2, 256, 16)
    assert fields["rate"].minimum_excluded and not fields["rate"].maximum_excluded
    assert fields["colour"].choices == ("red", "blue") and fields["colour"].default == "red"
    assert fields["weights"].optional and fields["weights"].default is None
    assert fields["column"].choices_from == "column"
    assert fields["steps"].minimum == 0 and fields["steps"].optional
    assert fields["header"].description == "Whether there is a header"


def test_a_fine_model_is_admitted() -> None:
    assert refused_fields(Everything) == []
    assert refused_fields(Options) == []


def bad(annotation: Any, **field: Any) -> list[str]:
    namespace = {"__annotations__": {"f": annotation}, "f": Field(**field), "__module__": __name__}
    return refused_fields(type("Bad", (Options,), namespace))


@pytest.mark.parametrize(
    "annotation",
    [
        dict[str, int],
        list[int],
        int | str,
        bytes,
        complex,
        set[str],
        Literal["a", 1],
        Any,
        tuple[str, ...],
        object,
    ],
)
def test_other_types_are_refused_by_name(annotation: Any) -> None:
    (reason,) = bad(annotation, default=None, description="d")
    assert reason.startswith("Option 'f' has the type ") and "allowed are bool, int" in reason


def test_a_field_needs_default_description_and_its_own_name() -> None:
    assert bad(int, description="d") == ["Option 'f' has no default."]
    assert bad(int, default=1) == ["Option 'f' has no description."]
    assert bad(int, default=1, description="d", alias="g") == [
        "Option 'f' has an alias; rename the field instead."
    ]
    assert bad(int, default=-1, ge=0, description="d") == [
        "The default of option 'f' is not allowed by the option itself."
    ]


def test_a_model_must_forbid_unknown_options() -> None:
    class Loose(Options):
        model_config = {"extra": "allow"}

    assert refused_fields(Loose) == ["The options model must keep extra='forbid'."]


@pytest.mark.parametrize("value", ["\n0", "a\r\nb", "\r0", '"a\nb",c', "x" * 200_000])
def test_a_list_may_hold_line_breaks(value: str) -> None:
    try:
        assert parse_options(Everything, [f"folders={value}"])
    except FieldmarkError as error:
        assert "folders" in str(error)
