"""Images to predict that belong to no project: copied, checked in the sandbox, and kept until they are let go."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fieldmark.core.jobs.files import Step
from fieldmark.core.pictures.decoding import Decoded, DecodeJob, Decoders
from fieldmark.core.pictures.staging import Listed, Offer, Staged, opened, stage
from fieldmark.storage.errors import NotFound
from fieldmark.storage.images import numbered

BATCH = 256


@dataclass(frozen=True, slots=True)
class Input:
    """One image to predict; `image_id` None for a file that is not of the project."""

    image_id: int | None
    name: str
    sha256: str
    path: Path


@dataclass(slots=True)
class Basket:
    """What was offered for prediction: seen = inputs + refused + skipped. Embeddings lie beside the images."""

    folder: Path
    inputs: list[Input] = field(default_factory=list)
    seen: int = 0
    refused: list[Listed] = field(default_factory=list)
    skipped: list[Listed] = field(default_factory=list)
    _given: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)
    _files: Iterator[int] = field(default_factory=itertools.count)
    touched: float = field(default_factory=time.monotonic)
    dropped: bool = False
    whole: bool = True
    """False: adding was cut short, so that it doesn't hold all that it was given."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while images are added, and while what is in is counted."""

    @property
    def embeddings(self) -> Path:
        """Where the embeddings of these images are cached, so that another model answers at once."""
        return self.folder / "embeddings"

    def thumbnail_path(self, sha256: str) -> Path:
        """Return where an image's thumbnail lies."""
        return self.folder / "thumbnails" / f"{sha256}.jpg"

    def path_of(self, sha256: str) -> Path:
        """Return where an image lies; raises `NotFound` when it isn't in the basket."""
        for item in self.inputs:
            if item.sha256 == sha256:
                return item.path
        raise NotFound("there is no such image in this prediction")

    def add(
        self,
        offered: Sequence[Path | Offer],
        tell: Callable[[Step], None] = lambda step: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Copy images in; list what can't be read or the sandboxed decoder refuses. Hold the lock meanwhile."""
        self.touched = time.monotonic()
        self.whole = False
        for folder in (self.folder / "inputs", self.folder / "thumbnails"):
            folder.mkdir(parents=True, exist_ok=True)
        staged = self._staged(offered)
        with Decoders() as decoders:
            while not cancelled() and (batch := list(itertools.islice(staged, BATCH))):
                jobs = (
                    DecodeJob(item.path, self.thumbnail_path(item.sha256), item)
                    for item in batch
                    if not cancelled()
                )
                for job, result in decoders.check(jobs):
                    if isinstance(result, Decoded):
                        self._keep(job.key)
                    else:
                        self.refused.append(Listed(job.key.name, result.reason))
                        job.key.path.unlink(missing_ok=True)
                tell(Step(stage="check", done=self.seen))
        self.whole = not cancelled()

    def drop(self) -> None:
        """Remove the images and all that was made of them."""
        self.dropped = True
        shutil.rmtree(self.folder, ignore_errors=True)

    def _staged(self, offered: Sequence[Path | Offer]) -> Iterator[Staged]:
        for one in offered:
            source = opened(one, self)
            if source is not None:
                with source:
                    yield from stage(source, self.folder / "inputs", self._files, self)

    def _keep(self, staged: Staged) -> None:
        """Number names that come twice: two folders may both hold `a.jpg`."""
        name, number = staged.name, self._numbers.get(staged.name, 1)
        while name in self._given:
            number += 1
            name = numbered(staged.name, number)
        self._numbers[staged.name] = number
        self._given.add(name)
        self.inputs.append(Input(None, name, staged.sha256, staged.path))
