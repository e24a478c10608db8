"""The rules that `fieldmark.testing` holds a trainer to, on toy sets that any trainer can learn."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fieldmark.core.checks.contract_rules import Rule, Sample, expect
from fieldmark.core.contracts.plugin import PluginError
from fieldmark.core.contracts.terms import Task
from fieldmark.core.contracts.trainer import Classifier, Examples, Progress, Trainer, TrainingSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_SECONDS = 30.0


def _targets(task: Task, rows: int, seed: int) -> NDArray[np.uint8]:
    import numpy as np

    if task == "single-label":
        return np.eye(3, dtype=np.uint8)[np.arange(rows) % 3]
    if task == "multi-label":
        return np.random.default_rng(seed).integers(0, 2, (rows, 3)).astype(np.uint8)
    return np.ones((rows, 1), np.uint8)


def _examples(trainer: type[Trainer[Any]], targets: NDArray[np.uint8], seed: int) -> Examples:
    import numpy as np

    rng = np.random.default_rng(seed)
    groups = np.arange(len(targets), dtype=np.int64)
    if trainer.wants == "images":
        return Examples([_bands(row, rng) for row in targets], targets, groups)
    directions = np.random.default_rng(0).normal(size=(targets.shape[1], 16))
    signal = (2.0 * targets - 1) @ (3 * directions)
    return Examples((signal + rng.normal(size=signal.shape)).astype(np.float32), targets, groups)


def _bands(row: NDArray[np.uint8], rng: np.random.Generator) -> Image:
    """Draw one horizontal band for each label, bright where the image carries it."""
    import numpy as np
    from PIL import Image

    bright = np.repeat(np.where(row, 210, 40), 48 // len(row))[:, None, None]
    return Image.fromarray((bright + rng.integers(-30, 30, (len(bright), 48, 3))).astype(np.uint8))


def _toy(trainer: type[Trainer[Any]], task: Task, seed: int = 0, validation: int = 24) -> TrainingSet:
    labels = ("good",) if task == "one-class" else ("ant", "bee", "cat")
    train, held_out = _targets(task, 60, 1), _targets(task, validation, 2)
    return TrainingSet(
        task,
        labels,
        _examples(trainer, train, 11),
        _examples(trainer, held_out, 12),
        seconds=_SECONDS,
        seed=seed,
    )


def _fit(sample: Sample, data: TrainingSet) -> tuple[list[Progress], Classifier]:
    steps: list[Progress] = []
    generator = sample.make().fit(data)
    started = time.monotonic()
    while True:
        try:
            step = next(generator)
        except StopIteration as end:
            expect(isinstance(end.value, Classifier), "fit must return a Classifier")
            return steps, end.value
        expect(isinstance(step, Progress), f"fit must yield Progress, not {type(step).__name__}")
        steps.append(step)
        if time.monotonic() - started > 2 * _SECONDS:
            generator.close()
            raise AssertionError(f"fit takes more than {2 * _SECONDS:.0f} seconds on 60 examples")


def _tasks(sample: Sample) -> list[Task]:
    return sorted(cast("type[Trainer[Any]]", sample.plugin).tasks)


def _logits(
    classifier: Classifier, inputs: NDArray[np.float32] | Sequence[Image], labels: int
) -> NDArray[np.float32]:
    import numpy as np

    logits = classifier.logits(inputs)
    expect(isinstance(logits, np.ndarray), f"logits must return a numpy array, not {type(logits).__name__}")
    expect(logits.dtype == np.float32, f"logits must return float32, not {logits.dtype}")
    wanted = (len(inputs), labels)
    expect(logits.shape == wanted, f"logits must return [n, labels] = {wanted}, not {logits.shape}")
    expect(bool(np.isfinite(logits).all()), "logits returned a number that is not finite")
    return logits


def learns_each_of_its_tasks(sample: Sample) -> None:
    """On a set that a straight line separates it is right nine times out of ten, on images it never saw."""
    import numpy as np

    trainer = cast("type[Trainer[Any]]", sample.plugin)
    for task in _tasks(sample):
        data = _toy(trainer, task)
        _, classifier = _fit(sample, data)
        targets = _targets(task, 90, 3)
        if task == "one-class":
            targets[::2] = 0
        fresh = _examples(trainer, targets, 13)
        logits = _logits(classifier, fresh.inputs, len(data.labels))
        if task == "single-label":
            right = float((logits.argmax(1) == targets.argmax(1)).mean())
        elif task == "multi-label":
            right = float(((logits > 0) == targets).mean())
        else:
            right = float((logits[targets == 1][:, None] > logits[targets == 0][None]).mean())
        expect(right >= 0.9, f"{task}: right for {right:.0%} of a toy set; 90% is asked for")
        expect(bool(np.isfinite(logits).all()), f"{task}: a logit is not finite")


def reports_progress_with_classifiers(sample: Sample) -> None:
    """`fit` yields at least one classifier, which does not change afterwards, also without validation images."""
    import numpy as np

    trainer = cast("type[Trainer[Any]]", sample.plugin)
    data = _toy(trainer, _tasks(sample)[0], validation=0)
    generator = sample.make().fit(data)
    first: tuple[Classifier, NDArray[np.float32]] | None = None
    for step in generator:
        expect(0 <= step.step <= step.steps, f"step {step.step} of {step.steps} makes no sense")
        if step.classifier is not None and first is None:
            first = step.classifier, _logits(step.classifier, data.train.inputs, len(data.labels))
    expect(first is not None, "fit must yield a Progress with a classifier now and then")
    if first is not None:
        again = first[0].logits(data.train.inputs)
        expect(
            np.array_equal(again, first[1]), "a classifier that was yielded changes while training goes on"
        )


def can_be_cancelled(sample: Sample) -> None:
    """Closing the generator before, at and after its first yield ends it without an exception."""
    trainer = cast("type[Trainer[Any]]", sample.plugin)
    for yields in range(3):
        generator = sample.make().fit(_toy(trainer, _tasks(sample)[0]))
        for _ in range(yields):
            next(generator, None)
        generator.close()
        expect(next(generator, None) is None, "fit goes on after its generator was closed")


def repeats_itself(sample: Sample) -> None:
    """Equal data and seed give equal logits."""
    import numpy as np

    trainer = cast("type[Trainer[Any]]", sample.plugin)
    data = _toy(trainer, _tasks(sample)[0], seed=5)
    first, second = (_fit(sample, data)[1].logits(data.validation.inputs) for _ in range(2))
    expect(np.allclose(first, second, rtol=1e-4, atol=1e-5), "two runs with one seed give different models")


def restores_what_it_saved(sample: Sample) -> None:
    """`restore` gives equal logits from JSON and safetensors, and `PluginError` for each damaged file."""
    import numpy as np

    trainer = cast("type[Trainer[Any]]", sample.plugin)
    data = _toy(trainer, _tasks(sample)[0])
    _, classifier = _fit(sample, data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        classifier.save(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        expect(bool(files), "save wrote no file")
        odd = [path.name for path in files if path.suffix not in (".json", ".safetensors")]
        expect(not odd, f"save must write JSON and safetensors only, not {odd}")
        inputs = data.validation.inputs
        same = np.allclose(
            trainer.restore(folder).logits(inputs), classifier.logits(inputs), rtol=1e-5, atol=1e-5
        )
        expect(same, "the restored classifier gives other logits")
        for path in files:
            whole = path.read_bytes()
            for damage in (None, b"", whole[: len(whole) // 2], b"\0" * len(whole)):
                _expect_refusal(trainer, folder, path, damage)
            path.write_bytes(whole)


def _expect_refusal(trainer: type[Trainer[Any]], folder: Path, path: Path, damage: bytes | None) -> None:
    path.unlink(missing_ok=True)
    if damage is not None:
        path.write_bytes(damage)
    what = "missing" if damage is None else f"damaged ({len(damage)} bytes)"
    try:
        trainer.restore(folder)
    except PluginError:
        return
    except Exception as error:
        raise AssertionError(
            f"restore with {path.name} {what} raised {type(error).__name__}: {error}"
        ) from error
    raise AssertionError(f"restore accepted a folder with {path.name} {what}")


def agrees_with_its_module(sample: Sample) -> None:
    """If the classifier offers `module`, it gives the logits of `logits`."""
    import numpy as np

    trainer = cast("type[Trainer[Any]]", sample.plugin)
    data = _toy(trainer, _tasks(sample)[0])
    _, classifier = _fit(sample, data)
    module = classifier.module()
    if module is None or trainer.wants == "images":
        return
    import torch

    inputs = cast("NDArray[np.float32]", data.validation.inputs)
    with torch.inference_mode():
        logits = module.to("cpu")(torch.from_numpy(inputs)).numpy()
    expect(
        np.allclose(logits, classifier.logits(inputs), rtol=1e-3, atol=1e-3), "module() and logits() disagree"
    )


def does_what_it_planned(sample: Sample) -> None:
    """What is planned before training is None or positive, and steps are those that `fit` reports, within a factor of 2."""
    trainer = cast("type[Trainer[Any]]", sample.plugin)
    for task in _tasks(sample):
        data = _toy(trainer, task)
        size = len(data.train), len(data.labels)
        seconds = sample.make().planned_seconds(*size)
        expect(
            seconds is None or (math.isfinite(seconds) and seconds > 0),
            f"{task}: {seconds} planned seconds make no sense",
        )
        planned = sample.make().planned_steps(*size, data.seconds)
        if planned is None:
            continue
        expect(planned >= 1, f"{task}: {planned} planned steps make no sense")
        told = max(step.steps for step in _fit(sample, data)[0])
        expect(
            planned <= 2 * told and told <= 2 * planned,
            f"{task}: {planned} steps were planned, and fit reports {told}",
        )


TRAINER_RULES: tuple[Rule, ...] = (
    learns_each_of_its_tasks,
    reports_progress_with_classifiers,
    can_be_cancelled,
    repeats_itself,
    does_what_it_planned,
    restores_what_it_saved,
    agrees_with_its_module,
)
