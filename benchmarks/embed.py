"""From JPEG on disk to cached embedding, against the bare forward on tensors that are ready.

    FIELDMARK_DATA=... FIELDMARK_WEIGHTS=... python benchmarks/embed.py [--repeats 7]

Both sides run in turn in one process, in the environment of a worker, with the same network in the same precision;
the best of several runs counts. Then the vectors are compared with timm's own pipeline (Pillow, float32, every image
resized whole), and a logistic head is cross-validated on both.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from fieldmark.core.embedding import EmbedItem, embed_images
from fieldmark.core.jobs.process_environment import worker_environment
from fieldmark.plugins.backbones.timm import Timm, TimmOptions
from fieldmark.plugins.backbones.timm_fusion import fuse
from fieldmark.storage.embeddings import EmbeddingCache

_MARK = "FIELDMARK_BENCHMARK_STARTED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    if _MARK not in os.environ:
        os.execve(
            sys.executable, [sys.executable, *sys.argv], os.environ | worker_environment() | {_MARK: "1"}
        )
    folders = {name: os.environ.get(name) for name in ("FIELDMARK_DATA", "FIELDMARK_WEIGHTS")}
    absent = [name for name, folder in folders.items() if not folder]
    if absent:
        sys.exit(f"Set {' and '.join(absent)} to the folders of the shared data and weights.")
    files = sorted((Path(folders["FIELDMARK_DATA"] or "") / "trashnet_mini").rglob("*.jpg"))
    weights = Path(folders["FIELDMARK_WEIGHTS"] or "") / "mobilenetv2_100.tf_in1k.fp16.safetensors"
    cores = len(os.sched_getaffinity(0))

    backbone = Timm(TimmOptions(weights=weights))
    backbone.load("cpu")
    with tempfile.TemporaryDirectory() as folder:
        speed(backbone, reference(weights), files, cores, repeats, Path(folder))
        parity(backbone, weights, files, Path(folder))


def reference(weights: Path) -> torch.nn.Module:
    """Return the network as timm itself loads it."""
    overlay = {"file": str(weights), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    network = timm.create_model(
        "mobilenetv2_100", pretrained=True, num_classes=0, pad_type="same", pretrained_cfg_overlay=overlay
    )
    return network.eval().requires_grad_(False)  # type: ignore[no-any-return]


def speed(
    backbone: Timm, network: torch.nn.Module, files: list[Path], cores: int, repeats: int, folder: Path
) -> None:
    items = [EmbedItem(hashlib.sha256(file.read_bytes()).hexdigest(), file) for file in files]
    bare = bare_forwards(network, len(files), cores)
    best = dict.fromkeys(["pipeline", *bare], 0.0)
    for turn in range(repeats + 1):
        cache = EmbeddingCache(folder / f"turn{turn}")
        torch.set_num_threads(1)
        embedded = embed_images(backbone, items, cache)
        rates = {"pipeline": embedded.computed / embedded.seconds}
        for name, (threads, forward) in bare.items():
            torch.set_num_threads(threads)
            started = time.monotonic()
            rates[name] = forward() / (time.monotonic() - started)
        if turn:  # the first turn warms up
            best = {name: max(best[name], rate) for name, rate in rates.items()}
    torch.set_num_threads(1)
    for name, rate in best.items():
        print(f"{name:34s} {rate:7.1f} images/s")
    print(f"ratio to the best bare forward     {best['pipeline'] / max(best[name] for name in bare):7.3f}")


def bare_forwards(
    network: torch.nn.Module, count: int, cores: int
) -> dict[str, tuple[int, Callable[[], int]]]:
    """Return the candidates for the fastest forward: torch threads, and a function that says how many images."""
    fused = fuse(network, torch.rand(1, 3, 224, 224)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    candidates: dict[str, tuple[int, Callable[[], int]]] = {}
    for dtype in (torch.bfloat16, torch.float32):
        typed = fused if dtype is torch.float32 else fuse(network, torch.rand(1, 3, 224, 224))
        typed = typed.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for batch, threads in ((32, cores), (8, 1)):
            ready = torch.rand(batch, 3, 224, 224).to(dtype).to(memory_format=torch.channels_last)
            workers = cores if threads == 1 else 1
            name = f"bare {str(dtype)[6:]}, batch {batch}, {workers} x {threads} thread"
            candidates[name] = (threads, forward_of(typed, ready, max(1, count // batch), workers))
    return candidates


def forward_of(
    network: torch.nn.Module, ready: torch.Tensor, batches: int, workers: int
) -> Callable[[], int]:
    def one(_: int) -> None:
        with torch.inference_mode():
            network(ready)

    def run() -> int:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(one, range(batches)))
        return batches * len(ready)

    return run


def parity(backbone: Timm, weights: Path, files: list[Path], folder: Path) -> None:
    network = reference(weights)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False)
    with torch.inference_mode():
        theirs = np.concatenate(
            [network(transform(Image.open(file).convert("RGB"))[None]).numpy() for file in files]
        )
    labels = np.array([file.parent.name for file in files])
    print(f"{'timm itself':34s} accuracy {accuracy(theirs, labels):.3f}")
    exact = Timm(TimmOptions(weights=weights, precision="float32"))
    exact.load("cpu")
    for name, candidate in (("precision auto", backbone), ("precision float32", exact)):
        items = [EmbedItem(str(file), file) for file in files]
        ours = embed_images(candidate, items, EmbeddingCache(folder / name)).matrix
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosine = (ours * theirs).sum(axis=1) / lengths
        print(
            f"{name:34s} accuracy {accuracy(ours, labels):.3f}, cosine to timm mean {cosine.mean():.6f} "
            f"min {cosine.min():.6f}"
        )


def accuracy(vectors: NDArray[np.float32], labels: NDArray[np.str_]) -> float:
    """Return the mean of four 5-fold cross-validations."""
    head = make_pipeline(Normalizer(), LogisticRegression(C=10, max_iter=1000))
    folds = [StratifiedKFold(5, shuffle=True, random_state=seed) for seed in range(4)]
    return float(np.mean([cross_val_score(head, vectors, labels, cv=fold).mean() for fold in folds]))


if __name__ == "__main__":
    main()
