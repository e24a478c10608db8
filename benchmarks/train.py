"""From 216 labelled photos to a trained and evaluated model, against plain timm + torch + scikit-learn.

    FIELDMARK_DATA=... FIELDMARK_WEIGHTS=... python benchmarks/train.py [--repeats 3] [--skip-processes]

1. The head alone: seconds from embeddings in memory to a saved, evaluated model, in a worker's environment.
2. The head's accuracy over five folds, against logistic regression whose C is tuned by an inner cross-validation.
3. Whole processes, in turn, best of several: `fieldmark train` cold and with cached embeddings, and the script that
   anyone would write, in the environment as it is.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fieldmark.core.learning.training import Trained

_NETWORK = "mobilenetv2_100"
_WEIGHTS = f"{_NETWORK}.tf_in1k.fp16.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-processes", action="store_true")
    parser.add_argument("--plain", nargs=2, metavar=("PHOTOS", "WEIGHTS"), help=argparse.SUPPRESS)
    parser.add_argument("--head", metavar="EMBEDDINGS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        print(json.dumps(plain(Path(given.plain[0]), Path(given.plain[1]))))
        return
    if given.head:
        head(Path(given.head))
        return
    folders = {name: os.environ.get(name) for name in ("FIELDMARK_DATA", "FIELDMARK_WEIGHTS")}
    if absent := [name for name, folder in folders.items() if not folder]:
        sys.exit(f"Set {' and '.join(absent)} to the folders of the shared data and weights.")
    weights = Path(folders["FIELDMARK_WEIGHTS"] or "") / _WEIGHTS
    with tempfile.TemporaryDirectory() as name:
        photos = training_photos(
            Path(folders["FIELDMARK_DATA"] or "") / "trashnet_mini", Path(name) / "photos"
        )
        if not given.skip_processes:
            processes(photos, weights, Path(name), given.repeats)
        vectors, answers, _ = plain_embeddings(photos, weights)
        np.savez(Path(name) / "embeddings.npz", vectors=vectors, answers=answers)
        from fieldmark.core.jobs.process_environment import worker_environment

        command = [sys.executable, __file__, "--head", f"{name}/embeddings.npz"]
        subprocess.run(command, env=os.environ | worker_environment(), check=True)


def training_photos(source: Path, target: Path) -> Path:
    """Copy the photos of the train split into one folder per label."""
    with (source / "split.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "train":
                (target / row["label"]).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / row["path"], target / row["path"])
    return target


# 1 and 2: the head


def head(file: Path) -> None:
    """Print the head's time and accuracy; run in a worker's environment."""
    stored = np.load(file)
    vectors, answers = stored["vectors"], stored["answers"]
    seconds = [warm_seconds(vectors, answers) for _ in range(6)]
    print(f"head, embeddings in memory to saved result, {len(answers)} photos:")
    print(f"  first in its process {seconds[0]:.2f} s (imports scikit-learn), then {min(seconds[1:]):.2f} s")
    ours, tuned, fit_ours, fit_tuned = cross_validated(vectors, answers, repeats=3)
    print("accuracy, 5 folds x 3 seeds, the same folds:")
    print(f"  single-label {ours:.3f} ({fit_ours:.2f} s a fit)")
    print(f"  LogisticRegression, C by inner 5 folds {tuned:.3f} ({fit_tuned:.2f} s a fit)")


def warm_seconds(vectors: NDArray[np.float32], answers: NDArray[np.intp]) -> float:
    """Split, train, evaluate best and last on both splits, save both; return the seconds."""
    from fieldmark.core.learning.evaluation import evaluate
    from fieldmark.core.learning.splitting import stratified_split

    began = time.perf_counter()
    targets = np.eye(answers.max() + 1, dtype=np.uint8)[answers]
    held = stratified_split(targets, np.arange(len(answers)), 0.2)
    trained = fitted(vectors, targets, ~held, held)
    names = [str(label) for label in range(targets.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        for point in (trained.best, trained.last):
            logits = point.classifier.logits(vectors)
            for rows in (~held, held):
                evaluate("single-label", names, targets[rows], logits[rows])
            (Path(folder) / point.name).mkdir()
            point.classifier.save(Path(folder) / point.name)
    return time.perf_counter() - began


def fitted(
    vectors: NDArray[np.float32], targets: NDArray[np.uint8], train_rows: Any, held_rows: Any
) -> Trained:
    from fieldmark import Examples, TrainingSet
    from fieldmark.core.learning.training import train
    from fieldmark.plugins.trainers.single_label import SingleLabel, SingleLabelOptions

    groups = np.arange(len(targets))
    data = TrainingSet(
        "single-label",
        tuple(str(label) for label in range(targets.shape[1])),
        Examples(vectors[train_rows], targets[train_rows], groups[train_rows]),
        Examples(vectors[held_rows], targets[held_rows], groups[held_rows]),
        seconds=60.0,
    )
    trainer = SingleLabel(SingleLabelOptions())
    return train(trainer, data, report=lambda progress: None, cancelled=lambda: False)


def cross_validated(
    vectors: NDArray[np.float32], answers: NDArray[np.intp], repeats: int
) -> tuple[float, float, float, float]:
    """Return accuracy of ours and of tuned LogisticRegression, then the mean seconds of a fit of each."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    targets = np.eye(answers.max() + 1, dtype=np.uint8)[answers]
    grid = {"logisticregression__C": [0.1, 1.0, 10.0, 100.0, 1000.0]}
    right, seconds, rows = np.zeros(2), np.zeros(2), 0
    for seed in range(repeats):
        for learn, judge in StratifiedKFold(5, shuffle=True, random_state=seed).split(vectors, answers):
            began = time.perf_counter()
            trained = fitted(vectors, targets, learn, np.zeros(0, dtype=int))
            seconds[0] += time.perf_counter() - began
            right[0] += (trained.last.classifier.logits(vectors[judge]).argmax(1) == answers[judge]).sum()
            began = time.perf_counter()
            model = make_pipeline(Normalizer(), LogisticRegression(max_iter=1000))
            search = GridSearchCV(model, grid, cv=StratifiedKFold(5)).fit(vectors[learn], answers[learn])
            seconds[1] += time.perf_counter() - began
            right[1] += (search.predict(vectors[judge]) == answers[judge]).sum()
            rows += len(judge)
    fits = 5 * repeats
    return right[0] / rows, right[1] / rows, seconds[0] / fits, seconds[1] / fits


