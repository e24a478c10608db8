"""A reference finds its image when exactly one fits, and is never given to one of several."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldmark.core.matching import Ambiguous, Found, ImageMatcher, Unmatched, common_folder, undecorated


def match(reference: str, *names: str) -> tuple[str, str] | tuple[str, ...] | None:
    """Return name and step when found, the names when ambiguous, None when unmatched."""
    found = ImageMatcher(enumerate(names)).match(reference)
    match found:
        case Found(image_id, name, step):
            assert names[image_id] == name
            return name, step
        case Ambiguous(fitting, _):
            return fitting
        case Unmatched():
            return None


UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
HASH = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("reference", "names", "expected"),
    [
        ("cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("./cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("/cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("../../cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("cat\\a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("s3://bucket/cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("gs://b/cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("https://host/cat/a.jpg?X=1&y=z", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("AmlDatastore://store/cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        (
            "azureml://subscriptions/s/datastores/d/paths/cat/a.jpg",
            ["cat/a.jpg", "dog/a.jpg"],
            ("cat/a.jpg", "path"),
        ),
        ("/data/local-files/?d=cat/a.jpg", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("CAT/A.JPG", ["cat/a.jpg", "dog/a.jpg"], ("cat/a.jpg", "path")),
        ("cat/a.jpg", ["set/cat/a.jpg", "set/more/cat/a.jpg"], ("set/cat/a.jpg", "path")),
        ("my%20cat.jpg", ["my cat.jpg"], ("my cat.jpg", "decoded path")),
        ("my%20cat.jpg", ["my cat.jpg", "my%20cat.jpg"], ("my%20cat.jpg", "path")),
        ("a%2Fb.jpg", ["a/b.jpg", "c/b.jpg"], ("a/b.jpg", "decoded path")),
        ("a%2520b.jpg", ["a b.jpg"], None),
        ("images/train/a.jpg", ["train/a.jpg", "test/a.jpg"], ("train/a.jpg", "path ending")),
        ("train/a.jpg", ["x/train/a.jpg", "y/test/a.jpg"], ("x/train/a.jpg", "path ending")),
        ("/m/X/Train/a.jpg", ["x/train/a.jpg", "y/train/a.jpg"], ("x/train/a.jpg", "path ending")),
        ("img/1.jpg", ["images/1.jpg", "images/2.jpg"], ("images/1.jpg", "base name")),
        ("1.JPG", ["images/1.jpg", "more/2.jpg"], ("images/1.jpg", "base name")),
        ("/data/upload/1/2265b1f5-1.jpg", ["a/1.jpg", "a/2.jpg"], ("a/1.jpg", "undecorated name")),
        (f"https://h/org%2F{UUID}-1.jpg", ["a/1.jpg", "a/2.jpg"], ("a/1.jpg", "undecorated name")),
        (f"train/a_jpg.rf.{HASH}.jpg", ["x/a.jpg", "x/b.jpg"], ("x/a.jpg", "undecorated name")),
        (f"train/a_png.rf.{HASH}.jpg", ["x/a.png", "x/b.png"], ("x/a.png", "undecorated name")),
        ("2007_000001", ["JPEGImages/2007_000001.jpg"], ("JPEGImages/2007_000001.jpg", "stem")),
        ("labels/a.txt", ["a.jpg", "b.jpg"], ("a.jpg", "stem")),
        ("train/1", ["images/train/1.jpg", "images/test/1.jpg"], ("images/train/1.jpg", "stem")),
        ("a.b c", ["x/a.b c.jpg", "x/a.png"], ("x/a.b c.jpg", "stem")),
        ("a.jpg", ["x/a.png"], ("x/a.png", "stem")),
        ("0000.jpg", ["cat/0000.jpg", "dog/0000.jpg"], ("cat/0000.jpg", "dog/0000.jpg")),
        ("bird/0000.jpg", ["cat/0000.jpg", "0000.jpg"], ("0000.jpg", "cat/0000.jpg")),
        ("0000", ["0000.jpg", "0000.png"], ("0000.jpg", "0000.png")),
        ("A.jpg", ["x/a.jpg", "y/A.jpg"], ("y/A.jpg", "base name")),
        ("a.JPG", ["a.jpg", "A.jpg"], ("A.jpg", "a.jpg")),
        ("nope.jpg", ["a.jpg"], None),
        ("", ["a.jpg"], None),
        ("..", ["a.jpg"], None),
    ],
)
def test_the_first_step_that_fits_decides(
    reference: str, names: list[str], expected: tuple[str, ...] | None
) -> None:
    assert match(reference, *names) == expected


def test_composed_and_decomposed_letters_are_the_same() -> None:
    composed, decomposed = "é/ü.jpg", unicodedata.normalize("NFD", "é/ü.jpg")
    assert match(composed, decomposed) == (decomposed, "path")
    assert match(decomposed, composed) == (composed, "path")
    assert match(decomposed, composed, decomposed) == (decomposed, "path")


def test_zero_width_and_private_characters_are_a_last_resort() -> None:
    assert match("ripe\u200bbanana.jpg", "ripebanana.jpg") == ("ripebanana.jpg", "path")
    assert match("y/ripebanana.jpg", "x/ripe\u200bbanana\uf022.jpg") == (
        "x/ripe\u200bbanana\uf022.jpg",
        "base name",
    )
    both = ("a\u200b.jpg", "a.jpg")
    assert [match(name, *both) for name in both] == [(name, "path") for name in both]
    assert match("b/a\ufeff.jpg", "x/a\u200b.jpg", "y/a.jpg") == ("x/a\u200b.jpg", "y/a.jpg")


def test_aliases_of_one_image_are_not_ambiguous() -> None:
    matcher = ImageMatcher([(7, "cat/a.jpg"), (7, "copy/a.jpg"), (8, "b.jpg")])
    assert matcher.match("x/a.jpg") == Found(7, "cat/a.jpg", "base name")
    assert matcher.match("copy/a.jpg") == Found(7, "copy/a.jpg", "path")


def test_a_name_that_two_images_go_by_is_ambiguous() -> None:
    matcher = ImageMatcher([(1, "a.jpg"), (2, "a.jpg"), (3, "b.jpg")])
    assert matcher.match("a.jpg") == Ambiguous(("a.jpg", "a.jpg"), "path")


def test_the_wrapper_of_all_references_is_left_out() -> None:
    references = ["set/1.jpg", "set/a/1.jpg"]
    images = [(1, "1.jpg"), (2, "a/1.jpg")]
    assert isinstance(ImageMatcher(images).match("set/1.jpg"), Ambiguous)
    matcher = ImageMatcher(images, wrapper=common_folder(references))
    assert [matcher.match(reference) for reference in references] == [
        Found(1, "1.jpg", "path"),
        Found(2, "a/1.jpg", "path"),
    ]


def test_ambiguous_names_are_listed_up_to_twenty() -> None:
    found = ImageMatcher((n, f"{n}/0000.jpg") for n in range(1000)).match("x/0000.jpg")
    assert isinstance(found, Ambiguous)
    assert len(set(found.names)) == 20


@pytest.mark.parametrize("base", ["2265b1f5.jpg", "cat-dog.jpg", "a_jpg.jpg", "x.rf.jpg", "-1.jpg"])
def test_names_without_decoration_stay(base: str) -> None:
    assert undecorated(base) == base


PART = st.text(alphabet="aAb1.%é\u0301\u200b -", min_size=1, max_size=4).filter(
    lambda part: part.strip(" .") == part
)
NAME = st.lists(PART, min_size=1, max_size=3).map("/".join)
NAMES = st.lists(NAME, min_size=1, max_size=8, unique=True)


@given(names=NAMES)
def test_every_name_finds_its_own_image(names: list[str]) -> None:
    matcher = ImageMatcher(enumerate(names))
    for image_id, name in enumerate(names):
        assert matcher.match(name) == Found(image_id, name, "path")


@given(names=NAMES, prefix=PART, data=st.data())
def test_a_path_ending_finds_only_images_that_share_the_longest(
    names: list[str], prefix: str, data: st.DataObject
) -> None:
    """Against the plain way: compare with every name and take the longest common ending."""
    folder = data.draw(st.sampled_from(names)) if data.draw(st.booleans()) else prefix
    reference = f"c:q/{folder}"
    plain = [name for name in names if all(c.isascii() and c != "%" for c in name + reference)]
    found = ImageMatcher((names.index(name), name) for name in plain).match(reference)

    def shared(name: str, lower: bool) -> int:
        ours, theirs = reference.split("/")[::-1], name.split("/")[::-1]
        if lower:
            ours, theirs = [part.lower() for part in ours], [part.lower() for part in theirs]
        count = 0
        while count < min(len(ours), len(theirs)) and ours[count] == theirs[count]:
            count += 1
        return count

    longest = max((shared(name, True) for name in plain), default=0)
    if not longest:
        return
    best = [name for name in plain if shared(name, False) == longest]
    best = best or [name for name in plain if shared(name, True) == longest]
    if len(best) == 1:
        assert isinstance(found, Found)
        assert found.name == best[0]
    else:
        assert isinstance(found, Ambiguous)
        assert set(found.names) == set(best)


@given(names=NAMES, reference=st.text(max_size=12))
def test_any_text_gets_an_answer_and_the_same_in_any_order(names: list[str], reference: str) -> None:
    there = ImageMatcher(enumerate(names)).match(reference)
    back = ImageMatcher((at, names[at]) for at in reversed(range(len(names)))).match(reference)
    assert there == back
