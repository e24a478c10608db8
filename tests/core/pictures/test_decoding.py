"""Image files of every kind, the hostile ones too, through the real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fieldmark.core.pictures.decoding import Decoded, DecodeJob, Decoders, Limits, Refused

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
Check = Callable[[Path], Decoded | Refused]


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(2) as pool:
        yield pool


@pytest.fixture
def check(decoders: Decoders, tmp_path: Path) -> Check:
    return lambda path: check_one(decoders, path, tmp_path / "thumbnail.jpg")


@pytest.fixture(scope="module")
def burner(image_makers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of an honest size that takes far longer to decode than any test waits."""
    path = tmp_path_factory.mktemp("burner") / "burner.jpg"
    path.write_bytes(image_makers.jpeg_of_many_scans(4000, 4000, 8000))
    assert path.stat().st_size < 1 << 20
    return path


def check_one(decoders: Decoders, path: Path, thumbnail: Path) -> Decoded | Refused:
    ((_, result),) = decoders.check([DecodeJob(path, thumbnail)])
    return result


def sound(result: Decoded | Refused) -> Decoded:
    assert isinstance(result, Decoded), result
    return result


def colour_at(image: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    colour = image.getpixel(place)
    assert isinstance(colour, tuple)
    return colour


def children_of(parent: int) -> dict[int, str]:
    """Process id and state of each child; a zombie's state is Z."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, of = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(of) == parent:
                found[int(entry.name)] = state
    return found


def our_decoders() -> set[int]:
    return {
        pid
        for pid in children_of(os.getpid())
        if b"decode_child" in Path(f"/proc/{pid}/cmdline").read_bytes()
        or children_of(os.getpid())[pid] == "Z"
    }


REASONS = {
    "empty.jpg": "is empty (0 bytes)",
    "text.jpg": "is not an image Fieldmark reads",
    "html.png": "is not an image Fieldmark reads",
    "svg.jpg": "is not an image Fieldmark reads",
    "zeros.bmp": "is not an image Fieldmark reads",
    "heic.jpg": "is a HEIC or AVIF picture",
    "cut.jpg": "is cut off",
    "cut.png": "is cut off",
    "cut.gif": "is cut off",
    "cut.bmp": "is cut off",
    "cut.webp": "cut off",
    "cut.tif": "cut off",
    "thin.png": "5000 x 2 pixels",
    "long.png": "20001 pixels",
    "header-60000.png": "3600 megapixels",
    "bomb.png": "169 megapixels",
    "bomb.jpg": "169 megapixels",
    "large-frame.gif": "400 megapixels",
}


def test_every_hostile_file_is_refused_with_a_sentence(
    decoders: Decoders, hostile_images: Path, tmp_path: Path
) -> None:
    jobs = [DecodeJob(path, tmp_path / path.name, path.name) for path in sorted(hostile_images.iterdir())]
    results = list(decoders.check(jobs))
    assert [job for job, _ in results] == jobs
    for job, result in results:
        assert isinstance(result, Refused), job
        assert result.reason.startswith(("is ", "has ", "would ")), job
        assert not any(
            sign in result.reason for sign in ("Error", "Traceback", "/", "<", str(job.path.parent))
        )
        assert REASONS.get(job.key, "") in result.reason
    assert {job.key for job in jobs} >= REASONS.keys()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_come_out_upright(
    orientation: int, check: Check, odd_images: Path, tmp_path: Path
) -> None:
    result = sound(check(odd_images / f"orientation-{orientation}.jpg"))
    assert (result.width, result.height, result.orientation) == (120, 80, orientation)
    upright = sound(check(odd_images / "orientation-1.jpg"))
    assert result.phash is not None and upright.phash is not None
    assert (int(result.phash, 16) ^ int(upright.phash, 16)).bit_count() <= 4
    assert ("turned upright by its EXIF orientation" in result.notes) == (orientation != 1)
    check(odd_images / f"orientation-{orientation}.jpg")
    with Image.open(tmp_path / "thumbnail.jpg") as thumbnail:
        assert (thumbnail.size, thumbnail.format, thumbnail.mode) == ((120, 80), "JPEG", "RGB")
        assert 0x0112 not in thumbnail.getexif()
        corners = [colour_at(thumbnail, place) for place in ((8, 8), (111, 8), (8, 71))]
    assert [max(range(3), key=colour.__getitem__) for colour in corners] == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "kind", "mode", "frames", "notes"),
    [
        ("plain.jpg", "JPEG", "RGB", 1, ()),
        ("animated.gif", "GIF", "P", 3, ("animated: the first of 3 frames is used",)),
        ("animated.png", "PNG", "RGB", 3, ("animated: the first of 3 frames is used",)),
        ("animated.webp", "WEBP", "RGBA", 3, ("animated: the first of 3 frames is used",)),
        ("pages.tif", "TIFF", "RGB", 3, ("several pictures in one file: the first of 3 is used",)),
        ("loops.tif", "TIFF", "RGB", 1, ()),
        ("two-pictures.jpg", "JPEG", "RGB", 3, ("several pictures in one file: the first of 3 is used",)),
        ("palette-clear.png", "PNG", "P", 1, ("transparent: placed on white",)),
        ("rgba.png", "PNG", "RGBA", 1, ("transparent: placed on white",)),
        ("opaque-rgba.png", "PNG", "RGBA", 1, ()),
        ("cmyk.jpg", "JPEG", "CMYK", 1, ("CMYK: converted to RGB",)),
        ("lab.tif", "TIFF", "LAB", 1, ("LAB: converted to RGB",)),
        ("grey16.png", "PNG", "I;16", 1, ("16-bit: reduced to 8 bits",)),
        ("colour16.png", "PNG", "RGB", 1, ("16-bit: reduced to 8 bits",)),
        ("float.tif", "TIFF", "F", 1, ("32-bit: reduced to 8 bits",)),
        ("bits.png", "PNG", "1", 1, ()),
        ("jpeg-called.png", "JPEG", "RGB", 1, ()),
        ("polyglot.jpg", "JPEG", "RGB", 1, ()),
        ("bad-exif.jpg", "JPEG", "RGB", 1, ()),
        ("bad-profile.jpg", "JPEG", "RGB", 1, ()),
    ],
)
def test_odd_files_are_taken_and_described(
    name: str, kind: str, mode: str, frames: int, notes: tuple[str, ...], check: Check, odd_images: Path
) -> None:
    result = sound(check(odd_images / name))
    assert (result.format, result.mode, result.frames, result.notes) == (kind, mode, frames, notes)


@pytest.mark.parametrize(
    ("name", "place", "colour"),
    [
        ("pixel.png", (0, 0), (255, 0, 0)),
        ("grey16.png", (5, 5), (117, 117, 117)),
        ("colour16.png", (1, 1), (255, 0, 0)),
        ("float.tif", (3, 3), (128, 128, 128)),
        ("rgba.png", (60, 0), (255, 255, 255)),
        ("palette-clear.png", (119, 79), (255, 255, 255)),
        ("swapped.png", (5, 5), (0, 0, 255)),
        ("cmyk.jpg", (8, 8), (255, 0, 0)),
        ("animated.gif", (8, 8), (255, 0, 0)),
    ],
)
def test_thumbnails_show_what_the_picture_shows(
    name: str,
    place: tuple[int, int],
    colour: tuple[int, int, int],
    check: Check,
    odd_images: Path,
    tmp_path: Path,
) -> None:
    sound(check(odd_images / name))
    with Image.open(tmp_path / "thumbnail.jpg") as thumbnail:
        assert colour_at(thumbnail, place) == pytest.approx(colour, abs=24)


def test_a_panorama_gets_a_thumbnail_of_256_pixels(check: Check, odd_images: Path, tmp_path: Path) -> None:
    result = sound(check(odd_images / "panorama.png"))
    assert (result.width, result.height) == (3000, 30)
    with Image.open(tmp_path / "thumbnail.jpg") as thumbnail:
        assert thumbnail.width == 256
        assert 1 <= thumbnail.height <= 4


def test_the_largest_size_fits_into_the_memory(
    check: Check, image_makers: ModuleType, tmp_path: Path
) -> None:
    large = Image.new("RGB", (10_000, 8_000), "red")
    path = tmp_path / "large.jpg"
    path.write_bytes(image_makers.encoded(large, "JPEG", progressive=True, subsampling=0, quality=50))
    result = sound(check(path))
    assert (result.width, result.height) == (10_000, 8_000)


def test_an_image_that_needs_too_much_memory_is_refused_and_the_next_one_taken(
    odd_images: Path, image_makers: ModuleType, tmp_path: Path
) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(image_makers.encoded(Image.new("RGB", (8_000, 8_000)), "PNG", compress_level=1))
    with Decoders(1, Limits(memory_bytes=320 << 20)) as pool:
        refused = check_one(pool, large, tmp_path / "a.jpg")
        assert refused == Refused("needs more than 0.312 GiB of memory to decode")
        sound(check_one(pool, odd_images / "plain.jpg", tmp_path / "b.jpg"))


def test_a_jpeg_that_burns_processor_time_is_stopped(odd_images: Path, burner: Path, tmp_path: Path) -> None:
    thumbnails = tmp_path / "thumbnails"
    thumbnails.mkdir()
    plain = odd_images / "plain.jpg"
    with Decoders(1, Limits(cpu_seconds=1, wall_seconds=100)) as pool:
        jobs = [DecodeJob(path, thumbnails / f"{i}.jpg") for i, path in enumerate((plain, burner, plain))]
        first, second, third = (result for _, result in pool.check(jobs))
    assert second == Refused("took more than 1 s of processor time to decode")
    assert sound(first) == sound(third)
    assert sorted(path.name for path in thumbnails.iterdir()) == ["0.jpg", "2.jpg"]


def test_an_image_that_takes_too_long_on_the_clock_is_stopped(
    odd_images: Path, burner: Path, tmp_path: Path
) -> None:
    with Decoders(1, Limits(cpu_seconds=100, wall_seconds=1.0)) as pool:
        result = check_one(pool, burner, tmp_path / "a.jpg")
        assert isinstance(result, Refused)
        assert result.reason.startswith("took more than 1 s to decode")
    with Decoders(1) as pool:
        sound(check_one(pool, odd_images / "plain.jpg", tmp_path / "b.jpg"))


@needs_proc
@pytest.mark.parametrize(
    ("how", "says"), [(signal.SIGSEGV, "made the decoder crash"), (signal.SIGKILL, "want of memory")]
)
def test_a_decoder_that_dies_costs_one_image(
    how: signal.Signals, says: str, odd_images: Path, burner: Path, tmp_path: Path
) -> None:
    plain = odd_images / "plain.jpg"
    others = our_decoders()
    with Decoders(1, Limits(cpu_seconds=100)) as pool:
        sound(check_one(pool, plain, tmp_path / "first.jpg"))
        (pid,) = our_decoders() - others
        killer = threading.Timer(0.5, os.kill, (pid, how))
        killer.start()
        jobs = [DecodeJob(path, tmp_path / f"{path.stem}.jpg") for path in (burner, plain)]
        (_, broken), (_, after) = pool.check(jobs)
        killer.join()
        assert isinstance(broken, Refused)
        assert says in broken.reason
        sound(after)


@needs_proc
def test_an_idle_decoder_that_died_costs_no_image(odd_images: Path, tmp_path: Path) -> None:
    others = our_decoders()
    with Decoders(1) as pool:
        sound(check_one(pool, odd_images / "plain.jpg", tmp_path / "a.jpg"))
        (pid,) = our_decoders() - others
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        sound(check_one(pool, odd_images / "plain.jpg", tmp_path / "a.jpg"))


@needs_proc
def test_closing_leaves_no_process_behind(odd_images: Path, burner: Path, tmp_path: Path) -> None:
    plain = odd_images / "plain.jpg"
    others = our_decoders()
    with Decoders(2) as pool:
        results = pool.check(DecodeJob(path, tmp_path / "a.jpg") for path in (plain, burner, burner))
        sound(next(results)[1])
        assert our_decoders() - others
    assert our_decoders() == others


@needs_proc
def test_decoders_end_when_their_parent_is_killed(odd_images: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom fieldmark.core.pictures.decoding import *\n"
        "pool = Decoders(1)\n"
        "print(list(pool.check([DecodeJob(Path(sys.argv[1]), Path(sys.argv[2]))]))[0][1].width, flush=True)\n"
        "time.sleep(600)\n"
    )
    arguments = [sys.executable, "-c", script, str(odd_images / "plain.jpg"), str(tmp_path / "a.jpg")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "120\n"
        (child,) = children_of(parent.pid)
        parent.kill()
    deadline = time.monotonic() + 30
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(child)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_jobs_are_taken_only_a_little_ahead(odd_images: Path, tmp_path: Path) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[DecodeJob]:
        for number in range(100):
            taken.append(number)
            yield DecodeJob(odd_images / "pixel.png", tmp_path / f"{number}.jpg", number)

    with Decoders(2) as pool:
        for done, (job, result) in enumerate(pool.check(jobs())):
            sound(result)
            assert job.key == done
            assert len(taken) <= done + 32
    assert len(taken) == 100


def test_a_pool_goes_on_after_results_were_left(odd_images: Path, tmp_path: Path) -> None:
    with Decoders(1) as pool:
        for _ in pool.check(DecodeJob(odd_images / "pixel.png", tmp_path / f"{i}.jpg") for i in range(50)):
            break
        sound(check_one(pool, odd_images / "plain.jpg", tmp_path / "a.jpg"))


def test_any_path_will_do(check: Check, odd_images: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b'new\nline "quoted" \xff.jpg')
    path.write_bytes((odd_images / "plain.jpg").read_bytes())
    assert sound(check(path)).width == 120


def test_a_missing_file_and_a_missing_thumbnail_folder_are_told_apart(
    decoders: Decoders, odd_images: Path, tmp_path: Path
) -> None:
    missing = check_one(decoders, tmp_path / "gone.jpg", tmp_path / "a.jpg")
    assert missing == Refused("can't be read from the disk (No such file or directory)")
    homeless = check_one(decoders, odd_images / "plain.jpg", tmp_path / "nowhere" / "a.jpg")
    assert isinstance(homeless, Refused)
    assert homeless.reason.startswith("can't be stored: its thumbnail could not be written")


def test_nothing_is_imported_from_the_current_folder(
    odd_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    with Decoders(1) as pool:
        sound(check_one(pool, odd_images / "plain.jpg", Path("a.jpg")))
    assert (tmp_path / "a.jpg").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere_is_survived(
    data: st.DataObject, decoders: Decoders, odd_images: Path, tmp_path: Path
) -> None:
    name = data.draw(st.sampled_from(sorted(path.name for path in odd_images.iterdir())))
    content = bytearray((odd_images / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path, thumbnail = tmp_path / "damaged", tmp_path / "damaged.thumbnail"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    thumbnail.unlink(missing_ok=True)
    result = check_one(decoders, path, thumbnail)
    assert thumbnail.exists() == isinstance(result, Decoded)
    if isinstance(result, Refused):
        assert "decoder crash" not in result.reason


def test_real_photos_are_all_taken(decoders: Decoders, tmp_path: Path) -> None:
    if "FIELDMARK_DATA" not in os.environ:
        pytest.skip("FIELDMARK_DATA names no folder with trashnet_mini")
    photos = sorted((Path(os.environ["FIELDMARK_DATA"]) / "trashnet_mini").glob("*/*.jpg"))
    results = [sound(r) for _, r in decoders.check(DecodeJob(p, tmp_path / f"{p.stem}.jpg") for p in photos)]
    assert {(r.width, r.height) for r in results} == {(384, 512)}
    assert len({r.phash for r in results}) == len(photos) == 270
    assert len(list(tmp_path.iterdir())) == 270
