"""The embedded backbone against a colour histogram, its own parts, and a pretrained network.

    FIELDMARK_DATA=... FIELDMARK_WEIGHTS=... python benchmarks/embedded.py [--repeats 4] [--rows embedded,...]

Every row gets the same folds and the same head: vectors scaled to length 1, standardised on the training part with
the trainer's floor, logistic regression. For folds its C is the best of one grid, for a given split the C that
does best on folds of the training part. Images a second are from JPEG on disk through core's decoder, one thread per
core, best of several runs in turn with the same decoding and resizing alone.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import KFold, StratifiedKFold

from fieldmark import Backbone, Options
from fieldmark.core.jobs.process_environment import worker_environment
from fieldmark.core.pictures.pixels import open_upright
from fieldmark.plugins.backbones.embedded import Embedded
from fieldmark.plugins.backbones.embedded_net import PARTS, SIDE
from fieldmark.plugins.backbones.timm import Timm, TimmOptions

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[Image.Image]], Floats]

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Values of C, for standardised vectors divided by the root of their dimension."""
_MARK = "FIELDMARK_BENCHMARK_STARTED"
_CHUNK = 8


@dataclass(frozen=True)
class DataSet:
    """Images with targets: int [n] of classes, or [n, labels] of zeros and ones; `held_out` is bool [n]."""

    files: list[Path]
    images: list[Image.Image]
    targets: NDArray[np.int64]
    held_out: NDArray[np.bool_] | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4, help="Times that the folds are drawn.")
    parser.add_argument("--rows", default="", help="Only these rows, by name, with commas between.")
    given = parser.parse_args()
    if _MARK not in os.environ:
        environment = os.environ | worker_environment() | {_MARK: "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    data = os.environ.get("FIELDMARK_DATA")
    if not data:
        sys.exit("Set FIELDMARK_DATA to the folder that holds trashnet_mini and deeppcb_mini.")
    photos, boards, digits = trashnet(Path(data)), deeppcb(Path(data)), enlarged_digits()
    print(
        "| vectors | length | trashnet 5-fold | trashnet split | deeppcb 5-fold AP / F1 | deeppcb split AP / F1 "
        "| digits 5-fold | images/s | decode + resize alone |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    wanted = {name for name in given.rows.split(",") if name}
    for name, short_side, embed in rows():
        if not wanted or name in wanted:
            report(name, short_side, embed, photos, boards, digits, given.repeats)


def rows() -> list[tuple[str, int, Embed]]:
    """Return name, the short side to decode for (pixels) and the function of every row."""
    embedded = Embedded(Options())
    embedded.load("cpu")
    found: list[tuple[str, int, Embed]] = [
        ("HSV histogram 8x4x4", 128, hsv_histograms),
        ("embedded", embedded.short_side, embedded.embed),
    ]
    for kept in (("colour",), ("texture",), ("shape",), ("colour", "texture")):
        found.append((" + ".join(kept) + " only", embedded.short_side, _parts(embedded, kept)))
    weights = os.environ.get("FIELDMARK_WEIGHTS")
    if weights:
        file = Path(weights) / "mobilenetv2_100.tf_in1k.fp16.safetensors"
        network: Backbone[Any] = Timm(
            TimmOptions(weights=file, pad_type="same", mean="0.5,0.5,0.5", std="0.5,0.5,0.5")
        )
        network.load("cpu")
        found.append(("mobilenetv2_100 (ImageNet)", network.short_side, network.embed))
    return found


def _parts(backbone: Embedded, kept: tuple[str, ...]) -> Embed:
    columns = np.concatenate([np.full(length, name in kept) for name, length in PARTS.items()])
    return lambda images: backbone.embed(images)[:, columns]


def hsv_histograms(images: Sequence[Image.Image]) -> Floats:
    """Return the share of pixels in each of 8 x 4 x 4 bins of hue, saturation and value, at 128 x 128 pixels."""
    found = np.empty((len(images), 128), np.float32)
    for row, image in enumerate(images):
        hsv = np.asarray(image.resize((128, 128), Image.Resampling.BILINEAR).convert("HSV")).astype(int)
        bins = hsv[..., 0] // 32 * 16 + hsv[..., 1] // 64 * 4 + hsv[..., 2] // 64
        found[row] = np.bincount(bins.ravel(), minlength=128) / bins.size
    return found


def report(
    name: str, short_side: int, embed: Embed, photos: DataSet, boards: DataSet, digits: DataSet, repeats: int
) -> None:
    """Print one row of the table."""
    vectors = [
        np.concatenate([embed(some.images[at : at + 32]) for at in range(0, len(some.images), 32)])
        for some in (photos, boards, digits)
    ]
    accuracy, deviation = folds(vectors[0], photos.targets, repeats)
    ranked = folds_multi(vectors[1], boards.targets)
    rate, bare = speed(photos.files, short_side, embed)
    cells = [
        name,
        str(vectors[0].shape[1]),
        f"{accuracy:.3f} ± {deviation:.3f}",
        f"{split_accuracy(vectors[0], photos):.3f}",
        f"{ranked[0]:.3f} / {ranked[1]:.3f}",
        "{:.3f} / {:.3f}".format(*split_multi(vectors[1], boards)),
        f"{folds(vectors[2], digits.targets, 1)[0]:.4f}",
        f"{rate:.0f}",
        f"{bare:.0f}",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def speed(files: list[Path], short_side: int, embed: Embed) -> tuple[float, float]:
    """Return images a second of the whole way, and of decoding and resizing to `SIDE` alone."""
    chunks = [files[at : at + _CHUNK] for at in range(0, len(files), _CHUNK)]

    def whole(chunk: list[Path]) -> None:
        embed([open_upright(path, short_side) for path in chunk])

    def bare(chunk: list[Path]) -> None:
        for path in chunk:
            open_upright(path, short_side).resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)

    best = {whole: 0.0, bare: 0.0}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for work in (whole, bare) * 5:
            started = time.perf_counter()
            list(pool.map(work, chunks))
            best[work] = max(best[work], len(files) / (time.perf_counter() - started))
    return best[whole], best[bare]


def standardised(train: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Return both scaled by what `train` shows, after every row has length 1."""
    train, other = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9) for rows in (train, other)
    )
    mean, deviation = train.mean(0), train.std(0)
    scale = np.maximum(deviation, 0.1 * np.sqrt((deviation**2).mean())) * np.sqrt(train.shape[1])
    return (train - mean) / scale, (other - mean) / scale


def predicted(train: Floats, targets: NDArray[np.int64], other: Floats, strength: float) -> NDArray[Any]:
    head = LogisticRegression(C=strength, max_iter=1000).fit(train, targets)
    answer: NDArray[Any] = head.predict(other)
    return answer


def folds(vectors: Floats, targets: NDArray[np.int64], repeats: int) -> tuple[float, float]:
    """Return accuracy at the best C, and its standard deviation over the times that folds were drawn."""
    return max(_folds_at(vectors, targets, repeats, strength) for strength in STRENGTHS)


def _folds_at(
    vectors: Floats, targets: NDArray[np.int64], repeats: int, strength: float
) -> tuple[float, float]:
    drawn = []
    for repeat in range(repeats):
        right = np.zeros(len(targets))
        for train, test in StratifiedKFold(5, shuffle=True, random_state=repeat).split(vectors, targets):
            seen, unseen = standardised(vectors[train], vectors[test])
            right[test] = predicted(seen, targets[train], unseen, strength) == targets[test]
        drawn.append(right.mean())
    return float(np.mean(drawn)), float(np.std(drawn))


def _chosen(vectors: Floats, targets: NDArray[np.int64]) -> float:
    return max(STRENGTHS, key=lambda strength: _folds_at(vectors, targets, 1, strength)[0])


def split_accuracy(vectors: Floats, data: DataSet) -> float:
    """Return accuracy on the data's own held-out part."""
    assert data.held_out is not None
    kept = ~data.held_out
    strength = _chosen(vectors[kept], data.targets[kept])
    seen, unseen = standardised(vectors[kept], vectors[data.held_out])
    return float(
        (predicted(seen, data.targets[kept], unseen, strength) == data.targets[data.held_out]).mean()
    )


def _scores(train: Floats, targets: NDArray[np.int64], other: Floats, strength: float) -> Floats:
    heads = [LogisticRegression(C=strength, max_iter=1000).fit(train, column) for column in targets.T]
    return np.stack([head.predict_proba(other)[:, 1] for head in heads], 1)


def _judged(targets: NDArray[np.int64], scores: Floats) -> tuple[float, float]:
    precision = average_precision_score(targets, scores, average="macro")
    return float(precision), float(f1_score(targets, scores > 0.5, average="macro"))


def folds_multi(vectors: Floats, targets: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return mean average precision and mean F1 (at .5) over labels at the best C, and that C."""
    found = []
    for strength in STRENGTHS:
        scores = np.zeros(targets.shape, np.float32)
        for train, test in KFold(5, shuffle=True, random_state=0).split(vectors):
            seen, unseen = standardised(vectors[train], vectors[test])
            scores[test] = _scores(seen, targets[train], unseen, strength)
        found.append((*_judged(targets, scores), strength))
    return max(found)


def split_multi(vectors: Floats, data: DataSet) -> tuple[float, float]:
    """Return the same on the data's own held-out part."""
    assert data.held_out is not None
    kept = ~data.held_out
    strength = folds_multi(vectors[kept], data.targets[kept])[2]
    seen, unseen = standardised(vectors[kept], vectors[data.held_out])
    return _judged(data.targets[data.held_out], _scores(seen, data.targets[kept], unseen, strength))


def _opened(files: list[Path]) -> list[Image.Image]:
    return [open_upright(path, 256) for path in files]


def trashnet(folder: Path) -> DataSet:
    """Return 270 photos of 6 kinds of waste."""
    folder = folder / "trashnet_mini"
    with (folder / "split.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    files = [folder / row["path"] for row in table]
    _, targets = np.unique([row["label"] for row in table], return_inverse=True)
    return DataSet(files, _opened(files), targets, np.array([row["split"] != "train" for row in table]))


def deeppcb(folder: Path) -> DataSet:
    """Return 310 scans of circuit boards with 6 kinds of defect, several on most."""
    folder = folder / "deeppcb_mini"
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    files = [folder / row["path"] for row in table]
    labels = ("open", "short", "mousebite", "spur", "copper", "pinhole")
    targets = np.array([[int(row[label]) for label in labels] for row in table])
    return DataSet(files, _opened(files), targets, np.array([row["split"] != "train" for row in table]))


def enlarged_digits() -> DataSet:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8 pixels enlarged to 64 x 64."""
    digits = load_digits()
    grey = [Image.fromarray(np.rint(picture * 255 / 16).astype(np.uint8)) for picture in digits.images]
    images = [picture.resize((64, 64), Image.Resampling.BICUBIC).convert("RGB") for picture in grey]
    return DataSet([], images, digits.target, None)


if __name__ == "__main__":
    main()
