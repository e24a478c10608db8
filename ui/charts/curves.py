"""Learning curves: how a training went, or goes, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fieldmark.ui.charts.palette import ink, meaning_scale
from fieldmark.ui.charts.ready import finish_pandas

if TYPE_CHECKING:
    import altair as alt

Figure = Literal["accuracy", "cross_entropy"]
_TITLES: Mapping[Figure, str] = {
    "accuracy": "Accuracy (% of images)",
    "cross_entropy": "Cross-entropy (nats)",
}
_FORMATS: Mapping[Figure, tuple[str, str]] = {"accuracy": (".0%", ".1%"), "cross_entropy": ("~g", ".3f")}
"""On the axis, and in the box that follows the pointer."""
_NAMES = {"train": "Training", "validation": "Validation"}
_FEW_POINTS = 20
_HEIGHT = 320


def learning_curves(
    curve: Sequence[Mapping[str, Any]], saved_at_step: int | None, figure: Figure = "accuracy"
) -> alt.LayerChart:
    """Draw one figure over the steps, a line for training and a dashed one for validation.

    `curve` is what `core.statistics` and a run's view hold: `step`, `seconds`, `split`, `accuracy` and
    `cross_entropy` of each point; a point whose figure is None is left out. `saved_at_step` is where the
    checkpoint `best` was saved, marked by a red line; None while nothing was saved.
    """
    finish_pandas()
    import altair as alt

    rows = _rows(curve, figure)
    splits = [split for split in _NAMES if any(row["split"] == split for row in rows)]
    last = max([row["step"] for row in rows] + [saved_at_step or 0, 1])
    on_axis, in_box = _FORMATS[figure]
    step = alt.X(
        "step:Q",
        title="Step",
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=alt.Axis(format=",d", tickMinStep=1, grid=False, tickCount=6, **ink()),
    )
    value = alt.Y(
        "value:Q",
        title=_TITLES[figure],
        scale=alt.Scale(domain=_domain(rows, figure), nice=False, clamp=True),
        axis=alt.Axis(format=on_axis, tickCount=4, labelFlush=False, **ink()),
    )
    # The two legends are equal but for the values, so Vega-Lite draws one that shows colour and dashes.
    legend = alt.Legend(
        title=None,
        orient="top",
        values=splits,
        labelExpr="datum.label == 'train' ? 'Training' : 'Validation'",
        symbolType="stroke",
        symbolSize=500,
        symbolStrokeWidth=2.5,
        **ink(),
    )
    colour = alt.Color("split:N", scale=alt.Scale(**meaning_scale()), legend=legend if splits else None)
    dashes = alt.StrokeDash(
        "split:N", scale=alt.Scale(**meaning_scale(dashes=True)), legend=legend if splits else None
    )
    lines = alt.Chart({"values": rows}).encode(x=step, y=value, color=colour)
    pointer = alt.selection_point(
        name="pointer",
        nearest=True,
        on="pointerover",
        clear="pointerout",
        empty=False,
        fields=["step", "split"],
    )
    points = lines.mark_point(filled=True, size=64, opacity=1).encode(
        opacity=alt.value(1)
        if len(rows) <= _FEW_POINTS
        else alt.condition(pointer, alt.value(1), alt.value(0)),
        tooltip=[
            alt.Tooltip("name:N", title="Images"),
            alt.Tooltip("step:Q", title="Step", format=",d"),
            alt.Tooltip("seconds:Q", title="Seconds", format=",.1f"),
            alt.Tooltip("value:Q", title=_TITLES[figure], format=in_box),
        ],
    )
    layers: list[alt.Chart] = [lines.mark_line(strokeWidth=2.5).encode(strokeDash=dashes)]
    if saved_at_step is not None:
        layers += _best_mark(saved_at_step, last)
    layers.append(points.add_params(pointer))
    return alt.LayerChart(layer=layers).properties(height=_HEIGHT)


def _best_mark(step: int, last: int) -> list[alt.Chart]:
    import altair as alt

    row = {"best": step, "split": "mark", "words": f"best, step {step:,}"}
    mark = alt.Chart({"values": [row]}).encode(
        x=alt.X("best:Q", title="Step"),
        color=alt.Color("split:N", scale=alt.Scale(**meaning_scale())),
        tooltip=[alt.Tooltip("best:Q", title="Best saved at step", format=",d")],
    )
    left = step > last / 2
    words = mark.mark_text(
        align="right" if left else "left",
        baseline="bottom",
        dx=4 if left else -4,
        dy=-4,
        fontSize=13,
        fontWeight=600,
    ).encode(text="words:N", y=alt.value(0))
    return [mark.mark_rule(strokeWidth=2), words]


def _rows(curve: Sequence[Mapping[str, Any]], figure: Figure) -> list[dict[str, Any]]:
    return [
        {
            "step": int(point["step"]),
            "seconds": float(point["seconds"]),
            "split": str(point["split"]),
            "name": _NAMES.get(str(point["split"]), str(point["split"])),
            "value": float(point[figure]),
        }
        for point in curve
        if point.get(figure) is not None
    ]


def _domain(rows: Sequence[Mapping[str, Any]], figure: Figure) -> list[float]:
    """Return the ends of the upright axis: accuracies up to 100 % from the tenth below the lowest, else from 0."""
    values = [row["value"] for row in rows]
    if figure == "accuracy":
        lowest = min(values, default=0.0)
        return [max(0, int(lowest * 10 - 1e-9)) / 10 if lowest < 1 else 0.9, 1.0]
    return [0.0, max(values, default=1.0) * 1.05 or 1.0]
