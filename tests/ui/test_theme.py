"""Colours as numbers: what can be read, and what colour-blind eyes can tell apart, in both themes."""

import itertools
import math
from collections.abc import Sequence

import pytest

from fieldmark.ui import theme
from fieldmark.ui.charts import palette

THEMES = {"light": theme.LIGHT, "dark": theme.DARK}
SEQUENTIAL = {"light": palette.SEQUENTIAL_LIGHT, "dark": palette.SEQUENTIAL_DARK}
CATEGORICAL = {"light": palette.CATEGORICAL_LIGHT, "dark": palette.CATEGORICAL_DARK}
# How colour-blind eyes see linear RGB (Machado, Oliveira and Fernandes 2009, full severity).
EYES = {
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    "tritanopia": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}


def linear(colour: str) -> list[float]:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG: 1 for equal colours, 21 for black on white."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def seen(colour: str, eyes: str) -> tuple[float, float, float]:
    """CIE L*a*b* of a colour as these eyes see it."""
    rgb = [
        min(1.0, max(0.0, sum(f * c for f, c in zip(row, linear(colour), strict=True)))) for row in EYES[eyes]
    ]
    red, green, blue = rgb
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
    )
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def between(colours: Sequence[str], place: float) -> str:
    """The colour at 0..1 along a gradient, as Vega mixes it."""
    where = place * (len(colours) - 1)
    first = min(int(where), len(colours) - 2)
    parts = [
        round(
            int(colours[first][i : i + 2], 16) * (first + 1 - where)
            + int(colours[first + 1][i : i + 2], 16) * (where - first)
        )
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("textColor", "backgroundColor"),
        ("textColor", "secondaryBackgroundColor"),
        ("linkColor", "backgroundColor"),
        ("codeTextColor", "codeBackgroundColor"),
        ("grayTextColor", "backgroundColor"),
        ("grayTextColor", "secondaryBackgroundColor"),
        *[
            (f"{colour}TextColor", ground)
            for colour in ("red", "orange", "yellow", "green", "blue")
            for ground in ("backgroundColor", f"{colour}BackgroundColor")
        ],
    ],
)
def test_text_stands_out_in_both_themes(name: str, ink: str, ground: str) -> None:
    assert contrast(str(THEMES[name][ink]), str(THEMES[name][ground])) >= 4.5


@pytest.mark.parametrize("name", THEMES)
def test_white_can_be_read_on_the_accent_and_the_accent_be_seen(name: str) -> None:
    accent = str(THEMES[name]["primaryColor"])
    assert contrast("#ffffff", accent) >= 4.5
    assert contrast(accent, str(THEMES[name]["backgroundColor"])) >= 3


@pytest.mark.parametrize("name", THEMES)
def test_lines_bars_and_words_of_charts_stand_out(name: str) -> None:
    ground = str(THEMES[name]["backgroundColor"])
    colours = dict(zip(palette.MEANINGS, CATEGORICAL[name], strict=True))
    assert min(contrast(colour, ground) for colour in colours.values()) >= 3
    assert contrast(colours["mark"], ground) >= 4.5
    assert contrast(colours["quiet"], ground) >= 4.5


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(
    "drawn", [("train", "validation", "test", "quiet"), ("train", "mark"), ("train", "below")]
)
def test_colours_drawn_together_differ_for_every_eye(name: str, eyes: str, drawn: tuple[str, ...]) -> None:
    colours = dict(zip(palette.MEANINGS, CATEGORICAL[name], strict=True))
    apart = {
        (one, other): math.dist(seen(colours[one], eyes), seen(colours[other], eyes))
        for one, other in itertools.combinations(drawn, 2)
    }
    assert min(apart.values()) >= 15, apart


@pytest.mark.parametrize("name", THEMES)
def test_a_number_can_be_read_on_every_cell(name: str) -> None:
    colours = SEQUENTIAL[name]
    low, high = palette.cell_scale()["domain"]
    for percent in range(101):
        share = percent / 100
        cell = between(colours, (share - low) / (high - low))
        writing = colours[-1] if share <= 0.5 else colours[0]
        assert contrast(writing, cell) >= 4.5, (share, cell)


@pytest.mark.parametrize("name", THEMES)
def test_a_larger_share_is_always_further_from_the_ground(name: str) -> None:
    steps = [contrast(colour, str(THEMES[name]["backgroundColor"])) for colour in SEQUENTIAL[name][1:-1]]
    assert steps == sorted(steps)


def test_streamlit_knows_every_option_of_the_theme() -> None:
    from streamlit import config

    known = config.get_config_options()
    assert [name for name in theme.theme_options() if name not in known] == []
