import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fieldmark.core.pictures.pixels import UnreadableImage, open_upright, size_problem, upright_rgb

LEFT_RED = np.zeros((40, 60, 3), dtype=np.uint8)
LEFT_RED[:, :30] = (255, 0, 0)
LEFT_RED[:, 30:] = (0, 0, 255)


def saved(tmp_path, name, image, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_exif_orientation_is_undone(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(LEFT_RED).transpose(Image.Transpose.ROTATE_90)
    image = open_upright(saved(tmp_path, f"turned.{suffix}", stored, exif=exif), None)
    assert image.mode == "RGB" and image.size == (60, 40)
    red, _, blue = np.asarray(image)[20, 5].astype(int)
    assert red > 200 and blue < 60


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_exif_data_that_cannot_be_parsed_does_not_hide_the_pixels(tmp_path):
    path = saved(tmp_path, "odd.jpg", Image.fromarray(LEFT_RED), exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    assert open_upright(path, None).size == (60, 40)


@pytest.mark.parametrize(
    ("mode", "pixel"), [("RGBA", (0, 200, 0, 0)), ("LA", (0, 0)), ("PA", None), ("P", None)]
)
def test_transparent_pixels_are_white(tmp_path, mode, pixel):
    if pixel is None:
        image = Image.new("P", (8, 8), 0)
        image.putpalette([0, 0, 0, 255, 0, 0])
        image.info["transparency"] = 0
        path = saved(tmp_path, "p.png", image, transparency=0)
    else:
        path = saved(tmp_path, "a.png", Image.new(mode, (8, 8), pixel))
    assert open_upright(path, None).getpixel((3, 3)) == (255, 255, 255)


def test_cmyk_and_sixteen_bit_grey_become_rgb(tmp_path):
    cmyk = saved(tmp_path, "c.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)))
    red, green, blue = open_upright(cmyk, None).getpixel((8, 8))
    assert red > 230 and green < 40 and blue < 40
    grey = Image.fromarray(np.array([[0, 32896], [65535, 257]], dtype=np.uint16))
    for name in ("g.png", "g.tif"):
        image = open_upright(saved(tmp_path, name, grey), None)
        assert np.asarray(image)[..., 0].tolist() == [[0, 128], [255, 1]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[-10.0, 0.0, 10.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.0, 1.0]], np.float32), [0, 0, 255]),
        (np.array([[0, 7, 255]], np.int32), [0, 7, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
    ],
)
def test_floats_and_long_integers_fill_eight_bits(values, expected):
    assert np.asarray(upright_rgb(Image.fromarray(values)))[0, :, 1].tolist() == expected


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "lime")]
    path = saved(tmp_path, "a.gif", frames[0], save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        image.seek(1)
        assert upright_rgb(image).getpixel((4, 4)) == (255, 0, 0)
    assert open_upright(path, None).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_large_image_is_reduced_but_never_below_twice_the_side_wanted(tmp_path, suffix):
    path = saved(tmp_path, f"large.{suffix}", Image.new("RGB", (900, 620), "teal"))
    assert min(open_upright(path, 200).size) >= 400
    assert 160 <= min(open_upright(path, 80).size) <= 320
    assert open_upright(path, None).size == (900, 620)


def test_refusals_name_the_file_and_say_why(tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    whole = io.BytesIO()
    Image.fromarray(LEFT_RED).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:-40])
    Image.new("L", (5000, 10)).save(tmp_path / "thin.png")
    for name, reason in (
        ("text.jpg", "in none of the formats"),
        ("cut.png", "is damaged"),
        ("thin.png", "at most 100 times"),
        ("gone.png", "no longer there"),
    ):
        with pytest.raises(UnreadableImage, match=reason) as caught:
            open_upright(tmp_path / name, 224)
        assert name in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_sizes():
    assert size_problem(8000, 6000) is None
    assert "megapixels" in (size_problem(12_000, 9_000) or "")
    assert "long side" in (size_problem(20_001, 5_000) or "")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_pixels_or_a_sentence(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]))
    whole = io.BytesIO()
    Image.fromarray(LEFT_RED).save(whole, kind)
    content = bytearray(whole.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert open_upright(path, 16).mode == "RGB"
    except UnreadableImage as error:
        assert "fuzzed" in str(error)
