"""Hostile, broken and odd image files, generated. `write_hostile` and `write_odd` give a folder of each."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageDraw

HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><rect width="9" height="9"/></svg>'


def picture(width: int = 120, height: int = 80) -> Image.Image:
    """A drawing with a red top-left, a green top-right, a blue bottom-left corner, and detail between."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for step in range(0, width, 6):
        draw.line((step, 0, (step * 7) % width, height), fill=(step * 2 % 256, 90, 255 - step % 256))
    corner = max(1, min(width, height) // 3)
    draw.rectangle((0, 0, corner, corner), fill="red")
    draw.rectangle((width - corner - 1, 0, width - 1, corner), fill="lime")
    draw.rectangle((0, height - corner - 1, corner, height - 1), fill="blue")
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file of a format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_with_size(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and which holds almost nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes(1000)))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_bomb(side: int = 13_000) -> bytes:
    """A sound PNG of a few kilobytes with `side` x `side` pixels of one colour."""
    rows = zlib.compress(bytes((side // 8 + 1) * side + side), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def jpeg_bomb(side: int = 13_000) -> bytes:
    """A sound grey JPEG of `side` x `side` pixels of one colour."""
    return encoded(Image.new("L", (side, side), 128), "JPEG", quality=10, optimize=True)


def jpeg_of_many_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again, each costing a walk over the whole picture."""
    sound = encoded(Image.new("RGB", (width, height), "grey"), "JPEG", progressive=True, quality=50)
    last = sound.rindex(b"\xff\xda")
    return sound[:last] + sound[last:-2] * scans + sound[-2:]


def gif_with_large_frame(side: int) -> bytes:
    """A GIF that announces 1 x 1 pixel and then a frame of `side` x `side`."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame + b"\x3b"


def tiff_that_loops() -> bytes:
    """A TIFF whose only directory names itself as the next one."""
    sound = bytearray(encoded(picture(20, 10), "TIFF"))
    directory = struct.unpack_from("<I", sound, 4)[0]
    entries = struct.unpack_from("<H", sound, directory)[0]
    struct.pack_into("<I", sound, directory + 2 + 12 * entries, directory)
    return bytes(sound)


def png_of_16_bit_colour() -> bytes:
    """A red PNG of 2 x 2 pixels with 16 bits a channel, which Pillow can read but not write."""
    row = b"\0" + b"\xff\xff\0\0\0\0" * 2
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(row * 2))
        + _chunk(b"IEND", b"")
    )


def profile_that_swaps_red_and_blue() -> bytes:
    """An ICC profile like sRGB's but for its primaries: what it calls red is blue."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def point(*xyz: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(number, xyz))

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(2.2 * 256))
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"swap\0" + bytes(78 + 1)
    tags = {
        b"desc": text,
        b"cprt": b"text\0\0\0\0free\0\0\0\0",
        b"wtpt": point(0.9642, 1.0, 0.8249),
        b"rXYZ": point(0.1431, 0.0606, 0.7141),
        b"gXYZ": point(0.3851, 0.7169, 0.0971),
        b"bXYZ": point(0.4361, 0.2225, 0.0139),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += number(0.9642) + number(1.0) + number(0.8249)
    return header.ljust(128, b"\0") + table + body


def write_hostile(folder: Path) -> Path:
    """Write files that must all be refused; their names tell what is wrong."""
    jpeg, png = encoded(picture(), "JPEG"), encoded(picture(), "PNG")
    files = {
        "empty.jpg": b"",
        "one-byte.png": b"\x89",
        "text.jpg": b"this is no image\n" * 50,
        "html.png": HTML,
        "svg.jpg": SVG,
        "zeros.bmp": bytes(5000),
        "only-magic.jpg": b"\xff\xd8\xff\xe0",
        "only-magic.png": b"\x89PNG\r\n\x1a\n",
        "only-magic.gif": b"GIF89a",
        "only-magic.tif": b"II*\0",
        "only-magic.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
        "magic-then-html.gif": b"GIF89a" + HTML,
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": png[: len(png) // 2],
        "cut.gif": encoded(picture(), "GIF")[:900],
        "cut.bmp": encoded(picture(), "BMP")[:900],
        "cut.webp": encoded(picture(), "WEBP")[:400],
        "cut.tif": encoded(picture(), "TIFF", compression="tiff_lzw")[:900],
        "heic.jpg": b"\0\0\0\x18ftypheic" + bytes(50),
        "header-60000.png": png_with_size(60_000, 60_000),
        "header-zero.png": png_with_size(0, 5),
        "thin.png": encoded(Image.new("L", (5000, 2)), "PNG"),
        "long.png": encoded(Image.new("1", (20_001, 300)), "PNG"),
        "bomb.png": png_bomb(),
        "bomb.jpg": jpeg_bomb(),
        "large-frame.gif": gif_with_large_frame(20_000),
    }
    return _write(folder, files)


def write_odd(folder: Path) -> Path:
    """Write files that are unusual but sound."""
    drawing = picture()
    grey16 = Image.new("I;16", (40, 30), 30_000)
    palette = drawing.quantize(16)
    clear = drawing.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(drawing.size))
    frames = [drawing, drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("RGB", drawing.size)]
    more: dict[str, object] = {"save_all": True, "append_images": frames[1:]}
    files = {
        "plain.jpg": encoded(drawing, "JPEG"),
        "pixel.png": encoded(Image.new("RGB", (1, 1), "red"), "PNG"),
        "panorama.png": encoded(Image.new("RGB", (3000, 30), "red"), "PNG"),
        "animated.gif": encoded(drawing, "GIF", **more),
        "animated.webp": encoded(drawing, "WEBP", **more),
        "animated.png": encoded(drawing, "PNG", **more),
        "pages.tif": encoded(drawing, "TIFF", **more),
        "loops.tif": tiff_that_loops(),
        "two-pictures.jpg": encoded(drawing, "MPO", **more),
        "palette-clear.png": encoded(palette, "PNG", transparency=palette.getpixel((119, 79))),
        "rgba.png": encoded(clear, "PNG"),
        "opaque-rgba.png": encoded(drawing.convert("RGBA"), "PNG"),
        "cmyk.jpg": encoded(drawing.convert("CMYK"), "JPEG"),
        "lab.tif": encoded(Image.new("LAB", (20, 20)), "TIFF"),
        "grey16.png": encoded(grey16, "PNG"),
        "colour16.png": png_of_16_bit_colour(),
        "float.tif": encoded(Image.new("F", (20, 10), 0.5), "TIFF"),
        "bits.png": encoded(drawing.convert("1"), "PNG"),
        "jpeg-called.png": encoded(drawing, "JPEG"),
        "polyglot.jpg": encoded(drawing, "JPEG") + HTML + b"PK\x03\x04",
        "bad-exif.jpg": encoded(drawing, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(9)),
        "bad-profile.jpg": encoded(drawing, "JPEG", icc_profile=b"no profile at all"),
        "swapped.png": encoded(
            Image.new("RGB", (40, 30), "red"), "PNG", icc_profile=profile_that_swaps_red_and_blue()
        ),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        files[f"orientation-{orientation}.jpg"] = encoded(
            _turned_back(drawing, orientation), "JPEG", exif=exif, quality=95, subsampling=0
        )
    return _write(folder, files)


def _turned_back(image: Image.Image, orientation: int) -> Image.Image:
    """The pixels as a camera stores them when its EXIF orientation makes them `image` again."""
    turns = Image.Transpose
    turn = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_90,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_270,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
