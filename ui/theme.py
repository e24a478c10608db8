"""The look of the app: Streamlit's theme as configuration options, for light and for dark.

The server passes `theme_options()` on before the app starts (`bootstrap.load_config_options`). Only fonts of the
person's own system are named: nothing is fetched from the web.
"""

from __future__ import annotations

from typing import Any

from fieldmark.ui.charts.palette import (
    CATEGORICAL_DARK,
    CATEGORICAL_LIGHT,
    SEQUENTIAL_DARK,
    SEQUENTIAL_LIGHT,
)

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
CODE_FONT = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"

LIGHT: dict[str, Any] = {
    "primaryColor": "#0072b2",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f3f6f8",
    "textColor": "#0e151b",
    "borderColor": "#d3dbe2",
    "linkColor": "#00649c",
    "codeBackgroundColor": "#f3f6f8",
    "codeTextColor": "#0e151b",
    "redColor": "#c8102e",
    "orangeColor": "#b85c00",
    "greenColor": "#00795a",
    "blueColor": "#0072b2",
    "redTextColor": "#a30d25",
    "orangeTextColor": "#8a4500",
    "greenTextColor": "#005f47",
    "blueTextColor": "#005a8d",
    "grayTextColor": "#55616c",
    "redBackgroundColor": "#fdeef0",
    "orangeBackgroundColor": "#fdf2e5",
    "yellowBackgroundColor": "#fcf7da",
    "greenBackgroundColor": "#e8f6f1",
    "blueBackgroundColor": "#e9f3fa",
    "yellowTextColor": "#665b00",
    "chartCategoricalColors": list(CATEGORICAL_LIGHT),
    "chartSequentialColors": list(SEQUENTIAL_LIGHT),
}
DARK: dict[str, Any] = {
    # Streamlit writes white on the accent in both themes, so it can't be as bright here as the charts' blue.
    "primaryColor": "#1a78b3",
    "backgroundColor": "#12171c",
    "secondaryBackgroundColor": "#1b232a",
    "textColor": "#e6ebef",
    "borderColor": "#36424d",
    "linkColor": "#7cc4ee",
    "codeBackgroundColor": "#1b232a",
    "codeTextColor": "#e6ebef",
    "redColor": "#ff7b72",
    "orangeColor": "#f0a830",
    "greenColor": "#3cc79b",
    "blueColor": "#56b4e9",
    "redTextColor": "#ff9d96",
    "orangeTextColor": "#f4bd63",
    "greenTextColor": "#6fd9b6",
    "blueTextColor": "#83c8f0",
    "grayTextColor": "#a7b0b9",
    "redBackgroundColor": "#3a1d1f",
    "orangeBackgroundColor": "#342612",
    "yellowBackgroundColor": "#302c10",
    "greenBackgroundColor": "#11312a",
    "blueBackgroundColor": "#122b3c",
    "yellowTextColor": "#e6db58",
    "chartCategoricalColors": list(CATEGORICAL_DARK),
    "chartSequentialColors": list(SEQUENTIAL_DARK),
}
_SIDEBAR_LIGHT = {"backgroundColor": "#f3f6f8", "secondaryBackgroundColor": "#ffffff"}
_SIDEBAR_DARK = {"backgroundColor": "#0d1115", "secondaryBackgroundColor": "#1b232a"}
_BOTH: dict[str, Any] = {
    "font": FONT,
    "headingFont": FONT,
    "codeFont": CODE_FONT,
    "baseFontSize": 16,
    "baseRadius": "0.5rem",
    "paddingTop": "2rem",
    "headingFontSizes": ["1.9rem", "1.4rem", "1.15rem", "1rem", "1rem", "1rem"],
    "headingFontWeights": [650, 600, 600, 600, 600, 600],
    "metricValueFontSize": "1.75rem",
    "linkUnderline": True,
    "showWidgetBorder": True,
    "showSidebarBorder": False,
}


def theme_options() -> dict[str, Any]:
    """Return Streamlit's options by their full names, such as `theme.dark.textColor`."""
    parts: dict[str, dict[str, Any]] = {
        "theme": _BOTH,
        "theme.light": LIGHT,
        "theme.dark": DARK,
        "theme.light.sidebar": _SIDEBAR_LIGHT,
        "theme.dark.sidebar": _SIDEBAR_DARK,
    }
    return {f"{part}.{name}": value for part, options in parts.items() for name, value in options.items()}
