"""Browsing, labelling and the files of images over HTTP."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from fieldmark.core.pictures.showing import forget_pictures
from fieldmark.core.projects import create_project
from fieldmark.core.registry import load_registry
from fieldmark.core.upload import UploadWishes, upload
from fieldmark.storage import images
from fieldmark.storage.projects import Project
from fieldmark.storage.workspace import Workspace

SCRIPT = "<script>alert(1)</script>"
FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture of each format, all with names that lie about it, and six more."""
    folder = tmp_path_factory.mktemp("files")
    for number, kind in enumerate(FORMATS):
        Image.new("RGB", (400, 300), (number * 40, 90, 30)).save(folder / f"{kind} ü'1\".html", kind)
    for number in range(6):
        picture = Image.new("RGB", (40, 30), (200, number * 30, 0))
        picture.save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def project(workspace: Workspace, files: Path) -> Project:
    made = create_project(workspace, "birds")
    report = upload(workspace, load_registry(), made, [files], UploadWishes())
    assert (report.stored, report.refused) == (12, [])
    return made


@pytest.fixture(scope="module")
def ids(workspace: Workspace, project: Project) -> dict[str, int]:
    return {row.name: row.id for row in images.image_rows(workspace.database, project.id)}


def refused(answer: httpx2.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    return answer.json()["error"]


def test_the_list_goes_page_by_page_and_filters(client, project, ids) -> None:
    seen, cursor = [], None
    while True:
        page = client.get(
            f"projects/{project.id}/images", params={"limit": 5, **({"cursor": cursor} if cursor else {})}
        ).json()
        assert page["total"] == 12
        seen += page["images"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [tile["id"] for tile in seen] == sorted(ids.values())
    assert seen[0] == {
        "id": ids[seen[0]["name"]], "name": seen[0]["name"], "width": seen[0]["width"],
        "height": seen[0]["height"], "state": "unlabelled", "split": None, "revision": 0, "labels": [],
    }  # fmt: skip
    found = client.get("projects/birds/images", params={"text": "jpeg Ü'1\"", "state": "unlabelled"}).json()
    assert [tile["name"] for tile in found["images"]] == ["JPEG ü'1\".html"]
    chosen = sorted(ids.values())[:2]
    listed = client.get(f"projects/{project.id}/images", params={"ids": f"{chosen[1]}, {chosen[0]},999"})
    assert [tile["id"] for tile in listed.json()["images"]] == chosen


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("cursor=zzz", "cursor 'zzz'"),
        ("cursor=", "cursor ''"),
        ("cursor=bmFtZTox", "take it from 'next'"),
        ("cursor=%C3%BC", "cursor 'ü'"),
        ("limit=0", "ask for 1 to 500"),
        ("limit=501", "ask for 1 to 500"),
        ("state=new", "no image is 'new'"),
        ("split=dev", "no split 'dev'"),
        ("ids=1,x", "no list of image ids"),
    ],
)
def test_a_bad_question_is_answered_with_a_sentence(client, project, query, sentence) -> None:
    assert sentence in refused(client.get(f"projects/{project.id}/images?{query}"))


def test_labels_are_made_given_counted_and_come_back_as_text(client, project, ids) -> None:
    here = f"projects/{project.id}"
    assert client.post(f"{here}/labels", json={"name": f" {SCRIPT} "}).json() == {"name": SCRIPT}
    assert "already" in refused(client.post(f"{here}/labels", json={"name": SCRIPT}))
    chosen = [ids["0.png"], ids["1.png"], ids["2.png"]]
    done = client.post(
        f"{here}/annotations", json={"images": chosen, "add": [SCRIPT, "owl"], "split": "test"}
    ).json()
    assert (done["changed"], done["conflicts"], done["kept_labelled"]) == (3, [], [])
    assert [tile["id"] for tile in done["images"]] == chosen
    assert done["images"][0]["labels"] == [
        {"name": SCRIPT, "default": True},
        {"name": "owl", "default": False},
    ]
    assert {tile["split"] for tile in done["images"]} == {"test"}
    assert client.get(f"{here}/labels").json()["labels"] == [
        {"name": SCRIPT, "images": 3, "default": 3},
        {"name": "owl", "images": 3, "default": 0},
    ]
    by_label = client.get(f"{here}/images", params={"label": [SCRIPT, "owl"], "split": "test"}).json()
    assert [tile["id"] for tile in by_label["images"]] == sorted(chosen)
    assert client.get(f"{here}/images", params={"without": ["owl"]}).json()["total"] == 9
    late = client.post(
        f"{here}/annotations",
        json={"images": chosen[:2], "remove": [SCRIPT], "split": None, "revisions": {str(chosen[0]): 0}},
    ).json()
    assert (late["changed"], late["conflicts"]) == (1, [chosen[0]])
    assert [tile["split"] for tile in late["images"]] == ["test", None]
    assert late["images"][1]["labels"] == [{"name": "owl", "default": True}]
    kept = client.post(f"{here}/annotations", json={"images": chosen[:1], "state": "ignored"}).json()
    assert (kept["changed"], kept["kept_labelled"]) == (0, chosen[:1])


