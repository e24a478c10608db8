"""Charts as data, and in a real browser, in both themes."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fieldmark.ui import theme
from fieldmark.ui.charts import chosen_cell, confusion, label_counts, learning_curves, palette, scores

HOSTILE = [
    "<script>alert(1)</script>",
    "<b>bold</b>",
    "__x__",
    "a.b[0]",
    "datum['x']",
    "\"quoted\" 'q'",
    "**bold**",
    "x\\y",
    "2024",
    "a label that is much too long to be written at an axis in full",
]
THEMES = {"light": theme.LIGHT, "dark": theme.DARK}
CATEGORICAL = {"light": palette.CATEGORICAL_LIGHT, "dark": palette.CATEGORICAL_DARK}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG: 1 for equal colours, 21 for black on white."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def point(step: int, split: str = "train", accuracy: float | None = 0.5) -> dict[str, Any]:
    return {
        "step": step,
        "seconds": 0.1 * step,
        "split": split,
        "accuracy": accuracy,
        "cross_entropy": 0.7,
    }


def rows(chart: Any) -> list[dict[str, Any]]:
    """The data of a chart's first layer."""
    spec = chart.to_dict()
    return data(spec, spec if "data" in spec else spec["layer"][0])


def data(spec: dict[str, Any], part: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec["datasets"][part["data"]["name"]]
    return found


def test_curves_leave_out_points_without_the_figure_and_mark_the_best() -> None:
    curve = [point(1), point(1, "validation", None), point(9), point(9, "validation", 0.8)]
    chart = learning_curves(curve, 9)
    assert [(row["step"], row["split"]) for row in rows(chart)] == [
        (1, "train"),
        (9, "train"),
        (9, "validation"),
    ]
    assert len(rows(learning_curves(curve, 9, "cross_entropy"))) == 4
    spec = chart.to_dict()
    assert spec["layer"][1]["mark"]["type"] == "rule"
    assert data(spec, spec["layer"][1]) == [{"best": 9, "split": "mark", "words": "best, step 9"}]


def test_curves_can_begin_empty() -> None:
    chart = learning_curves([], None).to_dict()
    assert [layer["mark"]["type"] for layer in chart["layer"]] == ["line", "point"]


@pytest.mark.parametrize(("lowest", "bottom"), [(0.97, 0.9), (0.9, 0.8), (0.31, 0.3), (0.0, 0.0), (1.0, 0.9)])
def test_the_axis_of_accuracies_ends_at_100_percent(lowest: float, bottom: float) -> None:
    spec = learning_curves([point(1, accuracy=lowest), point(2, accuracy=1.0)], None).to_dict()
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == [bottom, 1.0]


def test_a_cell_holds_its_count_and_its_share_of_the_row() -> None:
    found = rows(confusion([[3, 1], [0, 0]], ["a", "b"]))
    assert [(row["truth"], row["predicted"], row["images"], row["share"]) for row in found] == [
        ("a", "a", 3, 0.75),
        ("a", "b", 1, 0.25),
        ("b", "a", 0, 0.0),
        ("b", "b", 0, 0.0),
    ]
    with pytest.raises(ValueError, match=r"the matrix must be \[2, 2\]"):
        confusion([[1, 2, 3], [4, 5, 6]], ["a", "b"])


@pytest.mark.parametrize(("labels", "layers"), [(1, 2), (30, 2), (31, 1), (100, 1)])
def test_numbers_are_drawn_while_they_have_room(labels: int, layers: int) -> None:
    chart = confusion([[1] * labels] * labels, [f"label {i}" for i in range(labels)])
    assert len(chart.to_dict()["layer"]) == layers
    assert len(rows(chart)) == labels**2


@pytest.mark.parametrize(
    ("event", "cell"),
    [
        ({"selection": {"cell": [{"truth": "a", "predicted": "2024"}]}}, ("a", "2024")),
        ({"selection": {"cell": []}}, None),
        ({"selection": {"cell": {}}}, None),
        ({"selection": {}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_chosen_cell_is_read_from_what_the_chart_gives_back(event: Any, cell: Any) -> None:
    assert chosen_cell(event) == cell


def test_label_counts_put_other_splits_together() -> None:
    found = rows(label_counts({"b": {"test": 2, "train": 1, "none": 3, "": 1}, "a": {"train": 0}}))
    assert [(row["label"], row["name"], row["images"]) for row in found] == [
        ("b", "Training", 1),
        ("b", "Test", 2),
        ("b", "No split", 4),
    ]


def test_a_chart_loads_altair_only_when_drawn_and_pandas_before_it() -> None:
    code = (
        "import sys; from fieldmark.ui import charts; before = {'altair', 'pandas'} & set(sys.modules);"
        "charts.scores({'a': 0.5}); names = [n for n in sys.modules if n in ('altair', 'pandas')];"
        "print(sorted(before), names)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[] ['pandas', 'altair']"


def test_charts_of_nothing_are_charts() -> None:
    assert rows(label_counts({"a": {}})) == rows(label_counts({})) == rows(scores({})) == []


def test_scores_are_ranked_and_those_below_their_threshold_are_pale() -> None:
    found = rows(scores({"a": 0.2, "b": 0.9, "c": 0.5}, {"b": 0.95, "a": 0.1}))
    assert [(row["label"], row["meaning"], row["threshold"]) for row in found] == [
        ("b", "below", 0.95),
        ("c", "train", None),
        ("a", "train", 0.1),
    ]
    assert [row["label"] for row in rows(scores({"a": 0.2, "b": 0.9}, 0.5, most=1))] == ["b"]


PAGE = """
import streamlit as st
from fieldmark.ui import charts
from fieldmark.ui.charts.confusion import SELECTION

def drawn(chart):  # as SVG, so that its parts can be found
    return chart.properties(usermeta={{"embedOptions": {{"renderer": "svg"}}}})

labels = {labels!r}
n = len(labels)
st.set_page_config(layout="wide")
matrix = [[(90 if i == j else i + j) for j in range(n)] for i in range(n)]
event = st.altair_chart(drawn(charts.confusion(matrix, labels)), on_select="rerun", selection_mode=SELECTION, key="m")
st.text(f"chosen: {{charts.chosen_cell(event)!r}}")
curve = [dict(step=s, seconds=s, split=p, accuracy=.5, cross_entropy=.5) for s in (1, 2) for p in ("train", "validation")]
st.altair_chart(drawn(charts.learning_curves(curve, 2)), key="curves")
st.altair_chart(drawn(charts.label_counts({{label: {{"train": 1, "test": 2}} for label in labels}})), key="counts")
st.altair_chart(drawn(charts.scores({{label: .1 for label in labels}}, .5)), key="scores")
"""
SERVER = """
import sys
import uvicorn
from streamlit.web import bootstrap
from fieldmark.ui.theme import theme_options
bootstrap.load_config_options({"browser.gatherUsageStats": False, "server.headless": True,
    "server.fileWatcherType": "none", **theme_options()})
import streamlit as st
uvicorn.run(st.App(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Streamlit server that shows every chart."""
    folder: Path = tmp_path_factory.mktemp("charts")
    (folder / "page.py").write_text(PAGE.format(labels=HOSTILE), "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder / "page.py"), str(port)], cwd=folder)
    try:
        for _ in range(150):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail("the server did not start")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(params=list(THEMES))
def shown(request: pytest.FixtureRequest, chromium: Any, address: str) -> Iterator[tuple[str, Any]]:
    """(theme, page with all charts); fails when the page opened a dialog or called another host."""
    context = chromium.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 2400})
    page = context.new_page()
    strangers: list[str] = []
    page.on("dialog", lambda dialog: (strangers.append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda sent: (
            None
            if sent.url.startswith((address, "data:", "blob:", address.replace("http", "ws")))
            else strangers.append(sent.url)
        ),
    )
    page.goto(address)
    page.locator(".stVegaLiteChart svg.marks").nth(3).wait_for(timeout=30_000)
    yield request.param, page
    assert strangers == []
    context.close()


def rgb(colour: str) -> str:
    parts = [int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return "#" + "".join(f"{part:02x}" for part in parts)


def test_a_click_on_a_cell_gives_back_both_labels_whatever_they_are(shown: tuple[str, Any]) -> None:
    _, page = shown
    cells = page.locator(".stVegaLiteChart").first.locator("g.mark-rect.role-mark path")
    assert cells.count() == len(HOSTILE) ** 2
    for row, truth in enumerate(HOSTILE):
        column = (row * 3 + 1) % len(HOSTILE)
        # Between the number and the cell's edge, then on the number.
        box = cells.nth(row * len(HOSTILE) + column).bounding_box()
        page.mouse.click(box["x"] + box["width"] / (2 if row % 2 else 10), box["y"] + box["height"] / 2)
        chosen = page.get_by_text(f"chosen: {(truth, HOSTILE[column])!r}", exact=True)
        chosen.wait_for(timeout=10_000)


def test_labels_are_whole_in_the_box_and_never_markup(shown: tuple[str, Any]) -> None:
    _, page = shown
    cells = page.locator(".stVegaLiteChart").first.locator("g.mark-rect.role-mark path")
    for row, truth in enumerate(HOSTILE):
        cells.nth(row * len(HOSTILE)).hover(position={"x": 4, "y": 4})
        box = page.locator("#vg-tooltip-element")
        box.get_by_text(truth, exact=True).first.wait_for(timeout=5_000)
        assert box.locator("script, b, strong, em, img, a").count() == 0
        assert "Share of the row" in box.inner_text()


def test_colours_follow_the_theme_and_can_be_read(shown: tuple[str, Any]) -> None:
    name, page = shown
    charts = page.locator(".stVegaLiteChart")
    ground = str(THEMES[name]["backgroundColor"])
    fills = charts.first.locator("g.mark-rect.role-mark path").evaluate_all(
        "all => all.map(e => e.getAttribute('fill'))"
    )
    inks = charts.first.locator("g.mark-text.role-mark text").evaluate_all(
        "all => all.map(e => e.getAttribute('fill'))"
    )
    assert len(fills) == len(inks) == len(HOSTILE) ** 2
    for fill, ink in zip(fills, inks, strict=True):
        assert contrast(rgb(fill), rgb(ink)) >= 4.5
    for chart in range(4):
        words = (
            charts.nth(chart)
            .locator(".role-axis text, .role-legend text")
            .evaluate_all("all => all.filter(e => e.textContent).map(e => getComputedStyle(e).fill)")
        )
        assert words
        assert min(contrast(rgb(word), ground) for word in words) >= 4.5
    strokes = (
        charts.nth(1)
        .locator("g.mark-line path")
        .evaluate_all("all => all.map(e => [e.getAttribute('stroke'), e.getAttribute('stroke-dasharray')])")
    )
    assert sorted(stroke.lower() for stroke, _ in strokes) == sorted(CATEGORICAL[name][:2])
    assert len({dash for _, dash in strokes}) == 2
    mark = charts.nth(1).locator("g.mark-rule.role-mark line")
    assert mark.first.get_attribute("stroke") == CATEGORICAL[name][2]
    assert charts.nth(1).get_by_text("best, step 2", exact=True).count() == 1
