"""The confusion matrix as a heat map whose cells can be chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fieldmark.ui.charts.palette import cell_scale, ink, writing_scale
from fieldmark.ui.charts.ready import finish_pandas

if TYPE_CHECKING:
    import altair as alt

SELECTION = "cell"
"""The selection's name, for `selection_mode`."""
NUMBERS_UP_TO = 30
"""Labels; with more, a cell has no room for its number, which then shows in its box only."""
_LABEL_WIDTH = 100
_CELLS = "cells"
"""The layer's name, by which Vega-Lite names its scale of colours."""


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> alt.LayerChart:
    """Draw truth (rows) against prediction (columns); each cell holds its count of images.

    The colour is the share of the row: of all images that truly carry a label, how many were taken for which.
    Show it with `st.altair_chart(chart, on_select="rerun", selection_mode=SELECTION)` and hand what that returns
    to `chosen_cell`. Raises `ValueError` when the matrix isn't [labels, labels].
    """
    finish_pandas()
    import altair as alt

    if len(matrix) != len(labels) or any(len(row) != len(labels) for row in matrix):
        raise ValueError(f"the matrix must be [{len(labels)}, {len(labels)}], a row and a column per label")
    many = len(labels) > NUMBERS_UP_TO
    order = list(labels)
    padding = 0 if many else 0.06
    longest = max((len(label) for label in labels), default=0)
    digits = max((len(f"{count:,}") for row in matrix for count in row), default=1)
    # Dark on light and light on dark: the colour of a full cell.
    written = ink(f"{_CELLS}_color", "1")
    base = alt.Chart({"values": _rows(matrix, labels)}).encode(
        x=alt.X(
            "predicted:N",
            title="Predicted",
            sort=order,
            scale=alt.Scale(paddingInner=padding, paddingOuter=0),
            axis=alt.Axis(
                orient="top",
                labelFlush=False,
                labelAngle=0 if longest * len(labels) <= 24 else -90,
                labelLimit=_LABEL_WIDTH,
                labelPadding=6,
                titlePadding=8,
                **written,
            ),
        ),
        y=alt.Y(
            "truth:N",
            title="Truth",
            sort=order,
            scale=alt.Scale(paddingInner=padding, paddingOuter=0),
            axis=alt.Axis(
                labelLimit=_LABEL_WIDTH, labelPadding=6, labelFlush=False, titlePadding=8, **written
            ),
        ),
        tooltip=[
            alt.Tooltip("truth:N", title="Truth"),
            alt.Tooltip("predicted:N", title="Predicted"),
            alt.Tooltip("images:Q", title="Images", format=",d"),
            alt.Tooltip("share:Q", title="Share of the row", format=".1%"),
        ],
    )
    chosen = alt.selection_point(name=SELECTION, fields=["truth", "predicted"], toggle=False, empty=False)
    cells = (
        base.mark_rect(cursor="pointer", cornerRadius=0 if many else 3)
        .encode(
            color=alt.Color(
                "share:Q",
                scale=alt.Scale(**cell_scale()),
                legend=alt.Legend(
                    title="Share of the row",
                    orient="bottom",
                    format=".0%",
                    values=[0, 0.25, 0.5, 0.75, 1],
                    gradientLength=220,
                    **written,
                ),
            ),
            stroke=alt.condition(chosen, alt.value("#e69f00"), alt.value(None)),
            strokeWidth=alt.condition(chosen, alt.value(3), alt.value(0)),
        )
        .add_params(chosen)
        .properties(name=_CELLS)
    )
    layers = [cells]
    if not many:
        layers.append(
            base.mark_text(fontSize=_font_size(digits), fontWeight=600, cursor="pointer").encode(
                text=alt.Text("images:Q", format=",d"),
                color=alt.Color("share:Q", scale=alt.Scale(**writing_scale()), legend=None),
            )
        )
    chart: alt.LayerChart = alt.LayerChart(layer=layers).resolve_scale(color="independent")
    return chart.properties(height=_height(len(labels)))


def chosen_cell(event: Any) -> tuple[str, str] | None:
    """Return (truth, predicted) of the cell that was clicked; None when none is.

    `event` is what `st.altair_chart` returned.
    """
    selection = event.get("selection") if isinstance(event, Mapping) else None
    points = selection.get(SELECTION) if isinstance(selection, Mapping) else None
    if not isinstance(points, Sequence) or isinstance(points, str) or not points:
        return None
    point = points[0]
    return (str(point["truth"]), str(point["predicted"])) if {"truth", "predicted"} <= set(point) else None


def _rows(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> list[dict[str, Any]]:
    totals = [sum(row) for row in matrix]
    return [
        {
            "truth": truth,
            "predicted": predicted,
            "images": count,
            "share": count / total if total else 0.0,
        }
        for truth, row, total in zip(labels, matrix, totals, strict=True)
        for predicted, count in zip(labels, row, strict=True)
    ]


def _font_size(digits: int) -> Any:
    """Return the size at which the longest number fits into a cell; no number at all where it can't be read."""
    import altair as alt

    fits = f"min(13, bandwidth('x') / {0.75 * digits:.2f}, bandwidth('y') * 0.7)"
    return alt.ExprRef(f"{fits} < 7 ? 0 : {fits}")


def _height(labels: int) -> int:
    return min(760, 200 + 40 * labels)