def test_an_annotation_that_can_not_be_used_is_a_sentence(client, project, ids) -> None:
    here = f"projects/{project.id}/annotations"
    image = ids["3.png"]
    assert "no image 99, 100" in refused(client.post(here, json={"images": [image, 99, 100], "add": ["x"]}))
    assert "nothing is to be changed" in refused(client.post(here, json={"images": [image]}))
    assert "too many" in refused(client.post(here, json={"images": list(range(10_001)), "add": ["x"]}))
    for body in ({"images": ["1"], "add": ["x"]}, {"images": [image], "labels": ["x"]}, {"add": ["x"]}):
        assert "can't be used" in refused(client.post(here, json=body), 422)
    assert (
        client.get(f"projects/{project.id}/images", params={"ids": image}).json()["images"][0]["labels"] == []
    )


def test_thumbnails_are_small_jpegs_that_a_browser_keeps(client, workspace, ids) -> None:
    forget_pictures(workspace)
    for name, image_id in ids.items():
        answer = client.get(f"images/{image_id}/thumbnail")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.format == "JPEG"
        assert picture.size == ((256, 192) if name.endswith("html") else (40, 30))
        tag = answer.headers["etag"]
        assert tag.startswith('"') and len(tag) == 66
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = client.get(f"images/{image_id}/thumbnail", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert again.headers["cache-control"] == answer.headers["cache-control"]
        other = client.get(f"images/{image_id}/thumbnail", headers={"If-None-Match": '"other"'})
        assert other.status_code == 200


def test_lost_thumbnails_are_made_again_also_when_asked_for_together(client, workspace, ids) -> None:
    shas = [sha for (sha,) in workspace.database.rows("select sha256 from image")]
    for sha in shas:
        workspace.thumbnail_path(sha).unlink()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda i: client.get(f"images/{i}/thumbnail"), [*ids.values(), *ids.values()])
        )
    assert {answer.status_code for answer in answers} == {200}
    assert all(workspace.thumbnail_path(sha).is_file() for sha in shas)
    assert list(workspace.staging_folder.iterdir()) == []


def test_originals_come_as_they_were_sent_with_the_type_of_their_content(client, files, ids) -> None:
    for kind, media_type in FORMATS.items():
        name = f"{kind} ü'1\".html"
        answer = client.get(f"images/{ids[name]}/original")
        assert answer.content == (files / name).read_bytes()
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["content-disposition"] == (
            f"inline; filename*=UTF-8''{kind}%20%C3%BC%271%22.html"
        )
        tag = {"If-None-Match": answer.headers["etag"]}
        assert client.get(f"images/{ids[name]}/original", headers=tag).status_code == 304
        part = client.get(f"images/{ids[name]}/original", headers={"Range": "bytes=2-5"})
        assert (part.status_code, part.content) == (206, answer.content[2:6])


def test_what_is_not_there_is_a_sentence(client, workspace, ids) -> None:
    for number in (999, 0, -1, 2**63, 10**40):
        for file in ("thumbnail", "original"):
            assert f"no image {number}" in refused(client.get(f"images/{number}/{file}"), 404)
    refused(client.get("images/x/thumbnail"), 422)
    (sha,) = workspace.database.row("select sha256 from image where id = ?", [ids["5.png"]])
    workspace.image_path(sha).unlink()
    assert "'5.png' is missing" in refused(client.get(f"images/{ids['5.png']}/original"), 404)
    workspace.thumbnail_path(sha).unlink()
    assert "'5.png' is missing" in refused(client.get(f"images/{ids['5.png']}/thumbnail"), 404)
    (sha,) = workspace.database.row("select sha256 from image where id = ?", [ids["4.png"]])
    workspace.image_path(sha).write_bytes(b"damaged")
    workspace.thumbnail_path(sha).unlink()
    assert "'4.png' can't be made again" in refused(client.get(f"images/{ids['4.png']}/thumbnail"), 404)
