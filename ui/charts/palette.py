"""The colours of charts, by meaning; `theme` hands them to Streamlit, once for light and once for dark.

The hues are those of Okabe and Ito (blue, orange, vermilion, bluish green, reddish purple, sky blue, yellow), made
darker or lighter until each stands out against the page; tests hold them to contrast and to what colour-blind
eyes can tell apart. Colour is never the only sign: lines differ by dashes too, bars carry words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Meaning = Literal["train", "validation", "mark", "test", "other", "below", "extra", "quiet"]
"""What a colour stands for: a split, the red mark of the best checkpoint, a score below its threshold, ..."""
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)

CATEGORICAL_LIGHT = (
    "#0072b2",
    "#b85c00",
    "#c8102e",
    "#00a37a",
    "#9b4f84",
    "#8095a5",
    "#756900",
    "#55616c",
)
CATEGORICAL_DARK = (
    "#56b4e9",
    "#f0a830",
    "#ff7b72",
    "#1f9570",
    "#e09cc4",
    "#6d8193",
    "#e6db58",
    "#b4bcc4",
)
"""Both in the order of `MEANINGS`."""

SEQUENTIAL_LIGHT = (
    "#ffffff",
    "#eaf2f8",
    "#c3dcec",
    "#8fc0df",
    "#3d8ec6",
    "#1968a0",
    "#115788",
    "#0c4a75",
    "#083c61",
    "#000000",
)
SEQUENTIAL_DARK = (
    "#000000",
    "#1b252e",
    "#1a3448",
    "#1b4966",
    "#1f6a9a",
    "#378ccc",
    "#62aade",
    "#8cc4ec",
    "#b5dcf7",
    "#ffffff",
)
"""Ten steps from nothing to all. The two ends are for writing: cells use only what lies between (`cell_scale`),
so black or white can always be read on them (`writing_scale`), at least 4.5 : 1."""

_GRADIENT: Mapping[str, Any] = {
    "type": "linear",
    "range": "heatmap",
    # Vega-Lite's own choice, hcl, would turn black into navy.
    "interpolate": "rgb",
    "nice": False,
    "zero": False,
}


def ink(scale: str = "color", value: str = "'quiet'") -> dict[str, Any]:
    """Return the colour of what is written at an axis or in a legend, for `labelColor` and `titleColor`.

    Streamlit's own grey has less than 4.5 : 1 on white. Vega looks this one up in the chart's colour scale, by
    the name Vega-Lite gives it (`color`, or `layer_0_color` where layers have scales of their own).
    """
    colour = {"expr": f"scale('{scale}', {value})"}
    return {"labelColor": colour, "titleColor": colour}


def meaning_scale(*, dashes: bool = False) -> dict[str, Any]:
    """Return the arguments of an `alt.Scale` that gives each meaning its colour, or its dashes, in any theme.

    Every meaning is in the domain, because a colour is chosen by its position; name those that are drawn in the
    legend's `values`.
    """
    if dashes:
        # A solid line for what was learnt from, a dashed one for what was held out.
        return {"domain": ["train", "validation"], "range": [[1, 0], [6, 4]]}
    return {"domain": list(MEANINGS)}


def cell_scale() -> dict[str, Any]:
    """Return the arguments of an `alt.Scale` for the fill of cells, from a share of 0 to 1."""
    return {**_GRADIENT, "domain": [-1 / 7, 8 / 7]}


def writing_scale() -> dict[str, Any]:
    """Return the arguments of an `alt.Scale` for what is written on a cell, by the same share: the end of the
    colours that is far from the cell's own."""
    return {**_GRADIENT, "domain": [0.5, 0.500001], "clamp": True, "reverse": True}