# 3: whole processes


def processes(photos: Path, weights: Path, room: Path, repeats: int) -> None:
    """Print the best wall time of each whole process, run in turn."""
    times: dict[str, list[float]] = {"cold": [], "cached": [], "plain": [], "upload": []}
    for number in range(repeats):
        workspace = room / f"workspace-{number}"
        fieldmark("project", "create", "P", workspace=workspace)
        upload = ("upload", "P", str(photos), "--labels-from-folder")
        times["upload"].append(timed(fieldmark, *upload, workspace=workspace))
        model = ("train", "P", "--task", "single-label", "--backbone", f"timm:{_NETWORK}")
        for name in ("cold", "cached"):
            seconds = timed(fieldmark, *model, "--weights", str(weights), "--json", workspace=workspace)
            times[name].append(seconds)
        script = [sys.executable, __file__, "--plain", str(photos), str(weights)]
        times["plain"].append(timed(subprocess.run, script, check=True, capture_output=True))
    best = {name: min(values) for name, values in times.items()}
    print(f"whole processes, best of {repeats}, in turn:")
    print(
        f"  fieldmark train, cold           {best['cold']:6.2f} s  (upload before it {best['upload']:.2f} s)"
    )
    print(
        f"  fieldmark train, cached         {best['cached']:6.2f} s  {best['cached'] / best['cold']:.2f} of cold"
    )
    print(
        f"  timm + DataLoader + scikit-learn{best['plain']:6.2f} s  {best['plain'] / best['cold']:.1f} x cold"
    )


def timed(work: Callable[..., object], *arguments: Any, **named: Any) -> float:
    began = time.perf_counter()
    work(*arguments, **named)
    return time.perf_counter() - began


def fieldmark(*arguments: str, workspace: Path) -> None:
    command = [sys.executable, "-m", "fieldmark", *arguments, "--workspace", str(workspace)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments[:2])} failed: {done.stderr.strip() or done.stdout.strip()}")


def plain(photos: Path, weights: Path) -> dict[str, float]:
    """Do what anyone would write: embed in a DataLoader loop, fit, print the validation accuracy."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, classification_report
    from sklearn.model_selection import train_test_split

    vectors, answers, _ = plain_embeddings(photos, weights)
    learn, judge, learn_answers, judge_answers = train_test_split(
        vectors, answers, test_size=0.2, stratify=answers, random_state=0
    )
    model = LogisticRegression(max_iter=1000).fit(learn, learn_answers)
    said = model.predict(judge)
    classification_report(judge_answers, said, zero_division=0)
    return {"accuracy": float(accuracy_score(judge_answers, said))}


def plain_embeddings(photos: Path, weights: Path) -> tuple[NDArray[np.float32], NDArray[np.intp], list[str]]:
    """Return vectors, answers and labels by timm's own transform, torch's DataLoader and an eager model."""
    import timm
    import torch
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    look = {"file": str(weights), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    model = timm.create_model(
        _NETWORK, pretrained=True, num_classes=0, pad_type="same", pretrained_cfg_overlay=look
    ).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    folder = ImageFolder(str(photos), transform=transform)
    vectors, answers = [], []
    with torch.inference_mode():
        for batch, labels in DataLoader(folder, batch_size=32):
            vectors.append(model(batch).numpy())
            answers.append(labels.numpy())
    return np.concatenate(vectors), np.concatenate(answers), folder.classes


if __name__ == "__main__":
    main()
