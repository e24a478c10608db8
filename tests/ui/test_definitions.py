"""Every figure that a page shows has its meaning behind a question mark."""

import pytest

from fieldmark.core.learning.report import Evaluation, LabelFigures
from fieldmark.ui.definitions import DEFINITIONS, LABEL_DEFINITIONS, TITLES

NO_FIGURES = {"task", "labels", "label"}


@pytest.mark.parametrize("figure", sorted(set(Evaluation.model_fields) - NO_FIGURES))
def test_every_figure_of_an_evaluation_is_defined_and_headed(figure: str) -> None:
    assert DEFINITIONS[figure].endswith(".")
    assert TITLES[figure]


@pytest.mark.parametrize("figure", sorted(set(LabelFigures.model_fields) - NO_FIGURES))
def test_every_figure_of_a_label_is_defined(figure: str) -> None:
    assert LABEL_DEFINITIONS[figure].endswith(".")


def test_titles_and_definitions_are_of_the_same_figures() -> None:
    assert set(TITLES) == set(DEFINITIONS)


@pytest.mark.parametrize("text", [*DEFINITIONS.values(), *LABEL_DEFINITIONS.values()])
def test_a_definition_is_short_and_holds_no_markup(text: str) -> None:
    assert len(text) <= 280
    assert not set(text) & set("*_`$[]<>#~")
