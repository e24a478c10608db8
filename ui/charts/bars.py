"""Bars: how many images each label has, and what a model thinks of one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fieldmark.ui.charts.palette import ink, meaning_scale
from fieldmark.ui.charts.ready import finish_pandas

if TYPE_CHECKING:
    import altair as alt

_SPLIT_NAMES = {"train": "Training", "validation": "Validation", "test": "Test", "quiet": "No split"}
_LABEL_WIDTH = 140
_BAR, _DENSE_BAR = 24, 16
"""Pixels per label; the second from `_DENSE` labels on."""
_DENSE = 40
_AXIS, _LEGEND_ROW = 86, 28
"""Pixels that a chart's height needs beside its bars: for the axis below, and for each row of the legend."""


def label_counts(counts: Mapping[str, Mapping[str, int]]) -> alt.Chart:
    """Draw one bar per label, in the order given, a part for each split.

    `counts` is {label: {split: images}}; a split is `train`, `validation`, `test`, or anything else for images
    that are in none.
    """
    finish_pandas()
    import altair as alt

    rows = [
        {"label": label, "split": split, "name": _SPLIT_NAMES[split], "images": images, "place": place}
        for label, by_split in counts.items()
        for place, (split, images) in enumerate(_by_known_split(by_split).items())
    ]
    most = max((sum(by_split.values()) for by_split in counts.values()), default=0)
    dense = len(counts) >= _DENSE
    drawn = [split for split in _SPLIT_NAMES if any(row["split"] == split and row["images"] for row in rows)]
    legend_rows = -(-len(drawn) // 2)
    chart: alt.Chart = (
        alt.Chart({"values": rows})
        .mark_bar()
        .encode(
            x=alt.X(
                "images:Q",
                title="Images",
                scale=alt.Scale(domain=[0, max(most, 1)], nice=True),
                axis=alt.Axis(format=",d", tickMinStep=1, tickCount=5, **ink()),
            ),
            y=alt.Y(
                "label:N",
                title=None,
                sort=list(counts),
                axis=alt.Axis(
                    labelLimit=_LABEL_WIDTH,
                    labelOverlap=False,
                    labelFlush=False,
                    labelFontSize=11 if dense else 12,
                    **ink(),
                ),
            ),
            color=alt.Color(
                "split:N",
                scale=alt.Scale(**meaning_scale()),
                legend=alt.Legend(
                    title=None,
                    orient="top",
                    columns=2,
                    values=drawn,
                    labelExpr=_names_expression(),
                    symbolType="square",
                    **ink(),
                )
                if drawn
                else None,
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("label:N", title="Label"),
                alt.Tooltip("name:N", title="Split"),
                alt.Tooltip("images:Q", title="Images", format=",d"),
            ],
        )
    )
    bars = max(len(counts), 1) * (_DENSE_BAR if dense else _BAR)
    return chart.properties(height=_AXIS + 20 + legend_rows * _LEGEND_ROW + bars)


def scores(
    scores: Mapping[str, float], threshold: float | Mapping[str, float] | None = None, *, most: int = 10
) -> alt.LayerChart:
    """Draw a small bar per label, highest score first, with the score in percent at its end.

    `threshold` is one for all labels or one per label: a score below it is drawn pale, and a tick marks it. No
    more than the `most` highest are drawn.
    """
    finish_pandas()
    import altair as alt

    ranked = sorted(scores.items(), key=lambda item: -item[1])[:most]
    rows = [
        {
            "label": label,
            "score": score,
            "meaning": "train"
            if (needed := _threshold_of(label, threshold)) is None or score >= needed
            else "below",
            "threshold": needed,
            "ink": "quiet",
        }
        for label, score in ranked
    ]
    base = alt.Chart({"values": rows}).encode(
        y=alt.Y(
            "label:N",
            title=None,
            sort=[label for label, _ in ranked],
            axis=alt.Axis(labelLimit=120, labelOverlap=False, labelFlush=False, **ink()),
        ),
        tooltip=[
            alt.Tooltip("label:N", title="Label"),
            alt.Tooltip("score:Q", title="Score", format=".1%"),
            *([] if threshold is None else [alt.Tooltip("threshold:Q", title="Threshold", format=".1%")]),
        ],
    )
    # The numbers stand right of 100 %: at the bars' ends they would run into thresholds.
    room = alt.Scale(domain=[0, 1.35], nice=False)
    axis = alt.Axis(values=[0, 0.5, 1], format=".0%", grid=True, **ink())
    bars = base.mark_bar(cornerRadiusEnd=2, size=12).encode(
        x=alt.X("score:Q", title="Score", scale=room, axis=axis),
        color=alt.Color("meaning:N", scale=alt.Scale(**meaning_scale()), legend=None),
    )
    numbers = base.mark_text(align="right", fontSize=12).encode(
        x=alt.value("width"), text=alt.Text("score:Q", format=".1%"), color=_quiet()
    )
    layers = [bars, numbers]
    if threshold is not None:
        layers.append(
            base.transform_filter("isValid(datum.threshold)")
            .mark_tick(thickness=2, size=20)
            .encode(x=alt.X("threshold:Q", title="Score"), color=_quiet())
        )
    return alt.LayerChart(layer=layers).properties(height=_AXIS + max(len(ranked), 1) * _BAR)


def _by_known_split(by_split: Mapping[str, int]) -> dict[str, int]:
    known = dict.fromkeys(_SPLIT_NAMES, 0)
    for split, images in by_split.items():
        known[split if split in ("train", "validation", "test") else "quiet"] += images
    return {split: images for split, images in known.items() if images}


def _threshold_of(label: str, threshold: float | Mapping[str, float] | None) -> float | None:
    return threshold.get(label) if isinstance(threshold, Mapping) else threshold


def _quiet() -> alt.Color:
    import altair as alt

    return alt.Color("ink:N", scale=alt.Scale(**meaning_scale()), legend=None)


def _names_expression() -> str:
    chain = "".join(f"datum.label == '{split}' ? '{name}' : " for split, name in _SPLIT_NAMES.items())
    return f"{chain}datum.label"
