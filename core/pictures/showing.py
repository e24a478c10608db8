"""The files behind an image as they are shown: its thumbnail, made again when it is lost, and its original."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary

from fieldmark.core.pictures.decoding import DecodeJob, Decoders, Refused
from fieldmark.storage import images
from fieldmark.storage.errors import NotFound
from fieldmark.storage.files import fsync_file, fsync_folder
from fieldmark.storage.workspace import Workspace

REMEMBERED = 20_000
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
"""{format that the decoder found: its content type}; what a file is called plays no part."""

_pictures: WeakKeyDictionary[Workspace, OrderedDict[int, str]] = WeakKeyDictionary()
_guard = Lock()


@dataclass(frozen=True, slots=True)
class Original:
    """An image's file as it was uploaded."""

    path: Path
    sha256: str
    media_type: str
    name: str


def remember_pictures(workspace: Workspace, sha256s: Mapping[int, str]) -> None:
    """Keep {image id: sha256} of images whose thumbnails will be asked for next, hundreds at a time.

    An image never changes its picture, and an id is never given to another image.
    """
    with _guard:
        known = _pictures.setdefault(workspace, OrderedDict())
        for image_id, sha256 in sha256s.items():
            known[image_id] = sha256
            known.move_to_end(image_id)
        while len(known) > REMEMBERED:
            known.popitem(last=False)


def forget_pictures(workspace: Workspace) -> None:
    """Ask the database again which images there are: call it when some were deleted."""
    with _guard:
        _pictures.pop(workspace, None)


def remembered_picture(workspace: Workspace, image_id: int) -> str | None:
    """Return the sha256 of an image that was looked at lately; never asks the database, so never waits."""
    known = _pictures.get(workspace)
    return known.get(image_id) if known is not None else None


def picture(workspace: Workspace, image_id: int) -> str:
    """Return the sha256 of an image; raises `NotFound` when there is none with this id."""
    sha256 = remembered_picture(workspace, image_id)
    if sha256 is None:
        sha256 = _file_of(workspace, image_id).sha256
        remember_pictures(workspace, {image_id: sha256})
    return sha256


def original(workspace: Workspace, image_id: int) -> Original:
    """Return where an image's file lies and what it is; raises `NotFound` when there is no image or no file."""
    found = _file_of(workspace, image_id)
    path = workspace.image_path(found.sha256)
    if not path.is_file():
        raise NotFound(f"the file of image {found.name!r} is missing from the workspace: upload it again")
    return Original(path, found.sha256, MEDIA_TYPES[found.format], found.name)


def thumbnail(workspace: Workspace, image_id: int) -> bytes:
    """Return an image's thumbnail (JPEG), made again from the original if its file is lost.

    Raises `NotFound` when there is no such image, or its original is lost too.
    """
    path = workspace.thumbnail_path(picture(workspace, image_id))
    try:
        return path.read_bytes()
    except FileNotFoundError:
        _make_again(workspace, original(workspace, image_id), path)
        return path.read_bytes()


def _file_of(workspace: Workspace, image_id: int) -> images.ImageFile:
    found = images.image_file(workspace.database, image_id)
    if found is None:
        raise NotFound(f"there is no image {image_id}: it may have been deleted")
    return found


def _make_again(workspace: Workspace, source: Original, target: Path) -> None:
    with workspace.staging() as folder, _shared_decoders() as decoders:
        job = DecodeJob(source.path, folder / target.name)
        for _, result in decoders.check([job]):
            if isinstance(result, Refused):
                raise NotFound(f"the thumbnail of {source.name!r} can't be made again: it {result.reason}")
        target.parent.mkdir(exist_ok=True)
        fsync_file(job.thumbnail)
        job.thumbnail.replace(target)
        fsync_folder(target.parent)


class _Shared:
    decoders: Decoders | None = None
    users = 0
    guard = Lock()


@contextmanager
def _shared_decoders() -> Iterator[Decoders]:
    """One pool for all who need it at the same time: a folder of lost thumbnails is asked for as a page."""
    with _Shared.guard:
        decoders = _Shared.decoders = _Shared.decoders or Decoders()
        _Shared.users += 1
    try:
        yield decoders
    finally:
        with _Shared.guard:
            _Shared.users -= 1
            last = _Shared.users == 0
            if last:
                _Shared.decoders = None
        if last:
            decoders.close()
