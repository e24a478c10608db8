"""Charts in altair: plain data in, an `alt.Chart` out, for `st.altair_chart(chart, theme="streamlit")`.

No chart knows whether the page is light or dark: each takes its colours from the theme by their position in
`palette`, so that a person who switches the theme sees the same chart in the other colours at once.
"""

from fieldmark.ui.charts.bars import label_counts, scores
from fieldmark.ui.charts.confusion import chosen_cell, confusion
from fieldmark.ui.charts.curves import learning_curves

__all__ = ["chosen_cell", "confusion", "label_counts", "learning_curves", "scores"]
